#include "bus/pair_calls.h"

#include <stdio.h>

#include "bus/pair_frame.h"
#include "bus/pair_source.h"
#include "lucid/map.h"

struct pair_calls {
	struct channel *channel;
	struct pair_sources *sources;
	uint64_t next_id;
	struct map *sent; /* number → struct call */
};

static char *number_text(char dst[24], uint64_t n)
{
	snprintf(dst, 24, "%llu", (unsigned long long)n);
	return dst;
}

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

static bool has_secret(const struct shape *s)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (s->fields[i].flags & SH_SECRET || (s->fields[i].type == SH_OBJECT && has_secret(s->fields[i].sub)))
			return true;
	return false;
}

void pair_calls_send(struct pair_calls *s, struct call *c)
{
	char number[24];
	c->remote = ++s->next_id;
	number_text(number, c->remote);
	if (!map_put(s->sent, number, c, NULL)) {
		call_fail(c, ERR_BUSY, NULL);
		return;
	}
	json_t *frame = call_frame(c, number);
	int rc = has_secret(c->op->in) ? pair_send_secret(s->channel, FRAME_CALL_SECRET, frame) : pair_send_doc(s->channel, FRAME_CALL, frame);
	if (rc < 0) {
		map_remove(s->sent, number);
		call_fail(c, rc, NULL);
	}
}

void pair_calls_cancel(struct pair_calls *s, struct call *c)
{
	char number[24];
	if (!map_remove(s->sent, number_text(number, c->remote)))
		return;
	pair_send_control(s->channel, FRAME_CANCEL, json_pack("{s:s}", "id", number));
	call_fail(c, ERR_CANCELLED, NULL);
}

void pair_calls_reply(struct pair_calls *s, const json_t *f)
{
	struct call *c = map_remove(s->sent, doc_str(f, "id", ""));
	if (!c) { /* the call was cancelled meanwhile */
		if (doc_bool(f, "source", false))
			pair_source_refuse(s->sources, doc_str(f, "id", ""));
		return;
	}
	const char *err = doc_str(f, "err", NULL), *text = doc_str(f, "text", NULL);
	bool pours = doc_bool(f, "source", false);
	call_answer(c, &(struct reply){
			       .err = err ? (enum err)err_from_name(err) : ERR_OK,
			       .status = (int)doc_int(f, "status", 200),
			       .doc = json_incref(json_object_get(f, "doc")),
			       .blob = text ? blob_new(text, strlen(text)) : NULL,
			       .source = pours ? pair_source_in(s->sources, doc_str(f, "id", "")) : NULL,
			       .type = text || pours ? call_known_type(doc_str(f, "type", NULL)) : NULL,
			       .message = doc_str(f, "message", NULL),
			       .details = json_incref(json_object_get(f, "details")),
			       .version = doc_int(f, "version", 0),
			       .location = doc_str(f, "location", NULL),
			       .retry_after_s = (unsigned)doc_int(f, "retry_after_s", 0),
		       });
}

struct pair_calls *pair_calls_new(struct channel *ch, struct pair_sources *sources)
{
	struct pair_calls *s = XNEW(struct pair_calls);
	s->channel = ch;
	s->sources = sources;
	s->sent = map_new(BUS_MAX_CALLS);
	return s;
}

void pair_calls_drop(struct pair_calls *s)
{
	struct map_pos pos = { 0 };
	const char *number;
	void *value;
	while (map_next(s->sent, &pos, &number, &value)) {
		map_remove(s->sent, number);
		call_fail(value, ERR_UNCERTAIN, NULL);
	}
}

void pair_calls_free(struct pair_calls *s)
{
	if (!s)
		return;
	map_free(s->sent, NULL);
	free(s);
}
