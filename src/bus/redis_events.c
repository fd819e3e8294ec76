#include "bus/redis_events.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/doc.h"
#include "lucid/log.h"
#include "lucid/metrics.h"
#include "lucid/str.h"

#define TICK_MS 1000
#define BEAT_TICKS 5
#define SILENCE_MS 15000 /* without a heartbeat for this long, another process counts as disconnected */
#define SILENCE_S "15"
#define OTHERS_MAX 256
#define ORIGIN_LEN 16
#define NAME_MAX_ 128

enum { SENT, RECEIVED, DROPPED, MALFORMED, KINDS };
static const char *const kinds[KINDS] = { "sent", "received", "dropped", "malformed" };

struct other {
	struct list node;
	char origin[ORIGIN_LEN + 1];
	char what[2 * NAME_MAX_]; /* "rdp-server-manager, xrdp-integration on node-1" */
	int64_t heard_ms;
};

struct redis_events {
	struct transport transport;
	struct bus *bus;
	struct redis_link *commands, *feed;
	const char *node, *const *roles;
	char events[40], beats[40], probe[64]; /* channels */
	uint64_t seq;			       /* of the latest event of this process */
	uint64_t asked, heard;		       /* numbers of the latest probe sent and received */
	unsigned ticks;
	bool up;
	struct loop_timer *tick;
	struct list others;
	size_t nothers;
	struct metric *count[KINDS], *m_others;
};

/* --- sending */

static bool redis_publish(struct redis_events *r, const char *channel, const char *text, size_t len)
{
	const char *words[] = { "PUBLISH", channel, text };
	const size_t lens[] = { 7, strlen(channel), len };
	return redis_ask(r->commands, 3, words, lens, NULL, NULL) == 0;
}

static void on_publish(struct transport *t, const struct event *e)
{
	struct redis_events *r = CONTAINER_OF(t, struct redis_events, transport);
	struct strbuf b = { .max = REDIS_EVENT_MAX };
	_cleanup_(xfreep) char *data = doc_text(e->data);
	r->seq = e->seq;
	strbuf_printf(&b, "{\"origin\":\"%s\",\"seq\":%llu,\"time_ms\":%lld,\"topic\":", bus_origin(r->bus), (unsigned long long)e->seq,
		      (long long)e->time_ms);
	strbuf_json(&b, e->topic);
	strbuf_puts(&b, ",\"object_id\":");
	strbuf_json(&b, e->object_id);
	strbuf_puts(&b, ",\"user_id\":");
	strbuf_json(&b, e->user_id);
	if (*e->viewer_id) {
		strbuf_puts(&b, ",\"viewer_id\":");
		strbuf_json(&b, e->viewer_id);
	}
	strbuf_printf(&b, ",\"data\":%s}", data);
	bool sent = !b.overflow && redis_publish(r, r->events, b.s, b.len);
	metric_add(r->count[sent ? SENT : DROPPED], 1); /* other processes notice a dropped event by the sequence number in the next heartbeat */
	strbuf_done(&b);
}

/* Sends a heartbeat: announces this process and the sequence number of its latest event. `fresh`: it has just connected, so others send
 * theirs at once. `here`: false on disconnecting. */
static void beat_send(struct redis_events *r, bool fresh, bool here)
{
	struct strbuf b = { 0 };
	strbuf_printf(&b, "{\"origin\":\"%s\",\"seq\":%llu,\"fresh\":%s,\"here\":%s,\"node\":", bus_origin(r->bus), (unsigned long long)r->seq,
		      fresh ? "true" : "false", here ? "true" : "false");
	strbuf_json(&b, r->node);
	strbuf_puts(&b, ",\"roles\":[");
	for (size_t i = 0; r->roles[i]; i++) {
		strbuf_puts(&b, i ? "," : "");
		strbuf_json(&b, r->roles[i]);
	}
	strbuf_puts(&b, "]}");
	redis_publish(r, r->beats, b.s, b.len);
	strbuf_done(&b);
	for (size_t i = 0; r->roles[i]; i++) {
		char key[128];
		snprintf(key, sizeof key, "lucid:role:%s:%s", r->roles[i], bus_origin(r->bus));
		if (here)
			redis_ask(r->commands, 5, (const char *[]){ "SET", key, r->node, "EX", SILENCE_S }, NULL, NULL, NULL);
		else
			redis_ask(r->commands, 2, (const char *[]){ "DEL", key }, NULL, NULL, NULL);
	}
}

/* --- state */

