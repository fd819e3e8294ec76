#include "api/core.h"

#include <stdio.h>

#include "bus/ring.h"
#include "bus/transport.h"
#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/log.h"
#include "lucid/metrics.h"

/*
 * GET /events: what happens, as server-sent events. An event is serialised once, kept in a ring, and sent by reference to every
 * stream that may hear it: an admin hears all, a user what is its own. Who comes back with Last-Event-ID gets what it missed,
 * or is told first that some of it is gone. A reader that is too slow is dropped and can resume; a stream ends with its token.
 * Another role (bus/feed.h) also gets the field `seq` with each: where it happened and the how-manieth it was there. Browsers do
 * not know that field, and pass it over.
 */

#define BACKLOG_MAX (256 * 1024) /* bytes that wait for one client, beside what it resumed with */
#define TICK_MS 1000
#define COMMENT_MS 15000
#define COMMENT_SERVICE_MS 5000 /* another role wants to know soon that we are gone */
#define TOKEN_MS 5000	      /* how often a stream's token is looked at */
#define EVENT_MAX (64 * 1024) /* a larger one is sent without its data */
#define PATTERNS 16
#define PATTERN_MAX 64

static const struct shape_field query_fields[] = {
	{ "topics", SH_STRING, .max = PATTERNS * (PATTERN_MAX + 1),
	  .help = "patterns of topics, with commas between them: server.*,session.status; all when absent" },
	{ "own", SH_BOOL, .help = "for other roles of this program: only what happened in this process" },
};
const struct shape events_query = SHAPE(NULL, query_fields);

struct stream {
	struct list node;
	struct events *all;
	struct request *q; /* of it only what is not from the head */
	char *token, *patterns; /* each pattern terminated, and an empty one at the end; NULL: every topic */
	bool own;	   /* nothing that happened in other processes */
	size_t resumed;	   /* bytes that were sent at once for it to catch up with; 0: it has */
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

/* --- the text of an event */

static void add_member(struct strbuf *b, const char *before, const char *text)
{
	strbuf_puts(b, before);
	strbuf_json(b, text);
}

static const char *kind_of(const char *object_id)
{
	return str_starts(object_id, "sess-") ? ",\"session_id\":" : id_is_uuid(object_id) ? ",\"server_id\":" : ",\"object_id\":";
}

static struct blob *event_text(const struct event *e)
{
	char iso[CLOCK_ISO_SIZE];
	struct strbuf b = { 0 };
	_cleanup_(xfreep) char *data = doc_text(e->data);
	strbuf_printf(&b, "id: %s\nevent: %s\ndata: ", e->id, e->topic);
	add_member(&b, "{\"id\":", e->id);
	add_member(&b, ",\"topic\":", e->topic);
	add_member(&b, ",\"timestamp\":", clock_iso(iso, e->time_ms));
	if (*e->object_id)
		add_member(&b, kind_of(e->object_id), e->object_id);
	add_member(&b, ",\"user_id\":", e->user_id);
	strbuf_puts(&b, ",\"data\":");
	strbuf_puts(&b, strlen(data) <= EVENT_MAX ? data : "{\"too_large\":true}");
	strbuf_puts(&b, "}\n\n");
	struct blob *text = blob_new(b.s, b.len);
	strbuf_done(&b);
	return text;
}

/* An event of the stream itself; `id` is where it resumes from. */
static struct blob *own_text(const char *id, const char *topic, const char *reason, const char *message)
{
	struct event e = { .topic = topic, .time_ms = clock_wall_ms(), .user_id = "", .object_id = "" };
	_cleanup_(doc_unrefp) json_t *data = json_pack("{s:s,s:s}", "reason", reason, "message", message);
	e.data = data;
	str_copy(e.id, sizeof e.id, id);
	return event_text(&e);
}

/* --- the end of a stream */

static void forget(struct stream *s)
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
	forget(arg);
}

static void drop_slow(struct stream *s)
{
	struct http_req *http = s->q->http;
	log_info("api", "an event stream of %s reads too slowly and was closed", s->q->caller.sub);
	metric_add(s->all->slow, 1);
	forget(s);
	http_stream_drop(http);
}

static void end(struct stream *s, const char *reason, const char *message)
{
	struct http_req *http = s->q->http;
	_cleanup_(blob_unrefp) struct blob *text = own_text(ring_last_id(s->all->ring), "stream.end", reason, message);
	http_stream_write(http, text, SIZE_MAX);
	forget(s);
	http_stream_end(http);
}

