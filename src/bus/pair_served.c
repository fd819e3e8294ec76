#include "bus/pair_served.h"

#include <stdio.h>

#include "bus/call.h"
#include "bus/outbox.h"
#include "bus/pair_frame.h"
#include "bus/pair_source.h"
#include "lucid/map.h"

/* Limit on the documents of all pending calls from the peer. */
#define SERVED_BYTES_MAX (64u << 20)

struct pair_served {
	struct bus *bus;
	struct channel *channel;
	struct pair_sources *sources;
	struct map *calls; /* number → struct served */
	size_t max, bytes;
	struct outbox *replies;
};

struct served {
	struct pair_served *of;
	char number[24];
	uint64_t call;
	size_t bytes; /* of its frame */
};

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

static void served_forget(struct served *s)
{
	map_remove(s->of->calls, s->number);
	s->of->bytes -= s->bytes;
}

static void call_refuse(struct pair_served *p, const char *number, enum err err, const char *message)
{
	pair_send_control(p->channel, FRAME_REPLY, reply_frame(number, &(struct reply){ .err = err, .message = message ? message : err_text(err) }));
}

/* Replies must not be lost while the channel is full: the caller would wait until its deadline although the operation has completed. */
static void send_reply(struct pair_served *p, const char *number, const struct reply *r)
{
	json_t *f = reply_frame(number, r);
	_cleanup_(blob_unrefp) struct blob *b = doc_blob(f);
	json_decref(f);
	int rc = outbox_send(p->replies, FRAME_REPLY, b->data, b->len);
	if (rc == -ERR_TOO_LARGE)
		call_refuse(p, number, ERR_INTERNAL, "the response is too large");
	else if (rc == -ERR_BUSY)
		call_refuse(p, number, ERR_UNCERTAIN, "the operation completed, but too many responses are unread by this process; read the object's state");
}

static void on_served(const struct reply *r, void *arg)
{
	struct served *s = arg;
	const struct reply busy = { .err = ERR_BUSY, .message = err_text(ERR_BUSY) };
	served_forget(s);
	if (r->source && !pair_source_out(s->of->sources, s->number, r->source))
		r = &busy;
	send_reply(s->of, s->number, r);
	free(s);
}

void pair_served_call(struct pair_served *p, const json_t *f, size_t len)
{
	const char *number = doc_str(f, "id", "");
	const struct op *op = op_find(doc_str(f, "op", ""));
	if (!op || strlen(number) >= sizeof((struct served *)0)->number || map_get(p->calls, number)) {
		call_refuse(p, number, ERR_NO_ROUTE, NULL);
		return;
	}
	if (map_count(p->calls) >= p->max || p->bytes + len > SERVED_BYTES_MAX) {
		char why[120];
		snprintf(why, sizeof why, "%zu calls to the supervisor are already in flight; retry when some have completed",
			 map_count(p->calls));
		call_refuse(p, number, ERR_BUSY, why);
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
	s->of = p;
	s->bytes = len;
	memcpy(s->number, number, strlen(number) + 1);
	map_put(p->calls, number, s, NULL);
	p->bytes += len;
	s->call = bus_call(p->bus, &a, on_served, s);
}

void pair_served_cancel(struct pair_served *p, const json_t *f)
{
	struct served *s = map_get(p->calls, doc_str(f, "id", ""));
	if (!s)
		return;
	served_forget(s);
	bus_cancel(p->bus, s->call);
	free(s);
}

struct pair_served *pair_served_new(struct loop *l, struct bus *b, struct channel *ch, struct pair_sources *sources, size_t max)
{
	struct pair_served *p = XNEW(struct pair_served);
	p->bus = b;
	p->channel = ch;
	p->sources = sources;
	p->max = max;
	p->calls = map_new(max);
	p->replies = outbox_new(l, ch);
	return p;
}

void pair_served_drop(struct pair_served *p)
{
	struct map_pos pos = { 0 };
	const char *number;
	void *value;
	while (map_next(p->calls, &pos, &number, &value)) {
		struct served *s = value;
		served_forget(s);
		bus_cancel(p->bus, s->call);
		free(s);
	}
}

void pair_served_free(struct pair_served *p)
{
	if (!p)
		return;
	outbox_free(p->replies);
	map_free(p->calls, NULL);
	free(p);
}