static void update_carried(struct redis_events *r)
{
	bool up = redis_link_up(r->commands) && redis_link_up(r->feed) && r->heard;
	if (up == r->up)
		return;
	r->up = up;
	if (up) {
		bus_gap(r->bus, "");
		beat_send(r, true, true);
	}
	bus_set_carried(r->bus, up);
}

static void probe_send(struct redis_events *r)
{
	char number[24];
	snprintf(number, sizeof number, "%llu", (unsigned long long)++r->asked);
	redis_publish(r, r->probe, number, strlen(number));
}

static void on_state(bool up, void *arg)
{
	struct redis_events *r = arg;
	r->asked = r->heard = 0;
	if (up && redis_link_up(r->commands) && redis_link_up(r->feed))
		probe_send(r);
	update_carried(r);
}

static void forget_silent(struct redis_events *r);

static void on_tick(void *arg)
{
	struct redis_events *r = arg;
	loop_timer_set(r->tick, TICK_MS);
	forget_silent(r);
	if (!redis_link_up(r->commands) || !redis_link_up(r->feed))
		return;
	if (r->asked > r->heard) { /* probes instead of PING: hiredis does not pass on its reply on a subscribed connection */
		redis_link_reset(r->feed, "does not deliver published messages");
		return;
	}
	probe_send(r);
	if (++r->ticks % BEAT_TICKS == 0)
		beat_send(r, false, true);
}

/* --- the other processes */

static void other_free(struct redis_events *r, struct other *o)
{
	list_remove(&o->node);
	free(o);
	metric_set(r->m_others, (double)--r->nothers);
}

static void forget_silent(struct redis_events *r)
{
	struct other *o, *tmp;
	int64_t now_ms = clock_mono_ms();
	LIST_FOREACH_SAFE(o, tmp, &r->others, node)
		if (now_ms - o->heard_ms > SILENCE_MS) {
			log_info("redis", "no more messages arrive from %s (%s)", o->what, o->origin);
			other_free(r, o);
		}
}

static struct other *other_of(struct redis_events *r, const char *origin)
{
	struct other *o;
	LIST_FOREACH(o, &r->others, node)
		if (str_eq(o->origin, origin))
			return o;
	return NULL;
}

static void write_what(const json_t *doc, char *dst, size_t size)
{
	const char *node = doc_str(doc, "node", "");
	size_t i, n = 0;
	const json_t *role;
	dst[0] = 0;
	json_array_foreach(json_object_get(doc, "roles"), i, role) {
		snprintf(dst + n, size - n, "%s%.32s", i ? ", " : "", json_is_string(role) ? json_string_value(role) : "?");
		n = strlen(dst);
	}
	snprintf(dst + n, size - n, " on %.64s", node);
	if (str_has_control(dst, false))
		str_copy(dst, size, "a process with an invalid name");
}

static void hear_beat(struct redis_events *r, const json_t *doc)
{
	const char *origin = doc_str(doc, "origin", "");
	int64_t seq = doc_int(doc, "seq", 0);
	struct other *o = other_of(r, origin);
	if (!doc_bool(doc, "here", true)) {
		if (o) {
			log_info("redis", "%s (%s) disconnected", o->what, o->origin);
			other_free(r, o);
		}
		return;
	}
	if (!o && r->nothers < OTHERS_MAX) {
		o = XNEW(struct other);
		str_copy(o->origin, sizeof o->origin, origin);
		write_what(doc, o->what, sizeof o->what);
		list_append(&r->others, &o->node);
		metric_set(r->m_others, (double)++r->nothers);
		log_info("redis", "%s (%s) connected", o->what, o->origin);
	}
	if (o)
		o->heard_ms = clock_mono_ms();
	bus_reached(r->bus, origin, (uint64_t)MAX(seq, 0));
	if (doc_bool(doc, "fresh", false))
		beat_send(r, false, true);
}

/* --- receiving */

static bool is_origin(const char *s)
{
	return strlen(s) == ORIGIN_LEN && strspn(s, "0123456789abcdef") == ORIGIN_LEN;
}

static bool is_name(const char *s, bool empty_too)
{
	return (*s || empty_too) && strlen(s) <= 256 && !str_has_control(s, false);
}

