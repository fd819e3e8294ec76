#include "api/events/events.h"

#include <stdio.h>

#include "api/access.h"
#include "api/answer/error.h"
#include "api/answer/reply.h"
#include "api/events/patterns.h"
#include "api/events/text.h"
#include "api/request.h"
#include "auth/token.h"
#include "bus/ring.h"
#include "bus/transport.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "net/client/sse.h"

#define BACKLOG_MAX (256 * 1024) /* bytes queued for a client, not counting those of its resumption */
#define TICK_MS 1000
#define COMMENT_MS 15000
#define COMMENT_SERVICE_MS 5000 /* for other roles, which must detect a lost connection soon (bus/feed.h) */
#define TOKEN_MS 5000	      /* how often the token of a stream is verified again */

static const struct shape_field query_fields[] = {
	{ "topics", SH_STRING, .max = PATTERNS_MAX * (PATTERN_MAX + 1),
	  .help = "comma-separated patterns of topics, such as server.*,session.status; omit it for all topics" },
	{ "own", SH_BOOL, .help = "for other roles of this program: only events of this process" },
};
const struct shape events_query = SHAPE(NULL, query_fields);

struct stream {
	struct list node;
	struct events *all;
	struct request *q; /* its headers have been freed */
	char *token, *patterns; /* patterns.h; NULL: every topic */
	bool own;	   /* only events of this process */
	size_t resumed;	   /* bytes of the resumption, added to its limit; 0 once the client has read them */
	int64_t comment_ms, token_ms;
};

struct events {
	struct api *api;
	struct ring *ring;
	struct subscription *subscription;
	struct loop_timer *tick;
	struct list streams;
	size_t n;
	bool draining;
	struct metric *open, *slow, *sent;
};

/* --- the end of a stream */

static void stream_free(struct stream *s)
{
	struct events *all = s->all;
	list_remove(&s->node);
	metric_set(all->open, (double)--all->n);
	mem_wipe(s->token, strlen(s->token));
	free(s->token);
	free(s->patterns);
	free(s);
}

static void on_gone(void *arg)
{
	stream_free(arg);
}

static void drop_slow(struct stream *s)
{
	struct http_req *http = s->q->http;
	log_info("api", "closed an event stream of %s: the client reads too slowly", s->q->caller.sub);
	metric_add(s->all->slow, 1);
	stream_free(s);
	http_stream_drop(http);
}

static void stream_end(struct stream *s, const char *reason, const char *message)
{
	struct http_req *http = s->q->http;
	_cleanup_(blob_unrefp) struct blob *text = events_own_text(ring_last_id(s->all->ring), "stream.end", reason, message);
	http_stream_write(http, text, SIZE_MAX);
	stream_free(s);
	http_stream_end(http);
}

/* --- events of a stream */

static bool is_caller(const struct caller *c, const char *user)
{
	return *user && str_eq(user, c->sub);
}

static bool stream_hears(const struct stream *s, const char *topic, const char *user_id, const char *viewer_id, const char *origin)
{
	const struct caller *c = &s->q->caller;
	if (s->own && *origin)
		return false;
	if (!caller_is_admin(c) && !is_caller(c, user_id) && !is_caller(c, viewer_id))
		return false;
	return patterns_match(s->patterns, topic);
}

/* False: the client reads too slowly, and the stream was closed and freed. */
static bool send_text(struct stream *s, struct blob *text)
{
	if (s->resumed && http_stream_backlog(s->q->http) <= BACKLOG_MAX)
		s->resumed = 0;
	if (http_stream_write(s->q->http, text, BACKLOG_MAX + s->resumed))
		return true;
	drop_slow(s);
	return false;
}

/* The lines before an event that only roles get: its position, and its viewer. */
static struct blob *seq_text(const struct events *all, const char *origin, uint64_t seq, const char *viewer_id)
{
	char text[64 + SSE_VIEWER_MAX];
	int n = snprintf(text, sizeof text, "seq: %s/%llu\n", *origin ? origin : bus_origin(all->api->env.bus), (unsigned long long)seq);
	if (*viewer_id && strlen(viewer_id) <= SSE_VIEWER_MAX && !str_has_control(viewer_id, false))
		n += snprintf(text + n, sizeof text - (size_t)n, "viewer: %s\n", viewer_id);
	return blob_new(text, (size_t)n);
}

