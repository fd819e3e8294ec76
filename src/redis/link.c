#include "redis/link.h"

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
#define STABLE_MS 500 /* after being up for this long, the back-off begins with its minimum again */

enum state { DOWN, RESOLVING, CONNECTING, LOGGING_IN, UP };

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
	size_t nchannels, nsubscribed; /* subscribed: confirmed by Redis */
	const struct redis_link_events *events;
	void *arg;
	enum state state;
	struct wire *wire; /* NULL: none */
	struct resolving *resolving;
	struct loop_timer *timer, *watchdog;
	struct list pending; /* oldest first */
	size_t npending;
	int64_t retry_ms, up_ms;
	bool logged; /* that it is down */
	char why[256];
	struct metric *m_up, *m_commands, *m_lost, *m_pending;
};

static void lose(struct redis_link *k, const char *fmt, ...) PRINTF(2, 3);

/* --- commands */

static void on_reply(const struct redis_answer *a, void *arg)
{
	struct pending p = *(struct pending *)arg;
	struct redis_link *k = p.link;
	list_remove(&((struct pending *)arg)->node);
	free(arg);
	metric_set(k->m_pending, (double)--k->npending);
	if (p.done)
		p.done(a, p.arg);
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
	if (!k->wire || !wire_ask(k->wire, argc, argv, lens, on_reply, p)) {
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

/* --- down */

static void log_down(struct redis_link *k)
{
	if (!k->logged)
		log_warn("redis", "Redis at %s (%s) %s; retrying until it answers", k->place, k->label, k->why);
	k->logged = true;
}

/* Closes the connection, which answers its pending commands, and schedules the next attempt. */
static void lose(struct redis_link *k, const char *fmt, ...)
{
	va_list ap;
	bool was_up = k->state == UP;
	struct wire *w = TAKE_PTR(k->wire);
	k->state = DOWN;
	va_start(ap, fmt);
	vsnprintf(k->why, sizeof k->why, fmt, ap);
	va_end(ap);
	log_down(k);
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
		wire_drop(w);
	if (was_up)
		k->events->state(false, k->arg);
}

/* --- login, database, name and subscriptions, all sent at once */

static void come_up(struct redis_link *k)
{
	k->state = UP;
	k->up_ms = clock_mono_ms();
	k->why[0] = 0;
	if (k->logged)
		log_info("redis", "connected to Redis at %s (%s)", k->place, k->label);
	k->logged = false;
	metric_set(k->m_up, 1);
	k->events->state(true, k->arg);
}

static void on_auth(const struct redis_answer *a, void *arg)
{
	if (a->kind == REDIS_FAULT)
		lose(arg, "rejects the user or password of its URL: %.200s", a->text);
}

static void on_select(const struct redis_answer *a, void *arg)
{
	struct redis_link *k = arg;
	if (a->kind == REDIS_FAULT && k->wire)
		lose(k, str_starts(a->text, "NOAUTH") ? "requires a password, but its URL has none: %.150s" : "refuses the database of its URL: %.200s",
		      a->text);
}

/* The last reply of the login. A user without permission for CLIENT SETNAME may still use the connection. */
static void on_name(const struct redis_answer *a, void *arg)
{
	struct redis_link *k = arg;
	if (a->kind == REDIS_NOTHING || !k->wire)
		return;
	if (a->kind == REDIS_FAULT && !str_starts(a->text, "NOPERM") && !str_starts(a->text, "ERR unknown"))
		lose(k, str_starts(a->text, "NOAUTH") ? "requires a password, but its URL has none: %.150s" : "does not accept a login: %.200s", a->text);
	else if (!k->nchannels)
		come_up(k);
}

static void on_message(const struct redis_answer *a, void *arg)
{
	struct redis_link *k = arg;
	if (a->kind == REDIS_FAULT)
		lose(k, "refuses to subscribe to events: %.200s", a->text);
	if (a->kind != REDIS_LIST || a->n < 3)
		return;
	if (str_eq(a->items[0].text, "subscribe") && k->state != UP && ++k->nsubscribed == k->nchannels)
		come_up(k);
	else if (str_eq(a->items[0].text, "message") && k->state == UP && k->events->message)
		k->events->message(a->items[1].text, a->items[2].text, a->items[2].len, k->arg);
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
	k->nsubscribed = 0;
	if (*k->url.password)
		command(k, words, auth, NULL, on_auth, k);
	snprintf(number, sizeof number, "%d", k->url.database);
	snprintf(name, sizeof name, "lucid-rdp-%s", k->label);
	command(k, 2, (const char *[]){ "SELECT", number }, NULL, on_select, k);
	command(k, 3, (const char *[]){ "CLIENT", "SETNAME", name }, NULL, on_name, k);
	for (size_t i = 0; i < k->nchannels; i++)
		wire_subscribe(k->wire, k->channels[i]);
	loop_timer_set(k->timer, ANSWER_MS); /* covers the subscriptions too, which the watchdog does not see */
}

static void on_connected(void *arg)
{
	log_in(arg);
}

static void on_gone(const char *why, void *arg)
{
	struct redis_link *k = arg;
	k->wire = NULL; /* it frees itself */
	lose(k, "%s: %.200s", k->state == CONNECTING ? "is unreachable" : "closed the connection", why);
}

static void link_connect(struct redis_link *k, const char *address)
{
	static const struct wire_events events = { on_connected, on_gone, on_message };
	char why[200];
	k->state = CONNECTING;
	loop_timer_set(k->timer, CONNECT_MS);
	k->wire = wire_dial(k->loop, address, k->url.port, &events, k, why, sizeof why);
	if (!k->wire)
		lose(k, "is unreachable: %s", why);
}

static void on_resolved(const char *address, const char *why, void *arg)
{
	struct redis_link *k = arg;
	k->resolving = NULL;
	if (address)
		link_connect(k, address);
	else
		lose(k, "is unreachable: its host name does not resolve: %.150s", why);
}

static void on_link_timer(void *arg)
{
	struct redis_link *k = arg;
	switch (k->state) {
	case DOWN:
		k->state = RESOLVING;
		loop_timer_set(k->timer, RESOLVE_MS);
		if (k->url.local)
			link_connect(k, k->url.host);
		else if (!k->resolving) {
			struct resolving *q = resolve(k->resolver, k->url.host, on_resolved, k);
			k->resolving = k->state == RESOLVING ? q : NULL;
		}
		break;
	case RESOLVING:
		lose(k, "is unreachable: resolving its host name timed out");
		break;
	case CONNECTING:
		lose(k, "is unreachable: no connection within 300 ms");
		break;
	case LOGGING_IN:
		lose(k, "has not answered for 500 ms");
		break;
	case UP:
		break;
	}
}

/* --- the interface */

bool redis_link_up(const struct redis_link *k)
{
	return k->state == UP;
}

const char *redis_link_why(const struct redis_link *k)
{
	return k->state == UP ? "" : *k->why ? k->why : "is being connected to";
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
		wire_flush(k->wire);
}

void redis_link_reset(struct redis_link *k, const char *why)
{
	if (k->state == UP)
		lose(k, "%s", why);
}

static void make_metrics(struct redis_link *k)
{
	k->m_up = metric_with(metric_family("rdp_redis_up", METRIC_GAUGE, "link", "1 if this connection to Redis is up, 0 if not."), k->label);
	k->m_commands = metric_with(metric_family("rdp_redis_commands_total", METRIC_COUNTER, "link", "Commands sent to Redis."), k->label);
	k->m_lost = metric_with(metric_family("rdp_redis_reconnects_total", METRIC_COUNTER, "link",
					      "Lost connections and failed attempts to connect to Redis; each is followed by another attempt."), k->label);
	k->m_pending = metric_with(metric_family("rdp_redis_pending", METRIC_GAUGE, "link", "Commands in flight: sent to Redis and not yet answered."), k->label);
}

struct redis_link *redis_link_new(struct loop *l, struct resolver *r, const struct redis_url *u, const char *label,
				  const char *const *channels, const struct redis_link_events *events, void *arg)
{
	struct redis_link *k = XNEW(struct redis_link);
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
	k->timer = loop_timer_new(l, on_link_timer, k);
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
	k->state = DOWN;
	if (w)
		wire_drop(w);
	resolve_cancel(k->resolving);
	loop_timer_free(k->timer);
	loop_timer_free(k->watchdog);
	for (size_t i = 0; i < k->nchannels; i++)
		free(k->channels[i]);
	mem_wipe(&k->url, sizeof k->url);
	free(k);
}
