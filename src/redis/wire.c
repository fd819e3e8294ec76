#include "redis/wire.h"

#include <fcntl.h>
#include <hiredis/async.h>
#include <signal.h>
#include <stdio.h>

#define LIST_MAX 64

/* Freed when hiredis frees the connection, which may be later than its end (wire_done). */
struct wire {
	redisAsyncContext *ac;
	struct loop *loop;
	struct loop_io *io;
	struct loop_task flush;
	const struct wire_events *events;
	void *arg;
	int want;
	size_t owed; /* commands without a reply */
	bool connected, flushing;
	bool over;    /* closed or dropped: no further events, only answers to pending commands */
	bool *ended;  /* set if this is freed meanwhile */
	bool strange; /* a reply was rejected, see guard() */
	redisReplyObjectFunctions *inner, outer; /* of the reader: see guard() */
};

struct question {
	struct wire *wire;
	redis_done done;
	void *arg;
};

static void wire_gone(struct wire *w)
{
	const char *why = w->ac->errstr;
	if (w->over)
		return;
	w->over = true;
	w->events->gone(w->strange ? "a reply without a request; check whether the server is Redis" : why && *why ? why : "closed", w->arg);
}

/* --- on the loop */

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
		loop_defer(w->loop, &w->flush);
}

static void del_write(void *arg)
{
	watch(arg, 0, LOOP_WRITE);
}

/* hiredis frees the connection; all pending commands have been answered. */
static void wire_done(void *arg)
{
	struct wire *w = arg;
	wire_gone(w);
	loop_undefer(&w->flush);
	loop_io_free(w->io);
	w->ac->c.reader->fn = w->inner;
	w->ac->ev.data = NULL;
	if (w->ended)
		*w->ended = true;
	free(w);
}

/* False: hiredis has freed the connection, and the wire with it. */
static bool work(struct wire *w, void (*step)(redisAsyncContext *ac))
{
	bool ended = false, *outer = w->ended;
	w->ended = &ended;
	step(w->ac);
	if (ended) {
		if (outer)
			*outer = true;
		return false;
	}
	w->ended = outer;
	return true;
}

void wire_flush(struct wire *w)
{
	w->flushing = true;
	if (work(w, redisAsyncHandleWrite))
		w->flushing = false;
}

static void on_flush(struct loop_task *t)
{
	wire_flush(CONTAINER_OF(t, struct wire, flush));
}

static void on_io(int events, void *arg)
{
	struct wire *w = arg;
	if (events & LOOP_READ && !work(w, redisAsyncHandleRead))
		return;
	if (events & LOOP_WRITE && !work(w, redisAsyncHandleWrite))
		return;
	if (!w->over && w->ac->c.reader->len > REDIS_MAX_REPLY) {
		w->strange = true;
		wire_gone(w);
		redisAsyncFree(w->ac);
	}
}

/* --- replies */

/*
 * hiredis asserts that each reply belongs to a command. The peer may not be Redis at all, so a reply without a command is rejected while it
 * is parsed, as if memory had run out. So is a list longer than any that our commands return.
 */
static bool unasked(const redisReadTask *t)
{
	struct wire *w = t->privdata;
	bool is = !t->parent && !w->owed && !(w->ac->c.flags & REDIS_SUBSCRIBED);
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
			convert(r->element[i], &items[ret->n++], NULL); /* nested lists are not converted */
		break;
	}
}

/* Without a reply, the connection has ended; if hiredis closed it, this is the first notice. */
static void on_reply(UNUSED redisAsyncContext *ac, void *reply, void *arg)
{
	struct question q = *(struct question *)arg;
	struct redis_answer a = { .kind = REDIS_NOTHING, .text = "" }, items[REDIS_MAX_ITEMS];
	free(arg);
	q.wire->owed--;
	if (reply)
		convert(reply, &a, items);
	else
		wire_gone(q.wire);
	q.done(&a, q.arg);
}

static void on_message(UNUSED redisAsyncContext *ac, void *reply, void *arg)
{
	struct wire *w = arg;
	struct redis_answer a, items[REDIS_MAX_ITEMS];
	if (!reply || w->over)
		return;
	convert(reply, &a, items);
	w->events->message(&a, w->arg);
}

bool wire_ask(struct wire *w, int argc, const char *const *argv, const size_t *lens, redis_done done, void *arg)
{
	struct question *q = XNEW(struct question);
	*q = (struct question){ w, done, arg };
	if (w->over || redisAsyncCommandArgv(w->ac, on_reply, q, argc, (const char **)(uintptr_t)argv, lens) != REDIS_OK) {
		free(q);
		return false;
	}
	w->owed++;
	return true;
}

void wire_subscribe(struct wire *w, const char *channel)
{
	if (!w->over)
		redisAsyncCommand(w->ac, on_message, w, "SUBSCRIBE %s", channel);
}

/* --- life */

static void on_connect(const redisAsyncContext *ac, int status)
{
	struct wire *w = ac->ev.data;
	if (status != REDIS_OK || w->over)
		return; /* wire_done comes next */
	w->connected = true;
	w->events->connected(w->arg);
}

static struct wire *attach(struct loop *l, redisAsyncContext *ac)
{
	struct wire *w = XNEW(struct wire);
	w->ac = ac;
	w->loop = l;
	w->io = loop_io_new(l, ac->c.fd, 0, on_io, w);
	loop_task_init(&w->flush, on_flush);
	(void)fcntl(ac->c.fd, F_SETFD, FD_CLOEXEC); /* hiredis does not */
	ac->ev.data = w;
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	ac->ev.cleanup = wire_done;
	guard(w);
	redisAsyncSetConnectCallback(ac, on_connect);
	watch(w, LOOP_READ | LOOP_WRITE, 0);
	return w;
}

struct wire *wire_dial(struct loop *l, const char *address, uint16_t port, const struct wire_events *events, void *arg, char *why,
		       size_t size)
{
	signal(SIGPIPE, SIG_IGN);
	redisAsyncContext *ac = port ? redisAsyncConnect(address, port) : redisAsyncConnectUnix(address);
	if (!ac || ac->err) {
		snprintf(why, size, "%s", ac && ac->errstr && *ac->errstr ? ac->errstr : "no memory");
		if (ac)
			redisAsyncFree(ac);
		return NULL;
	}
	struct wire *w = attach(l, ac);
	w->events = events;
	w->arg = arg;
	return w;
}

void wire_drop(struct wire *w)
{
	w->over = true;
	redisAsyncFree(w->ac);
}