static void on_bus_event(const struct event *e, void *arg)
{
	struct events *all = arg;
	struct stream *s, *tmp;
	if (str_eq(e->topic, BUS_GAP))
		return; /* only for the roles of this process */
	_cleanup_(blob_unrefp) struct blob *text = events_text(e);
	_cleanup_(blob_unrefp) struct blob *seq = seq_text(all, e->origin, e->seq, e->viewer_id);
	ring_add(all->ring, e, text);
	LIST_FOREACH_SAFE(s, tmp, &all->streams, node)
		if (stream_hears(s, e->topic, e->user_id, e->viewer_id, e->origin) && (!s->q->service || send_text(s, seq)) && send_text(s, text))
			metric_add(all->sent, 1);
}

static void stream_tick(struct stream *s, struct blob *comment, int64_t now_ms)
{
	if (now_ms >= s->token_ms) {
		struct caller c;
		s->token_ms = now_ms + TOKEN_MS;
		enum token_fault fault = token_verify(s->all->api->env.keys, s->token, strlen(s->token), &c);
		if (fault != TOKEN_OK) {
			stream_end(s, "token", token_fault_text(fault));
			return;
		}
	}
	if (now_ms < s->comment_ms)
		return;
	s->comment_ms = now_ms + (s->q->service ? COMMENT_SERVICE_MS : COMMENT_MS);
	send_text(s, comment);
}

static void on_tick(void *arg)
{
	struct events *all = arg;
	struct stream *s, *tmp;
	_cleanup_(blob_unrefp) struct blob *comment = blob_new(": keep-alive\n\n", 14);
	int64_t now_ms = clock_mono_ms();
	LIST_FOREACH_SAFE(s, tmp, &all->streams, node)
		stream_tick(s, comment, now_ms);
	if (all->n)
		loop_timer_set(all->tick, TICK_MS);
}

/* --- the start of a stream */

static bool too_many(struct events *all, const struct caller *c)
{
	size_t most = (size_t)config_int(all->api->env.config, "MAX_CONNECTIONS") / 2, own = 0;
	const struct stream *s;
	if (all->n >= most)
		return true;
	if (caller_is_admin(c))
		return false;
	LIST_FOREACH(s, &all->streams, node)
		own += str_eq(s->q->caller.sub, c->sub);
	return own >= (most + 1) / 2;
}

static void stream_greet(struct stream *s, const char *id)
{
	struct strbuf b = { 0 };
	strbuf_puts(&b, ": events\nretry: 2000\n");
	if (s->q->service)
		strbuf_printf(&b, "seq: %s/0\n", bus_origin(s->all->api->env.bus));
	if (id)
		strbuf_printf(&b, "id: %s\n", id); /* a client can resume even if it has received no event yet */
	strbuf_putc(&b, '\n');
	_cleanup_(blob_unrefp) struct blob *text = blob_new(b.s, b.len);
	http_stream_write(s->q->http, text, SIZE_MAX);
	strbuf_done(&b);
}

static void stream_resume(struct stream *s, const char *last_id)
{
	const struct ring *ring = s->all->ring;
	size_t next;
	char from[24];
	enum ring_place place = ring_find(ring, last_id, &next);
	ring_first_id(ring, from);
	stream_greet(s, NULL);
	if (place != RING_KNOWN) {
		_cleanup_(blob_unrefp) struct blob *gap =
		    place == RING_TOO_OLD ?
			events_own_text(from, "stream.gap", "too-old", "some events after Last-Event-ID are no longer buffered; read the state of your objects again") :
			events_own_text(from, "stream.gap", "restarted",
				 "the program was restarted since Last-Event-ID, and earlier events are lost; read the state of "
				 "your objects again");
		http_stream_write(s->q->http, gap, SIZE_MAX);
	}
	for (; next < ring_count(ring); next++) {
		const struct ring_event *e = ring_at(ring, next);
		if (!stream_hears(s, e->topic, e->user_id, e->viewer_id, e->origin))
			continue;
		if (s->q->service) {
			_cleanup_(blob_unrefp) struct blob *seq = seq_text(s->all, e->origin, e->seq, e->viewer_id);
			http_stream_write(s->q->http, seq, SIZE_MAX);
			s->resumed += seq->len;
		}
		http_stream_write(s->q->http, e->text, SIZE_MAX); /* bounded by the ring */
		s->resumed += e->text->len;
	}
}

