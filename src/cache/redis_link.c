#include "cache/redis_link.h"

#include <fcntl.h>
#include <hiredis/async.h>
#include <signal.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/errs.h"
#include "lucid/id.h"
#include "lucid/log.h"
#include "lucid/metrics.h"
#include "lucid/str.h"
#include "net/resolve.h"

#define CONNECT_MS 300
#define RESOLVE_MS 2000
#define ANSWER_MS 500
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 2000
#define LIST_MAX 64
#define STABLE_MS 500 /* up for this long: the next loss begins with the shortest wait again */

enum state { AWAY, RESOLVING, DIALLING, LOGGING_IN, UP };

/* hiredis' connection and the loop's watch of it; hiredis frees both, in its own time. */
struct wire {
	struct redis_link *link;
	redisAsyncContext *ac;
	struct loop_io *io;
	struct loop_task flush;
	int want;
	bool connected, flushing;
	bool strange; /* an answer was refused, see guard() */
	redisReplyObjectFunctions *inner, outer; /* of the reader: see guard() */
};

struct pending {
	struct list node;
	struct redis_link *link;
	int64_t since_us;
	redis_done done;
	void *arg;
};

struct redis_link {
	struct loop *loop;
	struct resolver *resolver;
	struct redis_url url;
	const char *label;
	char place[300];
	char *channels[REDIS_MAX_ITEMS + 1];
	size_t nchannels, nheard; /* heard: subscriptions that Redis has confirmed */
	const struct redis_link_events *events;
	void *arg;
	enum state state;
	struct wire *wire; /* NULL: none, or it is being freed */
	struct resolving *resolving;
	struct loop_timer *timer, *watchdog;
	struct list pending; /* oldest first */
	size_t npending;
	int64_t retry_ms, up_ms;
	bool said; /* that it is away */
	char why[256];
	struct metric *m_up, *m_commands, *m_lost, *m_pending;
};

static void lose(struct redis_link *k, const char *fmt, ...) PRINTF(2, 3);

/* hiredis gives it up; the link has let go of it. */
static void lose_wire(struct redis_link *k, const struct wire *w)
{
	const char *how = k->state == DIALLING ? "cannot be reached" : "lost the connection", *why = w->ac->errstr;
	lose(k, "%s: %.200s", how, w->strange ? "an answer that nobody asked for; look whether this is Redis" : why && *why ? why : "closed");
}

/* --- hiredis on our loop: reads as they come, writes gathered for the end of the turn */

static void watch(struct wire *w, int add, int remove)
{
	w->want = (w->want | add) & ~remove;
	loop_io_set(w->io, w->want);
}

static void add_read(void *arg)
{
	watch(arg, LOOP_READ, 0);
}

static void del_read(void *arg)
{
	watch(arg, 0, LOOP_READ);
}

static void add_write(void *arg)
{
	struct wire *w = arg;
	if (!w->connected || w->flushing)
		watch(w, LOOP_WRITE, 0);
	else
		loop_defer(w->link->loop, &w->flush);
}

static void del_write(void *arg)
{
	watch(arg, 0, LOOP_WRITE);
}

/* hiredis frees the connection. Where nobody here told it to, this is where the link learns that it is lost; the answers that
 * are still owed have come by now, empty. */
static void wire_done(void *arg)
{
	struct wire *w = arg;
	struct redis_link *k = w->link;
	redisAsyncContext *ac = w->ac;
	bool unforeseen = k->wire == w;
	loop_undefer(&w->flush);
	loop_io_free(w->io);
	ac->c.reader->fn = w->inner;
	ac->ev.data = NULL;
	k->wire = unforeseen ? NULL : k->wire;
	if (unforeseen)
		lose_wire(k, w);
	free(w);
}

/* The wire may be gone when hiredis comes back; the link then has it no more. */
static void on_flush(struct loop_task *t)
{
	struct wire *w = CONTAINER_OF(t, struct wire, flush);
	struct redis_link *k = w->link;
	w->flushing = true;
	redisAsyncHandleWrite(w->ac);
	if (k->wire == w)
		w->flushing = false;
}

