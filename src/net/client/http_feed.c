#include "net/client/http_feed.h"

#include <event2/buffer.h>
#include <strings.h>

#include "net/client/http_link.h"

#define GATHER_MAX (1 << 20) /* bytes not parsed yet; lines are shorter (SSE_LINE_MAX) */

struct http_feed {
	struct http_client *client;
	struct link *link;
	struct loop_timer *idle;
	int64_t idle_ms;
	struct sse sse;
	const struct http_feed_events *events;
	void *arg;
	bool streams, inside, over;
};

static void feed_free(struct http_feed *f)
{
	if (f->link) {
		f->link->arg = NULL;
		http_client_drop(f->client, f->link);
	}
	loop_timer_free(f->idle);
	sse_done(&f->sse);
	free(f);
}

void http_feed_close(struct http_feed *f)
{
	if (!f)
		return;
	f->over = f->sse.stop = true;
	if (!f->inside)
		feed_free(f);
}

static void feed_end(struct http_feed *f, int status, const char *why, const char *body)
{
	if (!f->over) {
		f->over = f->inside = true;
		f->events->closed(status, why, body, f->arg);
	}
	feed_free(f);
}

static void on_idle(void *arg)
{
	struct http_feed *f = arg;
	feed_end(f, 0, f->streams ? "timed out waiting for an event or keep-alive" : "timed out waiting for a response", "");
}

static void on_sse(const struct sse_event *e, void *arg)
{
	struct http_feed *f = arg;
	f->events->event(e, f->arg);
}

/* The response is not an event stream: report it with its body. */
static void feed_refuse(struct http_feed *f)
{
	struct evbuffer *b = f->link->answer.body;
	size_t len = MIN(evbuffer_get_length(b), (size_t)65536);
	_cleanup_(xfreep) char *body = xcalloc(1, len + 1);
	evbuffer_copyout(b, body, len);
	feed_end(f, f->link->answer.status, "its response is not an event stream", body);
}

static bool is_stream(const struct http_answer *a)
{
	const char *type = http_answer_header(a, "Content-Type");
	return a->status == 200 && type && !strncasecmp(type, "text/event-stream", 17);
}

/* False: the stream is malformed. */
static bool feed_parse(struct http_feed *f)
{
	f->inside = true;
	if (!f->streams) {
		f->streams = true;
		f->events->opened(f->arg);
	}
	bool good = f->over || sse_feed(&f->sse, f->link->answer.body, on_sse, f);
	f->inside = false;
	return good;
}

static void on_more(struct link *k, void *arg)
{
	struct http_feed *f = arg;
	if (!f)
		return;
	if (!f->streams && !is_stream(&k->answer))
		return; /* wait for the complete response, for on_answer to report it */
	loop_timer_set(f->idle, f->idle_ms);
	bool good = feed_parse(f);
	if (f->over)
		feed_free(f);
	else if (!good)
		feed_end(f, 0, "it sends a malformed event stream", "");
}

static void on_answer(struct link *k, void *arg)
{
	struct http_feed *f = arg;
	if (!f)
		return;
	if (!is_stream(&k->answer)) {
		feed_refuse(f);
		return;
	}
	feed_parse(f);
	feed_end(f, 0, "the peer ended the stream", "");
}

static void on_lost(struct link *k, void *arg)
{
	if (arg)
		feed_end(arg, 0, k->why, "");
}

struct http_feed *http_feed_open(struct loop *l, struct http_client *c, const char *url, const struct http_header *headers, size_t n,
				 int64_t idle_ms, const struct http_feed_events *events, void *arg, const char **ret_why)
{
	static const struct link_events link_events = { on_answer, on_lost, on_more };
	_cleanup_(xfreep) struct http_header *all = xcalloc(n + 1, sizeof *all);
	struct http_ask ask = { .method = HTTP_GET, .url = url, .headers = all, .n_headers = n + 1 };
	struct http_url u;
	all[0] = (struct http_header){ "Accept", "text/event-stream" };
	for (size_t i = 0; i < n; i++)
		all[i + 1] = headers[i];
	if (http_ask_check(&ask, &u, ret_why) < 0)
		return NULL;
	struct http_feed *f = XNEW(struct http_feed);
	f->client = c;
	f->idle_ms = idle_ms;
	f->events = events;
	f->arg = arg;
	sse_init(&f->sse);
	f->idle = loop_timer_new(l, on_idle, f);
	f->link = http_client_dial(c, &u, &link_events, f, ret_why);
	if (!f->link) {
		feed_free(f);
		return NULL;
	}
	struct evbuffer *request = http_ask_write(&ask, &u);
	link_ask(f->link, request, false, GATHER_MAX);
	evbuffer_free(request);
	loop_timer_set(f->idle, idle_ms);
	return f;
}