/* --- what a stream hears */

static bool hears(const struct stream *s, const char *topic, const char *user_id, const char *origin)
{
	const struct caller *c = &s->q->caller;
	if (s->own && *origin)
		return false;
	if (!caller_is_admin(c) && (!*user_id || !str_eq(user_id, c->sub)))
		return false;
	for (const char *p = s->patterns; p && *p; p += strlen(p) + 1)
		if (str_match(p, topic))
			return true;
	return !s->patterns;
}

/* False: it was too slow, and is gone. */
static bool send_text(struct stream *s, struct blob *text)
{
	if (s->resumed && http_stream_backlog(s->q->http) <= BACKLOG_MAX)
		s->resumed = 0;
	if (http_stream_write(s->q->http, text, BACKLOG_MAX + s->resumed))
		return true;
	drop_slow(s);
	return false;
}

static struct blob *seq_text(const struct events *all, const char *origin, uint64_t seq)
{
	char text[64];
	int n = snprintf(text, sizeof text, "seq: %s/%llu\n", *origin ? origin : bus_origin(all->api->env.bus), (unsigned long long)seq);
	return blob_new(text, (size_t)n);
}

static void on_event(const struct event *e, void *arg)
{
	struct events *all = arg;
	struct stream *s, *tmp;
	if (str_eq(e->topic, BUS_GAP))
		return; /* between the roles of this process */
	_cleanup_(blob_unrefp) struct blob *text = event_text(e);
	_cleanup_(blob_unrefp) struct blob *seq = seq_text(all, e->origin, e->seq);
	ring_add(all->ring, e, text);
	LIST_FOREACH_SAFE(s, tmp, &all->streams, node)
		if (hears(s, e->topic, e->user_id, e->origin) && (!s->q->service || send_text(s, seq)) && send_text(s, text))
			metric_add(all->sent, 1);
}

static void look_at(struct stream *s, struct blob *comment, int64_t now_ms)
{
	if (now_ms >= s->token_ms) {
		struct caller c;
		s->token_ms = now_ms + TOKEN_MS;
		enum token_fault fault = token_verify(s->all->api->env.keys, s->token, strlen(s->token), &c);
		if (fault != TOKEN_OK) {
			end(s, "token", token_fault_text(fault));
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
	_cleanup_(blob_unrefp) struct blob *comment = blob_new(": still here\n\n", 14);
	int64_t now_ms = clock_mono_ms();
	LIST_FOREACH_SAFE(s, tmp, &all->streams, node)
		look_at(s, comment, now_ms);
	if (all->n)
		loop_timer_set(all->tick, TICK_MS);
}

/* --- the beginning of a stream */

/* "a,b" to "a\0b\0\0"; NULL with a fault when there is something that is no pattern. */
static char *read_patterns(const char *topics, struct faults *f)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._*-";
	size_t len = strlen(topics), n = 1;
	char *list = xcalloc(1, len + 2);
	for (const char *p = topics;; n++) {
		size_t part = strcspn(p, ",");
		if (!part || part > PATTERN_MAX || strspn(p, good) < part || n > PATTERNS) {
			faults_add(f, "topics", "takes up to %d patterns of 1 to %d letters, digits, '.', '_', '-' and '*', with commas "
				   "between them", PATTERNS, PATTERN_MAX);
			free(list);
			return NULL;
		}
		memcpy(list + (p - topics), p, part);
		if (!p[part])
			return list;
		p += part + 1;
	}
}

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

static void greet(struct stream *s, const char *id)
{
	struct strbuf b = { 0 };
	strbuf_puts(&b, ": events\nretry: 2000\n");
	if (s->q->service)
		strbuf_printf(&b, "seq: %s/0\n", bus_origin(s->all->api->env.bus));
	if (id)
		strbuf_printf(&b, "id: %s\n", id); /* so that also who heard nothing yet can resume */
	strbuf_putc(&b, '\n');
	_cleanup_(blob_unrefp) struct blob *text = blob_new(b.s, b.len);
	http_stream_write(s->q->http, text, SIZE_MAX);
	strbuf_done(&b);
}

static void resume(struct stream *s, const char *last_id)
{
	const struct ring *ring = s->all->ring;
	size_t next;
	char from[24];
	enum ring_place place = ring_find(ring, last_id, &next);
	ring_first_id(ring, from);
	greet(s, NULL);
	if (place != RING_KNOWN) {
		_cleanup_(blob_unrefp) struct blob *gap =
		    place == RING_TOO_OLD ?
			own_text(from, "stream.gap", "too-old", "some events after Last-Event-ID are gone; read the state of what matters again") :
			own_text(from, "stream.gap", "restarted",
				 "the program was started anew since Last-Event-ID, and what came before is gone; read the state of "
				 "what matters again");
		http_stream_write(s->q->http, gap, SIZE_MAX);
	}
	for (; next < ring_count(ring); next++) {
		const struct ring_event *e = ring_at(ring, next);
		if (!hears(s, e->topic, e->user_id, e->origin))
			continue;
		if (s->q->service) {
			_cleanup_(blob_unrefp) struct blob *seq = seq_text(s->all, e->origin, e->seq);
			http_stream_write(s->q->http, seq, SIZE_MAX);
			s->resumed += seq->len;
		}
		http_stream_write(s->q->http, e->text, SIZE_MAX); /* bounded: by the ring */
		s->resumed += e->text->len;
	}
}

static void begin(struct request *q, const char *token, char *consume_patterns)
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
	if (!reply_stream(q, HTTP_STREAM_OPEN, "text/event-stream", &from_http, s)) {
		forget(s);
		return;
	}
	q->id = ""; /* it may have stood in the head, which is gone */
	if (!loop_timer_pending(all->tick))
		loop_timer_set(all->tick, TICK_MS);
	if (last_id)
		resume(s, last_id);
	else
		greet(s, ring_last_id(all->ring));
}

