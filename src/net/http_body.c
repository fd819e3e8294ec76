#include "net/http_body.h"

#include <event2/buffer.h>

#include "lucid/errs.h"
#include "net/http_client.h"

struct http_body {
	struct source *source;
	struct link *link; /* NULL: nothing more will come */
	struct evbuffer *held;
	struct loop_timer *idle; /* while more is wanted */
	const struct http_body_events *events;
	void *arg;
	bool wanted;
};

static void give(struct http_body *b)
{
	size_t n = MIN(evbuffer_get_length(b->held), (size_t)SOURCE_PIECE);
	if (!b->wanted || !n)
		return;
	struct blob *piece = blob_new(NULL, n);
	evbuffer_remove(b->held, piece->data, n);
	b->wanted = false;
	source_put(b->source, piece);
}

static void finish(struct http_body *b, const char *why)
{
	b->link = NULL;
	loop_timer_clear(b->idle);
	if (!evbuffer_get_length(b->held) || why) /* of what is whole, what is held is given first */
		source_break(b->source, why ? -ERR_UNAVAILABLE : 0, why);
}

static void on_idle(void *arg)
{
	struct http_body *b = arg;
	finish(b, "nothing more came in time");
	b->events->dropped(b->arg);
}

static void want(struct source *s, void *ctx)
{
	struct http_body *b = ctx;
	b->wanted = true;
	give(b);
	if (!b->link && b->wanted)
		source_end(s);
	if (!b->link)
		return;
	if (b->wanted)
		loop_timer_set(b->idle, HTTP_BODY_IDLE_MS);
	if (evbuffer_get_length(b->held) < HTTP_BODY_HELD)
		link_hold(b->link, false);
}

static void closed(void *ctx)
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
	static const struct source_ops ops = { want, closed };
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
	give(b);
	link_hold(b->link, evbuffer_get_length(b->held) >= HTTP_BODY_HELD);
}

void http_body_end(struct http_body *b, const char *why)
{
	evbuffer_add_buffer(b->held, b->link->answer.body);
	link_hold(b->link, false); /* another answer may come on it */
	give(b);
	finish(b, why);
}
