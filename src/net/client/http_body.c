#include "net/client/http_body.h"

#include <event2/buffer.h>

#include "lucid/errs.h"

struct http_body {
	struct source *source;
	struct link *link; /* NULL: the body has ended */
	struct evbuffer *held;
	struct loop_timer *idle; /* while the reader waits */
	const struct http_body_events *events;
	void *arg;
	bool wanted;
};

static void body_give(struct http_body *b)
{
	size_t n = MIN(evbuffer_get_length(b->held), (size_t)SOURCE_PIECE);
	if (!b->wanted || !n)
		return;
	struct blob *piece = blob_new(NULL, n);
	evbuffer_remove(b->held, piece->data, n);
	b->wanted = false;
	source_put(b->source, piece);
}

static void body_finish(struct http_body *b, const char *why)
{
	b->link = NULL;
	loop_timer_clear(b->idle);
	if (!evbuffer_get_length(b->held) || why) /* a complete body ends after the buffered pieces were read */
		source_break(b->source, why ? -ERR_UNAVAILABLE : 0, why);
}

static void on_idle(void *arg)
{
	struct http_body *b = arg;
	body_finish(b, "timed out waiting for more data");
	b->events->dropped(b->arg);
}

static void body_want(struct source *s, void *ctx)
{
	struct http_body *b = ctx;
	b->wanted = true;
	body_give(b);
	if (!b->link && b->wanted)
		source_end(s);
	if (!b->link)
		return;
	if (b->wanted)
		loop_timer_set(b->idle, HTTP_BODY_IDLE_MS);
	if (evbuffer_get_length(b->held) < HTTP_BODY_HELD)
		link_hold(b->link, false);
}

static void body_closed(void *ctx)
{
	struct http_body *b = ctx;
	if (b->link)
		b->events->dropped(b->arg);
	loop_timer_free(b->idle);
	evbuffer_free(b->held);
	free(b);
}

struct http_body *http_body_new(struct loop *l, struct link *k, const struct http_body_events *events, void *arg)
{
	static const struct source_ops ops = { body_want, body_closed };
	struct http_body *b = XNEW(struct http_body);
	*b = (struct http_body){ .link = k, .held = evbuffer_new(), .events = events, .arg = arg };
	if (!b->held)
		abort(); /* no memory */
	b->idle = loop_timer_new(l, on_idle, b);
	b->source = source_new(l, &ops, b);
	return b;
}

struct source *http_body_source(struct http_body *b)
{
	return b->source;
}

void http_body_more(struct http_body *b)
{
	evbuffer_add_buffer(b->held, b->link->answer.body);
	if (evbuffer_get_length(b->held) > 0)
		loop_timer_clear(b->idle);
	body_give(b);
	link_hold(b->link, evbuffer_get_length(b->held) >= HTTP_BODY_HELD);
}

void http_body_end(struct http_body *b, const char *why)
{
	evbuffer_add_buffer(b->held, b->link->answer.body);
	link_hold(b->link, false); /* the connection may be reused */
	body_give(b);
	body_finish(b, why);
}