void events_page(struct request *q)
{
	struct faults f = { 0 };
	if (access_check(q, OP_USER, RATE_DEFAULT) < 0)
		return;
	const char *topics = doc_str(q->query, "topics", NULL);
	char *patterns = topics ? read_patterns(topics, &f) : NULL;
	if (faults_any(&f)) {
		reply_error(q, &(struct error_page){ .err = ERR_INVALID, .details = f.list });
		faults_done(&f);
		return;
	}
	if (doc_bool(q->query, "own", false) && !q->service) {
		free(patterns);
		reply_error_text(q, ERR_FORBIDDEN, "own=true is for the roles of this program among themselves; leave it out");
		return;
	}
	bool full = too_many(q->api->events, &q->caller);
	if (!full && !q->api->events->draining) {
		begin(q, access_token(q), patterns);
		return;
	}
	free(patterns);
	if (full)
		reply_error_text(q, ERR_BUSY, "too many event streams are open; close some, or try again as Retry-After says");
	else
		reply_error_text(q, ERR_UNAVAILABLE, "the service is shutting down; try again in a moment");
}

/* --- all of them */

void events_drain(struct events *all)
{
	struct stream *s, *tmp;
	all->draining = true;
	LIST_FOREACH_SAFE(s, tmp, &all->streams, node)
		end(s, "drain", "the service is shutting down; connect again in a moment");
}

struct events *events_new(struct api *a)
{
	struct events *all = XNEW(struct events);
	char last[24];
	all->api = a;
	list_init(&all->streams);
	bus_last_event_id(a->env.bus, last);
	all->ring = ring_new(last);
	all->subscription = bus_subscribe(a->env.bus, "*", on_event, all);
	all->tick = loop_timer_new(a->env.loop, on_tick, all);
	all->open = metric_series(metric_family("rdp_event_streams", METRIC_GAUGE, NULL, "Open event streams."), NULL);
	all->slow = metric_series(metric_family("rdp_event_streams_dropped_total", METRIC_COUNTER, NULL,
						"Event streams closed because their readers were too slow."), NULL);
	all->sent = metric_series(metric_family("rdp_events_sent_total", METRIC_COUNTER, NULL, "Events sent, each stream counted."), NULL);
	return all;
}

void events_free(struct events *all)
{
	struct stream *s, *tmp;
	LIST_FOREACH_SAFE(s, tmp, &all->streams, node) {
		struct http_req *http = s->q->http;
		forget(s);
		http_stream_drop(http);
	}
	bus_unsubscribe(all->subscription);
	loop_timer_free(all->tick);
	ring_free(all->ring);
	free(all);
}
