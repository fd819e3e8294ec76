#include "net/http_feed.h"

#include <event2/buffer.h>
#include <strings.h>

#include "net/http_link.h"
#include "net/http_wire.h"

#define GATHER_MAX (1 << 20) /* of what was not taken yet; lines are shorter */

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

static void end(struct http_feed *f, int status, const char *why, const char *body)
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
	end(f, 0, f->streams ? "it was silent for too long" : "no answer in time", "");
}

static void on_sse(const struct sse_event *e, void *arg)
{
	struct http_feed *f = arg;
	f->events->event(e, f->arg);
}

/* What was answered instead, or the head is the only thing that is wrong. */
static void refuse(struct http_feed *f)
{
	struct evbuffer *b = f->link->answer.body;
	size_t len = MIN(evbuffer_get_length(b), (size_t)65536);
	_cleanup_(xfreep) char *body = xcalloc(1, len + 1);
	evbuffer_copyout(b, body, len);
	end(f, f->link->answer.status, "what it answered is no stream of events", body);
}

static bool is_stream(const struct http_answer *a)
{
	const char *type = http_answer_header(a, "Content-Type");
	return a->status == 200 && type && !strncasecmp(type, "text/event-stream", 17);
}

/* False: it is no proper stream. */
static bool take(struct http_feed *f)
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
		return; /* until all of it is there, or the time is over */
	loop_timer_set(f->idle, f->idle_ms);
	bool good = take(f);
	if (f->over)
		feed_free(f);
	else if (!good)
		end(f, 0, "what it sends is no proper stream of events", "");
}

static void on_answer(struct link *k, void *arg)
{
	struct http_feed *f = arg;
	if (!f)
		return;
	if (!is_stream(&k->answer)) {
		refuse(f);
		return;
	}
	take(f);
	end(f, 0, "the other side ended it", "");
}

static void on_lost(struct link *k, void *arg)
{
	if (arg)
		end(arg, 0, k->why, "");
}

static struct evbuffer *make_request(const struct http_url *u, const struct http_header *headers, size_t n)
{
	struct evbuffer *out = evbuffer_new();
	if (!out)
		abort(); /* no memory */
	evbuffer_add_printf(out, "GET %s%s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n", *u->path == '/' ? "" : "/", u->path,
			    u->host_header);
	for (size_t i = 0; i < n; i++)
		evbuffer_add_printf(out, "%s: %s\r\n", headers[i].name, headers[i].value);
	evbuffer_add(out, "\r\n", 2);
	return out;
}

struct http_feed *http_feed_open(struct loop *l, struct http_client *c, const char *url, const struct http_header *headers, size_t n,
				 int64_t idle_ms, const struct http_feed_events *events, void *arg, const char **ret_why)
{
	static const struct link_events link_events = { on_answer, on_lost, on_more };
	struct http_url u;
	if (http_url_parse(url, &u, ret_why) < 0)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (!http_header_ok(&headers[i])) {
			*ret_why = "a header has a control character or no proper name";
			return NULL;
		}
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
	struct evbuffer *request = make_request(&u, headers, n);
	link_ask(f->link, request, false, GATHER_MAX);
	evbuffer_free(request);
	loop_timer_set(f->idle, idle_ms);
	return f;
}
