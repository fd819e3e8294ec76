#include "object/set.h"

/* The state machine of a kind: its table of transitions, and the only function that enters a state. */

const char *object_state_name(const struct object *o)
{
	return o->set->kind->states[o->state].name;
}

bool object_state_of(const struct object_kind *k, const char *name, unsigned *ret)
{
	for (unsigned i = 0; name && i < k->nstates; i++) {
		if (str_eq(k->states[i].name, name)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

bool object_may(const struct object *o, unsigned to, const char *reason)
{
	const struct object_transition *row = to < o->set->kind->nstates ? o->set->rows[o->state][to] : NULL;
	return row && (!row->guard || row->guard(o, reason));
}

/* Returns a copy of the document in the new state. */
static json_t *document_in(const struct object *o, unsigned to, const char *reason, json_t *extra)
{
	const struct object_kind *k = o->set->kind;
	const struct object_transition *row = o->set->rows[o->state][to];
	json_t *doc = json_copy(o->doc);
	if (row->effect)
		row->effect(doc, clock_wall_ms());
	doc_set_str(doc, k->state_field, k->states[to].name);
	doc_set_str(doc, k->reason_field, reason);
	if (extra)
		json_object_update(doc, extra);
	return doc;
}

bool object_enter(struct object *o, unsigned to, const char *reason, json_t *extra)
{
	const struct object_kind *k = o->set->kind;
	const char *previous = object_state_name(o);
	const struct object_transition *row = to < k->nstates ? o->set->rows[o->state][to] : NULL;
	if (o->gone || !o->doc || !object_may(o, to, reason)) {
		log_warn(k->service, "%s %s: no transition from state %s to %s", k->name, o->id, previous,
			 to < k->nstates ? k->states[to].name : "an unknown state");
		json_decref(extra);
		return false;
	}
	json_t *doc = document_in(o, to, reason, extra);
	json_decref(extra);
	object_count(o, to);
	objects_figures(o->set);
	object_next_version(o, doc);

	json_t *data = json_object();
	doc_set_str(data, "status", object_state_name(o));
	doc_set_str(data, "previous", previous);
	doc_set_str(data, "reason", reason);
	doc_set_int(data, "version", o->version);
	if (k->describe)
		k->describe(o, data);
	object_announce(o, row->event ? row->event : "status", data);
	log_info(k->service, "%s %s is %s%s%s", k->name, o->id, object_state_name(o), reason ? ": " : "", reason ? reason : "");
	object_flush(o);
	return true;
}

void object_touch(struct object *o, const char *key, json_t *consume)
{
	if (o->gone || !o->doc || json_equal(json_object_get(o->doc, key), consume)) {
		json_decref(consume);
		return;
	}
	json_t *doc = json_copy(o->doc);
	doc_set(doc, key, consume);
	object_next_version(o, doc);
	object_flush(o);
}