static void on_io(int events, void *arg)
{
	struct wire *w = arg;
	struct redis_link *k = w->link;
	if (events & LOOP_READ)
		redisAsyncHandleRead(w->ac);
	if (k->wire == w && events & LOOP_WRITE)
		redisAsyncHandleWrite(w->ac);
	if (k->wire == w && w->ac->c.reader->len > REDIS_MAX_REPLY)
		lose(k, "answers with more than this program takes");
}

/*
 * hiredis asserts that each answer was asked for. What stands at the other end may not be Redis at all, so an answer that nobody
 * waits for is refused while it is read, as if there were no memory for it; and so is a list longer than any of ours.
 */
static bool unasked(const redisReadTask *t)
{
	struct wire *w = t->privdata;
	bool is = !t->parent && w->link->wire == w && !w->link->npending && !(w->ac->c.flags & REDIS_SUBSCRIBED);
	w->strange |= is;
	return is;
}

static struct wire *wire_of(const redisReadTask *t)
{
	return t->privdata;
}

static void *make_string(const redisReadTask *t, char *s, size_t len)
{
	return t->type != REDIS_REPLY_ERROR && unasked(t) ? NULL : wire_of(t)->inner->createString(t, s, len);
}

static void *make_integer(const redisReadTask *t, long long n)
{
	return unasked(t) ? NULL : wire_of(t)->inner->createInteger(t, n);
}

static void *make_nil(const redisReadTask *t)
{
	return unasked(t) ? NULL : wire_of(t)->inner->createNil(t);
}

#if HIREDIS_MAJOR >= 1
static void *make_array(const redisReadTask *t, size_t n)
#else
static void *make_array(const redisReadTask *t, int n)
#endif
{
	wire_of(t)->strange |= n > LIST_MAX;
	return unasked(t) || n > LIST_MAX ? NULL : wire_of(t)->inner->createArray(t, n);
}

static void guard(struct wire *w)
{
	redisReader *reader = w->ac->c.reader;
	w->inner = reader->fn;
	w->outer = *reader->fn;
	w->outer.createString = make_string;
	w->outer.createArray = make_array;
	w->outer.createInteger = make_integer;
	w->outer.createNil = make_nil;
	reader->fn = &w->outer;
	reader->privdata = w;
}

/* --- answers */

static void convert(const redisReply *r, struct redis_answer *ret, struct redis_answer items[REDIS_MAX_ITEMS])
{
	*ret = (struct redis_answer){ .kind = REDIS_NIL, .text = "" };
	switch (r->type) {
	case REDIS_REPLY_INTEGER:
		ret->kind = REDIS_NUMBER;
		ret->number = r->integer;
		break;
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
	case REDIS_REPLY_ERROR:
		ret->kind = r->type == REDIS_REPLY_ERROR ? REDIS_FAULT : REDIS_TEXT;
		ret->text = r->str;
		ret->len = (size_t)r->len;
		break;
	case REDIS_REPLY_ARRAY:
		ret->kind = REDIS_LIST;
		ret->items = items;
		for (size_t i = 0; items && i < r->elements && i < REDIS_MAX_ITEMS; i++)
			convert(r->element[i], &items[ret->n++], NULL); /* lists in lists are not looked at */
		break;
	}
}

static bool is_ours(const redisAsyncContext *ac)
{
	const struct wire *w = ac->ev.data;
	return w && w->link->wire == w;
}

static void on_reply(redisAsyncContext *ac, void *reply, void *arg)
{
	struct pending *p = arg;
	struct redis_link *k = p->link;
	struct redis_answer a = { .kind = REDIS_NOTHING, .text = "" }, items[REDIS_MAX_ITEMS];
	if (!reply && is_ours(ac)) {
		k->wire = NULL;
		lose_wire(k, ac->ev.data);
	} else if (reply) {
		convert(reply, &a, items);
	}
	list_remove(&p->node);
	metric_set(k->m_pending, (double)--k->npending);
	redis_done done = p->done;
	void *done_arg = p->arg;
	free(p);
	if (done)
		done(&a, done_arg);
}

