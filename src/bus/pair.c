#include "bus/pair.h"

#include <stdio.h>

#include "bus/call.h"
#include "bus/pair_source.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/map.h"
#include "sys/channel.h"

/* Kinds of frames; all but the log line and a piece (pair_source.h, which has kinds of its own) are JSON. */
enum { FRAME_CALL = 'C', FRAME_REPLY = 'R', FRAME_CANCEL = 'X', FRAME_EVENT = 'E', FRAME_LOG = 'L', FRAME_WORD = 'W' };

struct pair {
	struct transport transport; /* first: what the bus holds is the pair */
	struct bus *bus;
	struct channel *channel;
	struct pair_events events;
	void *arg;
	uint64_t next_id;
	struct map *sent;   /* number → struct call, asked of the other side */
	struct map *served; /* number → struct served, asked by the other side */
	struct pair_sources *sources;
};

struct served {
	struct pair *pair;
	char number[24];
	uint64_t call;
};

static char *number_text(char dst[24], uint64_t n)
{
	snprintf(dst, 24, "%llu", (unsigned long long)n);
	return dst;
}

static int send_doc(struct pair *p, uint8_t kind, json_t *consume)
{
	_cleanup_(blob_unrefp) struct blob *b = doc_blob(consume);
	json_decref(consume);
	return channel_send(p->channel, kind, b->data, b->len, NULL, 0);
}

/* --- asking the other side */

static json_t *call_frame(const struct call *c, const char *number)
{
	json_t *f = json_object(), *params = json_array();
	doc_set_str(f, "id", number);
	doc_set_str(f, "op", c->op->name);
	for (size_t i = 0; i < OP_MAX_PARAMS && c->params[i]; i++)
		json_array_append_new(params, json_string(c->params[i]));
	doc_set(f, "params", params);
	if (c->query)
		doc_set(f, "query", json_incref(c->query));
	if (c->body)
		doc_set(f, "body", json_incref(c->body));
	doc_set_str(f, "sub", c->caller.sub);
	doc_set_int(f, "roles", c->caller.roles);
	doc_set_bool(f, "can_create", c->caller.can_create_sessions);
	doc_set_str(f, "address", c->caller.address);
	doc_set_str(f, "request_id", c->request_id);
	doc_set_str(f, "trace", c->trace);
	doc_set_int(f, "if_match", c->if_match);
	doc_set_int(f, "ms", call_time_left_ms(c));
	doc_set_int(f, "hops", c->hops);
	return f;
}

static void transport_send(struct transport *t, struct call *c)
{
	struct pair *p = CONTAINER_OF(t, struct pair, transport);
	char number[24];
	c->remote = ++p->next_id;
	number_text(number, c->remote);
	if (!map_put(p->sent, number, c, NULL)) {
		call_fail(c, ERR_BUSY, NULL);
		return;
	}
	int rc = send_doc(p, FRAME_CALL, call_frame(c, number));
	if (rc < 0) {
		map_remove(p->sent, number);
		call_fail(c, rc, NULL);
	}
}

static void transport_cancel(struct transport *t, struct call *c)
{
	struct pair *p = CONTAINER_OF(t, struct pair, transport);
	char number[24];
	if (!map_remove(p->sent, number_text(number, c->remote)))
		return;
	send_doc(p, FRAME_CANCEL, json_pack("{s:s}", "id", number));
	call_fail(c, ERR_CANCELLED, NULL);
}

static void transport_publish(struct transport *t, const struct event *e)
{
	struct pair *p = CONTAINER_OF(t, struct pair, transport);
	json_t *f = json_object();
	doc_set_str(f, "topic", e->topic);
	doc_set_str(f, "object_id", e->object_id);
	doc_set_str(f, "user_id", e->user_id);
	doc_set_int(f, "time_ms", e->time_ms);
	doc_set(f, "data", json_incref(e->data));
	if (send_doc(p, FRAME_EVENT, f) < 0)
		log_warn("bus", "event %s was lost: the other process does not read", e->topic);
}

