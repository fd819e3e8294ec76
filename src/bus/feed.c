#include "bus/feed.h"

#include <stdio.h>

#include "lucid/backoff.h"
#include "lucid/clock.h"
#include "lucid/doc.h"
#include "lucid/log.h"
#include "lucid/metrics.h"
#include "net/client/http_feed.h"

#define AGAIN_FIRST_MS 100
#define AGAIN_MOST_MS 4000
#define STEADY_MS 5000 /* a connection that lasted this long resets the back-off */
#define ORIGIN_LEN 16

struct feed {
	struct loop *loop;
	struct bus *bus;
	struct http_client *client;
	struct service_token *token;
	char *url;
	void (*on_alive)(void *arg);
	void *arg;
	struct http_feed *stream; /* NULL: waiting to reconnect, or paused */
	struct loop_timer *again;
	struct backoff wait;
	int64_t opened_ms; /* 0: not open */
	bool paused, told; /* told: the failure to connect was logged */
	char last_id[SSE_ID_MAX + 1], origin[ORIGIN_LEN + 1];
	struct metric *up, *events, *gaps;
};

/* --- events */

/* "0123456789abcdef/12" */
static bool read_seq(const char *text, char ret_origin[ORIGIN_LEN + 1], uint64_t *ret_seq)
{
	int64_t n;
	if (strspn(text, "0123456789abcdef") != ORIGIN_LEN || text[ORIGIN_LEN] != '/' ||
	    !str_int(text + ORIGIN_LEN + 1, 0, INT64_MAX, &n))
		return false;
	memcpy(ret_origin, text, ORIGIN_LEN);
	ret_origin[ORIGIN_LEN] = 0;
	*ret_seq = (uint64_t)n;
	return true;
}

static void feed_gap(struct feed *f)
{
	metric_add(f->gaps, 1);
	bus_gap(f->bus, f->origin);
}