static void on_watchdog(void *arg)
{
	struct redis_link *k = arg;
	int64_t left_us = ANSWER_MS * 1000 - redis_link_waits_us(k);
	if (!k->npending)
		return;
	if (left_us > 0)
		loop_timer_set_us(k->watchdog, left_us);
	else
		lose(k, "has not answered for 500 ms");
}

static int command(struct redis_link *k, int argc, const char *const *argv, const size_t *lens, redis_done done, void *arg)
{
	struct pending *p = XNEW(struct pending);
	*p = (struct pending){ .link = k, .since_us = clock_mono_us(), .done = done, .arg = arg };
	if (redisAsyncCommandArgv(k->wire->ac, on_reply, p, argc, (const char **)(uintptr_t)argv, lens) != REDIS_OK) {
		free(p);
		return -ERR_UNAVAILABLE;
	}
	list_append(&k->pending, &p->node);
	metric_set(k->m_pending, (double)++k->npending);
	metric_add(k->m_commands, 1);
	if (!loop_timer_pending(k->watchdog))
		loop_timer_set(k->watchdog, ANSWER_MS);
	return 0;
}

/* --- away */

static void say_away(struct redis_link *k)
{
	if (!k->said)
		log_warn("redis", "Redis at %s (%s): it %s; trying again until it is there", k->place, k->label, k->why);
	k->said = true;
}

/* The connection is of no use; every wait of it ends. */
static void lose(struct redis_link *k, const char *fmt, ...)
{
	va_list ap;
	bool was_up = k->state == UP;
	struct wire *w = TAKE_PTR(k->wire);
	k->state = AWAY;
	va_start(ap, fmt);
	vsnprintf(k->why, sizeof k->why, fmt, ap);
	va_end(ap);
	say_away(k);
	resolve_cancel(TAKE_PTR(k->resolving));
	if (was_up && clock_mono_ms() - k->up_ms >= STABLE_MS)
		k->retry_ms = RETRY_MIN_MS;
	uint32_t chance;
	id_random(&chance, sizeof chance);
	loop_timer_set(k->timer, k->retry_ms / 2 + chance % (k->retry_ms / 2 + 1));
	k->retry_ms = MIN(k->retry_ms * 2, RETRY_MAX_MS);
	metric_set(k->m_up, 0);
	metric_add(k->m_lost, 1);
	if (w)
		redisAsyncFree(w->ac);
	if (was_up)
		k->events->state(false, k->arg);
}

/* --- coming: login, database, name, subscriptions, all sent at once */

static void come_up(struct redis_link *k)
{
	k->state = UP;
	k->up_ms = clock_mono_ms();
	k->why[0] = 0;
	if (k->said)
		log_info("redis", "Redis at %s (%s) is there", k->place, k->label);
	k->said = false;
	metric_set(k->m_up, 1);
	k->events->state(true, k->arg);
}

static void on_auth(const struct redis_answer *a, void *arg)
{
	if (a->kind == REDIS_FAULT)
		lose(arg, "refuses the user or password of its URL: %.200s", a->text);
}

static void on_select(const struct redis_answer *a, void *arg)
{
	struct redis_link *k = arg;
	if (a->kind == REDIS_FAULT && k->wire)
		lose(k, str_starts(a->text, "NOAUTH") ? "wants a password, and its URL has none: %.150s" : "does not give the database of its URL: %.200s",
		      a->text);
}