static bool hear_event(struct redis_events *r, const json_t *doc)
{
	struct event e = {
		.origin = doc_str(doc, "origin", ""),
		.seq = (uint64_t)MAX(doc_int(doc, "seq", 0), 0),
		.topic = doc_str(doc, "topic", ""),
		.object_id = doc_str(doc, "object_id", "\n"),
		.user_id = doc_str(doc, "user_id", "\n"),
		.viewer_id = json_object_get(doc, "viewer_id") ? doc_str(doc, "viewer_id", "\n") : "",
		.time_ms = doc_int(doc, "time_ms", -1),
	};
	json_t *data = json_object_get(doc, "data");
	if (!e.seq || e.time_ms < 0 || !is_name(e.topic, false) || str_starts(e.topic, "bus.") || !is_name(e.object_id, true) ||
	    !is_name(e.user_id, true) || !is_name(e.viewer_id, true) || !json_is_object(data))
		return false;
	bus_deliver_foreign(r->bus, &e, json_incref(data));
	return true;
}

static void on_message(const char *channel, const char *text, size_t len, void *arg)
{
	struct redis_events *r = arg;
	if (str_eq(channel, r->probe)) {
		r->heard = r->asked;
		update_carried(r);
		return;
	}
	_cleanup_(doc_unrefp) json_t *doc = len <= REDIS_EVENT_MAX ? doc_parse(text, len, NULL, 0) : NULL;
	const char *origin = doc_str(doc, "origin", "");
	bool fine = is_origin(origin);
	if (fine && str_eq(origin, bus_origin(r->bus)))
		return;
	if (fine && str_eq(channel, r->beats))
		hear_beat(r, doc);
	else if (fine)
		fine = hear_event(r, doc);
	metric_add(r->count[fine ? RECEIVED : MALFORMED], 1);
}

/* --- interface */

struct redis_link *redis_events_commands(struct redis_events *r)
{
	return r->commands;
}

bool redis_events_up(const struct redis_events *r)
{
	return r && r->up;
}

const char *redis_events_why(const struct redis_events *r)
{
	const char *why = redis_link_why(r->commands);
	if (!*why)
		why = redis_link_why(r->feed);
	return *why ? why : "does not deliver published messages";
}

size_t redis_events_others(const struct redis_events *r, char *dst, size_t size)
{
	const struct other *o;
	size_t n = 0;
	snprintf(dst, size, "no other process is connected");
	LIST_FOREACH(o, &r->others, node) {
		if (n + 4 < size)
			snprintf(dst + n, size - n, "%s%s", n ? "; " : "connected: ", o->what);
		n = strlen(dst);
	}
	return r->nothers;
}

static void make_metrics(struct redis_events *r)
{
	struct metric_family *f = metric_family("rdp_redis_events_total", METRIC_COUNTER, "kind", "Events sent through Redis (sent, dropped), and events and heartbeats received through it (received, malformed).");
	for (size_t i = 0; i < KINDS; i++)
		r->count[i] = metric_with(f, kinds[i]);
	r->m_others = metric_series(metric_family("rdp_redis_processes", METRIC_GAUGE, NULL, "Other lucid-rdp processes whose heartbeats arrive through Redis."), NULL);
}

struct redis_events *redis_events_new(const struct redis_events_options *o)
{
	static const struct redis_link_events commands = { .state = on_state }, feed = { on_state, on_message };
	struct redis_events *r = XNEW(struct redis_events);
	r->transport = (struct transport){ .name = "redis", .publish = on_publish };
	r->bus = o->bus;
	r->node = o->node;
	r->roles = o->roles;
	list_init(&r->others);
	/* channels are shared by all databases, so their names have the number of the database */
	snprintf(r->events, sizeof r->events, "lucid:events:%d", o->url->database);
	snprintf(r->beats, sizeof r->beats, "lucid:beats:%d", o->url->database);
	snprintf(r->probe, sizeof r->probe, "lucid:probe:%d:%s", o->url->database, bus_origin(o->bus));
	make_metrics(r);
	r->tick = loop_timer_new(o->loop, on_tick, r);
	loop_timer_set(r->tick, TICK_MS);
	r->commands = redis_link_new(o->loop, o->resolver, o->url, "commands", NULL, &commands, r);
	r->feed = redis_link_new(o->loop, o->resolver, o->url, "events", (const char *[]){ r->events, r->beats, r->probe, NULL }, &feed, r);
	bus_carry_events(o->bus, &r->transport);
	return r;
}

void redis_events_free(struct redis_events *r)
{
	if (!r)
		return;
	bus_carry_events(r->bus, NULL);
	beat_send(r, false, false);
	redis_link_flush(r->commands);
	redis_link_free(r->commands);
	redis_link_free(r->feed);
	loop_timer_free(r->tick);
	while (!list_empty(&r->others))
		other_free(r, CONTAINER_OF(r->others.next, struct other, node));
	free(r);
}