static const char *object_of(const json_t *doc)
{
	static const char *const names[] = { "server_id", "session_id", "object_id" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (json_object_get(doc, names[i]))
			return doc_str(doc, names[i], "");
	return "";
}

static void feed_deliver(struct feed *f, const struct sse_event *s, uint64_t seq)
{
	_cleanup_(doc_unrefp) json_t *doc = doc_parse(s->data, strlen(s->data), NULL, 0);
	struct event e = { .origin = f->origin, .seq = seq, .topic = doc_str(doc, "topic", ""), .time_ms = clock_wall_ms(),
			   .user_id = doc_str(doc, "user_id", ""), .viewer_id = s->viewer, .object_id = object_of(doc) };
	json_t *data = json_object_get(doc, "data");
	if (!*e.topic || !json_is_object(data)) {
		log_warn("bus", "%s sent a malformed event", f->url);
		feed_gap(f);
		return;
	}
	clock_from_iso(doc_str(doc, "timestamp", ""), &e.time_ms);
	metric_add(f->events, 1);
	if (bus_deliver_foreign(f->bus, &e, json_incref(data)) == BUS_AFTER_GAP)
		metric_add(f->gaps, 1);
}

static void on_feed_event(const struct sse_event *s, void *arg)
{
	struct feed *f = arg;
	uint64_t seq = 0;
	bool is_ours = read_seq(s->seq, f->origin, &seq);
	if (is_ours && *s->data)
		feed_deliver(f, s, seq);
	else if (str_eq(s->name, "stream.gap"))
		feed_gap(f);
	/* the first event has no data, only origin and id; after stream.end the server closes the stream */
	str_copy(f->last_id, sizeof f->last_id, s->id);
}

/* --- the connection */

static void on_opened(void *arg)
{
	struct feed *f = arg;
	f->opened_ms = clock_mono_ms();
	metric_set(f->up, 1);
	log_info("bus", "the event stream of %s is connected", f->url);
	f->told = false;
	if (!f->last_id[0])
		feed_gap(f);
	if (f->on_alive)
		f->on_alive(f->arg);
}

static void feed_reconnect(struct feed *f)
{
	if (f->opened_ms && clock_mono_ms() - f->opened_ms >= STEADY_MS)
		backoff_reset(&f->wait);
	f->opened_ms = 0;
	metric_set(f->up, 0);
	loop_timer_set(f->again, backoff_next(&f->wait));
}

static void log_unconnected(struct feed *f, int status, const char *why, const char *body)
{
	_cleanup_(doc_unrefp) json_t *page = *body ? doc_parse(body, strlen(body), NULL, 0) : NULL;
	const char *message = doc_str(json_object_get(page, "error"), "message", "");
	if (f->told)
		return;
	f->told = true;
	if (status)
		log_warn("bus", "the event stream of %s is not connected: it answered %d%s%s", f->url, status, *message ? ": " : "", message);
	else
		log_warn("bus", "the event stream of %s is not connected: %s", f->url, why);
}

static void on_closed(int status, const char *why, const char *body, void *arg)
{
	struct feed *f = arg;
	f->stream = NULL;
	if (!f->opened_ms) /* an established stream that ends is reconnected without a log line */
		log_unconnected(f, status, why, body);
	feed_reconnect(f);
}

static void open_stream(void *arg)
{
	static const struct http_feed_events events = { on_opened, on_feed_event, on_closed };
	struct feed *f = arg;
	struct http_header headers[] = { { "Authorization", service_token_get(f->token) }, { "Last-Event-ID", f->last_id } };
	_cleanup_(xfreep) char *url = xasprintf("%s/events?own=true", f->url);
	const char *why = "";
	f->stream = http_feed_open(f->loop, f->client, url, headers, f->last_id[0] ? 2 : 1, FEED_SILENCE_MS, &events, f, &why);
	if (f->stream)
		return;
	log_unconnected(f, 0, why, "");
	feed_reconnect(f);
}

/* --- life */

static struct metric_family *up_family(void)
{
	return metric_family("rdp_feed_up", METRIC_GAUGE, "peer", "1 if the event stream of another process is connected, 0 if not.");
}

static struct metric_family *events_family(void)
{
	return metric_family("rdp_feed_events_total", METRIC_COUNTER, "peer", "Events received over the event stream of another process.");
}

static struct metric_family *gaps_family(void)
{
	return metric_family("rdp_feed_gaps_total", METRIC_COUNTER, "peer", "Gaps in the event stream of another process: events may have been missed, so states are read again.");
}

void feed_declare_figures(void)
{
	up_family();
	events_family();
	gaps_family();
}

void feed_pause(struct feed *f, bool paused)
{
	if (f->paused == paused)
		return;
	f->paused = paused;
	backoff_reset(&f->wait);
	loop_timer_clear(f->again);
	http_feed_close(TAKE_PTR(f->stream));
	f->opened_ms = 0;
	metric_set(f->up, 0);
	if (!paused)
		loop_timer_set(f->again, 0);
}

struct feed *feed_new(struct loop *l, struct bus *b, struct http_client *client, struct service_token *token, const char *url,
		      void (*on_alive)(void *arg), void *arg)
{
	struct feed *f = XNEW(struct feed);
	f->loop = l;
	f->bus = b;
	f->client = client;
	f->token = token;
	f->url = xstrdup(url);
	f->on_alive = on_alive;
	f->arg = arg;
	f->wait = (struct backoff){ AGAIN_FIRST_MS, AGAIN_MOST_MS, 0 };
	f->again = loop_timer_new(l, open_stream, f);
	f->up = metric_with(up_family(), url);
	f->events = metric_with(events_family(), url);
	f->gaps = metric_with(gaps_family(), url);
	f->paused = true;
	return f;
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	http_feed_close(f->stream);
	loop_timer_free(f->again);
	metric_forget(up_family(), f->url);
	metric_forget(events_family(), f->url);
	metric_forget(gaps_family(), f->url);
	free(f->url);
	free(f);
}