static void on_reply(struct pair *p, const json_t *f)
{
	struct call *c = map_remove(p->sent, doc_str(f, "id", ""));
	if (!c) { /* its caller went away meanwhile */
		if (doc_bool(f, "source", false))
			pair_source_refuse(p->sources, doc_str(f, "id", ""));
		return;
	}
	const char *err = doc_str(f, "err", NULL), *text = doc_str(f, "text", NULL);
	bool pours = doc_bool(f, "source", false);
	call_answer(c, &(struct reply){
			       .err = err ? (enum err)err_from_name(err) : ERR_OK,
			       .status = (int)doc_int(f, "status", 200),
			       .doc = json_incref(json_object_get(f, "doc")),
			       .blob = text ? blob_new(text, strlen(text)) : NULL,
			       .source = pours ? pair_source_in(p->sources, doc_str(f, "id", "")) : NULL,
			       .type = text || pours ? call_known_type(doc_str(f, "type", NULL)) : NULL,
			       .message = doc_str(f, "message", NULL),
			       .details = json_incref(json_object_get(f, "details")),
			       .version = doc_int(f, "version", 0),
			       .location = doc_str(f, "location", NULL),
			       .retry_after_s = (unsigned)doc_int(f, "retry_after_s", 0),
		       });
}

/* --- being asked by the other side */

static json_t *reply_frame(const char *number, const struct reply *r)
{
	json_t *f = json_object();
	doc_set_str(f, "id", number);
	if (r->err)
		doc_set_str(f, "err", err_name(r->err));
	doc_set_int(f, "status", r->status);
	if (r->doc)
		doc_set(f, "doc", json_incref(r->doc));
	else if (r->blob && !r->type)
		doc_set(f, "doc", doc_parse(r->blob->data, r->blob->len, NULL, 0));
	else if (r->blob)
		doc_set(f, "text", json_stringn(r->blob->data, r->blob->len));
	else if (r->source)
		doc_set_bool(f, "source", true);
	if (r->type)
		doc_set_str(f, "type", r->type);
	if (r->message)
		doc_set_str(f, "message", r->message);
	if (r->details)
		doc_set(f, "details", json_incref(r->details));
	if (r->version)
		doc_set_int(f, "version", r->version);
	if (r->location)
		doc_set_str(f, "location", r->location);
	doc_set_int(f, "retry_after_s", r->retry_after_s);
	return f;
}

static void on_served(const struct reply *r, void *arg)
{
	struct served *s = arg;
	const struct reply busy = { .err = ERR_BUSY, .message = err_text(ERR_BUSY) };
	map_remove(s->pair->served, s->number);
	if (r->source && !pair_source_out(s->pair->sources, s->number, r->source))
		r = &busy;
	int rc = send_doc(s->pair, FRAME_REPLY, reply_frame(s->number, r));
	if (rc == -ERR_TOO_LARGE)
		send_doc(s->pair, FRAME_REPLY,
			 reply_frame(s->number, &(struct reply){ .err = ERR_INTERNAL, .message = "the answer is too large" }));
	free(s);
}

static void refuse(struct pair *p, const char *number, enum err err)
{
	send_doc(p, FRAME_REPLY, reply_frame(number, &(struct reply){ .err = err, .message = err_text(err) }));
}

static void on_call(struct pair *p, const json_t *f)
{
	const char *number = doc_str(f, "id", "");
	const struct op *op = op_find(doc_str(f, "op", ""));
	if (!op || strlen(number) >= sizeof((struct served *)0)->number || map_get(p->served, number)) {
		refuse(p, number, ERR_NO_ROUTE);
		return;
	}
	struct caller caller = { .roles = (unsigned)doc_int(f, "roles", 0), .can_create_sessions = doc_bool(f, "can_create", false) };
	snprintf(caller.sub, sizeof caller.sub, "%s", doc_str(f, "sub", ""));
	snprintf(caller.address, sizeof caller.address, "%s", doc_str(f, "address", ""));
	struct call_args a = {
		.op = op,
		.caller = &caller,
		.query = json_object_get(f, "query"),
		.body = json_object_get(f, "body"),
		.if_match = doc_int(f, "if_match", 0),
		.request_id = doc_str(f, "request_id", NULL),
		.trace = doc_str(f, "trace", NULL),
		.deadline_ms = (unsigned)MAX(doc_int(f, "ms", 0), 1),
		.hops = (unsigned)doc_int(f, "hops", 0),
	};
	const json_t *params = json_object_get(f, "params");
	for (size_t i = 0; i < OP_MAX_PARAMS; i++)
		a.params[i] = json_string_value(json_array_get(params, i));
	struct served *s = XNEW(struct served);
	s->pair = p;
	memcpy(s->number, number, strlen(number) + 1);
	if (!map_put(p->served, number, s, NULL)) {
		free(s);
		refuse(p, number, ERR_BUSY);
		return;
	}
	s->call = bus_call(p->bus, &a, on_served, s);
}