static void stream_begin(struct request *q, const char *token, char *consume_patterns)
{
	static const struct http_stream_events from_http = { .gone = on_gone };
	struct events *all = q->api->events;
	bool again = false;
	const char *header = http_req_header(q->http, "Last-Event-ID", &again);
	_cleanup_(xfreep) char *last_id = header && *header && !again ? xstrdup(header) : NULL;
	struct stream *s = XNEW(struct stream);
	s->all = all;
	s->q = q;
	s->token = xstrdup(token);
	s->patterns = consume_patterns;
	s->own = doc_bool(q->query, "own", false);
	list_append(&all->streams, &s->node);
	metric_set(all->open, (double)++all->n);
	if (!reply_stream(q, HTTP_STREAM_OPEN, &(struct reply){ .type = "text/event-stream" }, &from_http, s)) {
		stream_free(s);
		return;
	}
	q->id = ""; /* it may point into the headers, which are freed */
	if (!loop_timer_pending(all->tick))
		loop_timer_set(all->tick, TICK_MS);
	if (last_id)
		stream_resume(s, last_id);
	else
		stream_greet(s, ring_last_id(all->ring));
}

void events_page(struct request *q)
{
	struct faults f = { 0 };
	const char *topics = doc_str(q->query, "topics", NULL);
	char *patterns = topics ? patterns_read(topics, &f) : NULL;
	if (faults_any(&f)) {
		reply_error(q, &(struct error_page){ .err = ERR_INVALID, .details = f.list });
		faults_done(&f);
		return;
	}
	if (doc_bool(q->query, "own", false) && !q->service) {
		free(patterns);
		reply_error_text(q, ERR_FORBIDDEN, "own=true is reserved for roles of this program; omit it");
		return;
	}
	bool full = too_many(q->api->events, &q->caller);
	if (!full && !q->api->events->draining) {
		stream_begin(q, access_token(q), patterns);
		return;
	}
	free(patterns);
	if (full)
		reply_error_text(q, ERR_BUSY, "too many event streams are open; close some, or retry after the time given in Retry-After");
	else
		reply_error_text(q, ERR_UNAVAILABLE, "the service is shutting down; retry in a few seconds");
}

/* --- all streams */

void events_drain(struct events *all)
{
	struct stream *s, *tmp;
	all->draining = true;
	LIST_FOREACH_SAFE(s, tmp, &all->streams, node)
		stream_end(s, "drain", "the service is shutting down; reconnect in a few seconds");
}

struct events *events_new(struct api *a)
{
	struct events *all = XNEW(struct events);
	char last[24];
	all->api = a;
	list_init(&all->streams);
	bus_last_event_id(a->env.bus, last);
	all->ring = ring_new(last);
	all->subscription = bus_subscribe(a->env.bus, "*", on_bus_event, all);
	all->tick = loop_timer_new(a->env.loop, on_tick, all);
	all->open = metric_series(metric_family("rdp_event_streams", METRIC_GAUGE, NULL, "Open event streams (GET /events)."), NULL);
	all->slow = metric_series(metric_family("rdp_event_streams_dropped_total", METRIC_COUNTER, NULL,
						"Event streams closed because the client read too slowly for its queue."), NULL);
	all->sent = metric_series(metric_family("rdp_events_sent_total", METRIC_COUNTER, NULL, "Events sent to clients, summed over all event streams."), NULL);
	return all;
}

void events_free(struct events *all)
{
	struct stream *s, *tmp;
	LIST_FOREACH_SAFE(s, tmp, &all->streams, node) {
		struct http_req *http = s->q->http;
		stream_free(s);
		http_stream_drop(http);
	}
	bus_unsubscribe(all->subscription);
	loop_timer_free(all->tick);
	ring_free(all->ring);
	free(all);
}