/* The last of the login; who may not name his connection may still use it. */
static void on_name(const struct redis_answer *a, void *arg)
{
	struct redis_link *k = arg;
	if (a->kind == REDIS_NOTHING || !k->wire)
		return;
	if (a->kind == REDIS_FAULT && !str_starts(a->text, "NOPERM") && !str_starts(a->text, "ERR unknown"))
		lose(k, str_starts(a->text, "NOAUTH") ? "wants a password, and its URL has none: %.150s" : "does not take a login: %.200s", a->text);
	else if (!k->nchannels)
		come_up(k);
}

static void on_message(redisAsyncContext *ac, void *reply, void *arg)
{
	struct redis_link *k = arg;
	struct redis_answer a, items[REDIS_MAX_ITEMS];
	if (!reply || !is_ours(ac))
		return;
	convert(reply, &a, items);
	if (a.kind == REDIS_FAULT)
		lose(k, "does not give the events: %.200s", a.text);
	if (a.kind != REDIS_LIST || a.n < 3)
		return;
	if (str_eq(items[0].text, "subscribe") && ++k->nheard == k->nchannels)
		come_up(k);
	else if (str_eq(items[0].text, "message") && k->state == UP && k->events->message)
		k->events->message(items[1].text, items[2].text, items[2].len, k->arg);
}

static void log_in(struct redis_link *k)
{
	char number[16], name[64];
	const char *auth[] = { "AUTH", k->url.password, NULL };
	int words = 2;
	if (*k->url.user) {
		auth[1] = k->url.user;
		auth[words++] = k->url.password;
	}
	k->state = LOGGING_IN;
	k->nheard = 0;
	if (*k->url.password)
		command(k, words, auth, NULL, on_auth, k);
	snprintf(number, sizeof number, "%d", k->url.database);
	snprintf(name, sizeof name, "lucid-rdp-%s", k->label);
	command(k, 2, (const char *[]){ "SELECT", number }, NULL, on_select, k);
	command(k, 3, (const char *[]){ "CLIENT", "SETNAME", name }, NULL, on_name, k);
	for (size_t i = 0; i < k->nchannels; i++)
		redisAsyncCommand(k->wire->ac, on_message, k, "SUBSCRIBE %s", k->channels[i]);
	loop_timer_set(k->timer, ANSWER_MS); /* for the subscriptions too, which the watchdog does not see */
}

static void on_connect(const redisAsyncContext *ac, int status)
{
	if (status != REDIS_OK || !is_ours(ac))
		return; /* wire_done comes next */
	struct wire *w = ac->ev.data;
	w->connected = true;
	log_in(w->link);
}

static void attach(struct redis_link *k, redisAsyncContext *ac)
{
	struct wire *w = k->wire = XNEW(struct wire);
	w->link = k;
	w->ac = ac;
	(void)fcntl(ac->c.fd, F_SETFD, FD_CLOEXEC);
	w->io = loop_io_new(k->loop, ac->c.fd, 0, on_io, w);
	loop_task_init(&w->flush, on_flush);
	ac->ev.data = w;
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	ac->ev.cleanup = wire_done;
	guard(w);
	redisAsyncSetConnectCallback(ac, on_connect);
	watch(w, LOOP_READ | LOOP_WRITE, 0);
}

static void dial(struct redis_link *k, const char *address)
{
	redisAsyncContext *ac = k->url.local ? redisAsyncConnectUnix(k->url.host) : redisAsyncConnect(address, k->url.port);
	k->state = DIALLING;
	loop_timer_set(k->timer, CONNECT_MS);
	if (!ac || ac->err) {
		lose(k, "cannot be reached: %.200s", ac && *ac->errstr ? ac->errstr : "no memory");
		if (ac)
			redisAsyncFree(ac);
		return;
	}
	attach(k, ac);
}

static void on_resolved(const char *address, const char *why, void *arg)
{
	struct redis_link *k = arg;
	k->resolving = NULL;
	if (address)
		dial(k, address);
	else
		lose(k, "cannot be found, its name does not resolve: %.150s", why);
}

