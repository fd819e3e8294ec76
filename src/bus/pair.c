#include "bus/pair.h"

#include "bus/pair_calls.h"
#include "bus/pair_frame.h"
#include "bus/pair_served.h"
#include "bus/pair_source.h"
#include "lucid/log.h"

struct pair {
	struct transport transport; /* what the bus refers to */
	struct bus *bus;
	struct channel *channel;
	struct pair_events events;
	void *arg;
	struct pair_sources *sources;
	struct pair_calls *calls;   /* to the peer */
	struct pair_served *served; /* from the peer */
};

static void transport_send(struct transport *t, struct call *c)
{
	pair_calls_send(CONTAINER_OF(t, struct pair, transport)->calls, c);
}

static void transport_cancel(struct transport *t, struct call *c)
{
	pair_calls_cancel(CONTAINER_OF(t, struct pair, transport)->calls, c);
}

static void transport_publish(struct transport *t, const struct event *e)
{
	struct pair *p = CONTAINER_OF(t, struct pair, transport);
	json_t *f = json_object();
	doc_set_str(f, "topic", e->topic);
	doc_set_str(f, "object_id", e->object_id);
	doc_set_str(f, "user_id", e->user_id);
	if (*e->viewer_id)
		doc_set_str(f, "viewer_id", e->viewer_id);
	doc_set_int(f, "time_ms", e->time_ms);
	doc_set(f, "data", json_incref(e->data));
	if (pair_send_doc(p->channel, FRAME_EVENT, f) < 0)
		log_warn("bus", "event %s was lost: the peer process does not read", e->topic);
}

/* --- frames from the peer */

static void on_call(struct pair *p, const json_t *f, size_t len)
{
	pair_served_call(p->served, f, len);
}

static void on_reply(struct pair *p, const json_t *f, UNUSED size_t len)
{
	pair_calls_reply(p->calls, f);
}

static void on_cancel(struct pair *p, const json_t *f, UNUSED size_t len)
{
	pair_served_cancel(p->served, f);
}

static void on_event_frame(struct pair *p, const json_t *f, UNUSED size_t len)
{
	struct event e = { .topic = doc_str(f, "topic", ""), .object_id = doc_str(f, "object_id", ""), .user_id = doc_str(f, "user_id", ""),
			   .viewer_id = doc_str(f, "viewer_id", ""), .time_ms = doc_int(f, "time_ms", 0) };
	bus_deliver(p->bus, &e, json_incref(json_object_get(f, "data")));
}

static void on_word(struct pair *p, const json_t *f, UNUSED size_t len)
{
	if (p->events.on_word)
		p->events.on_word(doc_str(f, "word", ""), json_object_get(f, "doc"), p->arg);
}

/* The channel accepts a descriptor only with a frame of this kind, and closes if another frame has one. */
static size_t fds_max(uint8_t kind, UNUSED void *arg)
{
	return kind == FRAME_DESCRIPTOR ? 1 : 0;
}

static void on_frame(uint8_t kind, const char *data, size_t len, const int *fds, size_t nfds, void *arg)
{
	static const struct {
		uint8_t kind;
		void (*fn)(struct pair *p, const json_t *f, size_t len);
	} kinds[] = { { FRAME_CALL, on_call }, { FRAME_CALL_SECRET, on_call }, { FRAME_REPLY, on_reply }, { FRAME_CANCEL, on_cancel },
		      { FRAME_EVENT, on_event_frame }, { FRAME_WORD, on_word } };
	struct pair *p = arg;
	if (kind == FRAME_LOG) {
		if (p->events.on_log)
			p->events.on_log(data, len, p->arg);
		return;
	}
	if (kind == FRAME_DESCRIPTOR && p->events.on_descriptor) {
		p->events.on_descriptor(data, nfds ? fds[0] : -1, p->arg);
		return;
	}
	if (pair_source_frame(p->sources, kind, data, len))
		return;
	/* the document of a word may contain a secret (pair_word_secret): parse it into memory that is wiped */
	bool secret = kind == FRAME_WORD || kind == FRAME_CALL_SECRET;
	json_t *f = secret ? doc_parse_secret(data, len, NULL, 0) : doc_parse(data, len, NULL, 0);
	bool known = false;
	for (size_t i = 0; json_is_object(f) && !known && i < ARRAY_LEN(kinds); i++)
		if (kinds[i].kind == kind) {
			kinds[i].fn(p, f, len);
			known = true;
		}
	(secret ? doc_unref_secret : json_decref)(f);
	if (!known)
		log_error("bus", "received an unexpected frame of kind %u over the socket pair", kind);
}

/* --- life */

static void drop_calls(struct pair *p)
{
	pair_calls_drop(p->calls);
	pair_served_drop(p->served);
}

static void on_closed(void *arg)
{
	struct pair *p = arg;
	drop_calls(p);
	pair_sources_lost(p->sources);
	if (p->events.on_closed)
		p->events.on_closed(p->arg);
}

struct pair *pair_new(struct loop *l, struct bus *b, int fd, const struct pair_events *events, void *arg)
{
	const struct channel_events frames = { on_frame, on_closed, events->on_descriptor ? fds_max : NULL };
	struct pair *p = XNEW(struct pair);
	p->transport = (struct transport){ "pair", transport_send, transport_cancel, transport_publish };
	p->bus = b;
	p->events = *events;
	p->arg = arg;
	p->channel = channel_new(l, fd, &frames, p);
	p->sources = pair_sources_new(l, p->channel);
	p->calls = pair_calls_new(p->channel, p->sources);
	p->served = pair_served_new(l, b, p->channel, p->sources, events->served_max ? events->served_max : BUS_MAX_CALLS);
	return p;
}

void pair_free(struct pair *p)
{
	if (!p)
		return;
	drop_calls(p);
	pair_sources_free(p->sources);
	pair_served_free(p->served);
	pair_calls_free(p->calls);
	channel_free(p->channel);
	free(p);
}

struct transport *pair_transport(struct pair *p)
{
	return &p->transport;
}

const char *pair_fault(const struct pair *p)
{
	return channel_fault(p->channel);
}

bool pair_descriptor(struct pair *p, const char *what, int fd)
{
	return channel_send(p->channel, FRAME_DESCRIPTOR, what, strlen(what), &fd, 1) == 0;
}

static json_t *word_frame(const char *word, const json_t *doc)
{
	json_t *f = json_object();
	doc_set_str(f, "word", word);
	if (doc)
		doc_set(f, "doc", json_deep_copy(doc));
	return f;
}

void pair_word(struct pair *p, const char *word, const json_t *doc)
{
	pair_send_control(p->channel, FRAME_WORD, word_frame(word, doc));
}

void pair_word_secret(struct pair *p, const char *word, const json_t *doc)
{
	_cleanup_(doc_unref_secretp) json_t *f = word_frame(word, doc);
	char *text = doc_text(f); /* not a growing buffer, which would leave copies behind when it moves */
	size_t len = strlen(text);
	channel_send_secret(p->channel, FRAME_WORD, text, len);
	mem_wipe(text, len);
	free(text);
}

bool pair_log(struct pair *p, const char *line, size_t len)
{
	return channel_send(p->channel, FRAME_LOG, line, len, NULL, 0) == 0;
}

void pair_flush(struct pair *p, int ms)
{
	channel_flush(p->channel, ms);
}