static void on_cancel(struct pair *p, const json_t *f)
{
	struct served *s = map_remove(p->served, doc_str(f, "id", ""));
	if (!s)
		return;
	bus_cancel(p->bus, s->call);
	free(s);
}

static void on_event(struct pair *p, const json_t *f)
{
	bus_deliver(p->bus, doc_str(f, "topic", ""), doc_str(f, "object_id", ""), doc_str(f, "user_id", ""),
		    doc_int(f, "time_ms", 0), json_incref(json_object_get(f, "data")));
}

static void on_word(struct pair *p, const json_t *f)
{
	if (p->events.on_word)
		p->events.on_word(doc_str(f, "word", ""), json_object_get(f, "doc"), p->arg);
}

static void on_frame(uint8_t kind, const char *data, size_t len, UNUSED const int *fds, UNUSED size_t nfds, void *arg)
{
	static const struct {
		uint8_t kind;
		void (*fn)(struct pair *p, const json_t *f);
	} kinds[] = { { FRAME_CALL, on_call },	 { FRAME_REPLY, on_reply }, { FRAME_CANCEL, on_cancel },
		      { FRAME_EVENT, on_event }, { FRAME_WORD, on_word } };
	struct pair *p = arg;
	if (kind == FRAME_LOG) {
		if (p->events.on_log)
			p->events.on_log(data, len, p->arg);
		return;
	}
	if (pair_source_frame(p->sources, kind, data, len))
		return;
	/* a word may be a secret one, and words are few */
	bool word = kind == FRAME_WORD;
	json_t *f = word ? doc_parse_secret(data, len, NULL, 0) : doc_parse(data, len, NULL, 0);
	bool known = false;
	for (size_t i = 0; json_is_object(f) && !known && i < ARRAY_LEN(kinds); i++)
		if (kinds[i].kind == kind) {
			kinds[i].fn(p, f);
			known = true;
		}
	(word ? doc_unref_secret : json_decref)(f);
	if (!known)
		log_error("bus", "a frame of kind %u that makes no sense came over the pair", kind);
}

/* --- life */

static void drop_calls(struct pair *p)
{
	struct map_pos pos = { 0 };
	const char *number;
	void *value;
	while (map_next(p->sent, &pos, &number, &value)) {
		map_remove(p->sent, number);
		call_fail(value, ERR_UNCERTAIN, NULL);
	}
	pos = (struct map_pos){ 0 };
	while (map_next(p->served, &pos, &number, &value)) {
		struct served *s = value;
		map_remove(p->served, number);
		bus_cancel(p->bus, s->call);
		free(s);
	}
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
	static const struct channel_events frames = { on_frame, on_closed };
	struct pair *p = XNEW(struct pair);
	p->transport = (struct transport){ "pair", transport_send, transport_cancel, transport_publish };
	p->bus = b;
	p->events = *events;
	p->arg = arg;
	p->sent = map_new(BUS_MAX_CALLS);
	p->served = map_new(BUS_MAX_CALLS);
	p->channel = channel_new(l, fd, &frames, p);
	p->sources = pair_sources_new(l, p->channel);
	return p;
}

void pair_free(struct pair *p)
{
	if (!p)
		return;
	drop_calls(p);
	pair_sources_free(p->sources);
	channel_free(p->channel);
	map_free(p->sent, NULL);
	map_free(p->served, NULL);
	free(p);
}

struct transport *pair_transport(struct pair *p)
{
	return &p->transport;
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
	send_doc(p, FRAME_WORD, word_frame(word, doc));
}

void pair_word_secret(struct pair *p, const char *word, const json_t *doc)
{
	_cleanup_(doc_unref_secretp) json_t *f = word_frame(word, doc);
	char *text = doc_text(f); /* in one piece: nothing is left where a first guess was too short */
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