static void on_timer(void *arg)
{
	struct redis_link *k = arg;
	switch (k->state) {
	case AWAY:
		k->state = RESOLVING;
		loop_timer_set(k->timer, RESOLVE_MS);
		if (k->url.local)
			dial(k, NULL);
		else if (!k->resolving) {
			struct resolving *q = resolve(k->resolver, k->url.host, on_resolved, k);
			k->resolving = k->state == RESOLVING ? q : NULL;
		}
		break;
	case RESOLVING:
		lose(k, "cannot be found, its name does not resolve in time");
		break;
	case DIALLING:
		lose(k, "cannot be reached: no connection within 300 ms");
		break;
	case LOGGING_IN:
		lose(k, "has not answered for 500 ms");
		break;
	case UP:
		break;
	}
}

/* --- what others see */

bool redis_link_up(const struct redis_link *k)
{
	return k->state == UP;
}

const char *redis_link_why(const struct redis_link *k)
{
	return k->state == UP ? "" : *k->why ? k->why : "is being dialled";
}

int64_t redis_link_waits_us(const struct redis_link *k)
{
	if (list_empty(&k->pending))
		return 0;
	return clock_mono_us() - CONTAINER_OF(k->pending.next, struct pending, node)->since_us;
}

int redis_ask(struct redis_link *k, int argc, const char *const *argv, const size_t *lens, redis_done done, void *arg)
{
	if (k->state != UP || k->nchannels)
		return -ERR_UNAVAILABLE;
	if (k->npending >= REDIS_MAX_PENDING)
		return -ERR_BUSY;
	return command(k, argc, argv, lens, done, arg);
}

void redis_link_flush(struct redis_link *k)
{
	if (k->state == UP)
		on_flush(&k->wire->flush);
}

void redis_link_reset(struct redis_link *k, const char *why)
{
	if (k->state == UP)
		lose(k, "%s", why);
}

static void make_metrics(struct redis_link *k)
{
	k->m_up = metric_with(metric_family("rdp_redis_up", METRIC_GAUGE, "link", "1 while this connection to Redis stands."), k->label);
	k->m_commands = metric_with(metric_family("rdp_redis_commands_total", METRIC_COUNTER, "link", "Commands sent to Redis."), k->label);
	k->m_lost = metric_with(metric_family("rdp_redis_reconnects_total", METRIC_COUNTER, "link",
					      "Times that a connection to Redis was lost or not made, and is dialled again."), k->label);
	k->m_pending = metric_with(metric_family("rdp_redis_pending", METRIC_GAUGE, "link", "Commands that Redis has not answered."), k->label);
}

struct redis_link *redis_link_new(struct loop *l, struct resolver *r, const struct redis_url *u, const char *label,
				  const char *const *channels, const struct redis_link_events *events, void *arg)
{
	struct redis_link *k = XNEW(struct redis_link);
	signal(SIGPIPE, SIG_IGN);
	k->loop = l;
	k->resolver = r;
	k->url = *u;
	k->label = label;
	redis_url_show(u, k->place, sizeof k->place);
	for (; channels && *channels && k->nchannels < REDIS_MAX_ITEMS; channels++)
		k->channels[k->nchannels++] = xstrdup(*channels);
	k->events = events;
	k->arg = arg;
	list_init(&k->pending);
	k->retry_ms = RETRY_MIN_MS;
	k->timer = loop_timer_new(l, on_timer, k);
	k->watchdog = loop_timer_new(l, on_watchdog, k);
	make_metrics(k);
	loop_timer_set(k->timer, 0);
	return k;
}

void redis_link_free(struct redis_link *k)
{
	if (!k)
		return;
	struct wire *w = TAKE_PTR(k->wire);
	k->state = AWAY;
	if (w)
		redisAsyncFree(w->ac);
	resolve_cancel(k->resolving);
	loop_timer_free(k->timer);
	loop_timer_free(k->watchdog);
	for (size_t i = 0; i < k->nchannels; i++)
		free(k->channels[i]);
	mem_wipe(&k->url, sizeof k->url);
	free(k);
}
