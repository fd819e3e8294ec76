#include "object/set.h"

#include <stdio.h>

/* Records of objects in memory, and the number of objects by owner and state. */

static struct object_owner *owner_of(struct objects *set, const char *user)
{
	struct object_owner *w = map_get(set->owners, user);
	if (w)
		return w;
	w = xcalloc(1, sizeof *w + strlen(user) + 1);
	memcpy(w->id, user, strlen(user) + 1);
	if (!map_put(set->owners, user, w, NULL)) {
		free(w);
		return NULL;
	}
	return w;
}

static void owner_forget_idle(struct objects *set, struct object_owner *w)
{
	if (w->objects == 0)
		free(map_remove(set->owners, w->id));
}

static void owner_leave(struct objects *set, struct object_owner *w)
{
	w->objects--;
	owner_forget_idle(set, w);
}

size_t objects_of_owner(const struct objects *set, const char *user)
{
	const struct object_owner *w = map_get(set->owners, user);
	return w ? w->objects : 0;
}

void object_count(struct object *o, unsigned to)
{
	o->set->by_state[o->state]--;
	o->set->by_state[to]++;
	o->state = to;
	o->changed_us = clock_mono_us();
}

/* False: the document has no valid id, or the limit of records or owners is reached. */
static bool enlist(struct objects *set, struct object *o, const json_t *doc)
{
	const struct object_kind *k = set->kind;
	if (!str_copy(o->id, sizeof o->id, doc_str(doc, k->id_field, "")))
		return false;
	o->owner = owner_of(set, doc_str(doc, k->owner_field, ""));
	if (o->owner && map_put(set->objects, o->id, o, NULL))
		return true;
	if (o->owner)
		owner_forget_idle(set, o->owner);
	return false;
}

struct object *objects_add(struct objects *set, const json_t *doc)
{
	const struct object_kind *k = set->kind;
	struct object *o = xcalloc(1, k->size);
	if (!enlist(set, o, doc)) {
		free(o);
		return NULL;
	}
	o->set = set;
	o->owner->objects++;
	o->state = k->unknown;
	object_state_of(k, doc_str(doc, k->state_field, ""), &o->state);
	set->by_state[o->state]++;
	o->stored_state = o->state;
	o->version = o->stored_version = doc_int(doc, "version", 1);
	o->changed_us = o->seen_us = clock_mono_us();
	o->round = set->round;
	o->group = objects_group(set, k->group_field ? doc_str(doc, k->group_field, "") : "");
	o->group->objects++;
	list_init(&o->waiters);
	list_init(&o->tasks);
	if (k->read)
		k->read(o, doc);
	return o;
}

void object_sync(struct object *o, const json_t *doc)
{
	struct objects *set = o->set;
	const struct object_kind *k = set->kind;
	const char *user = doc_str(doc, k->owner_field, "");
	struct object_owner *w = str_eq(o->owner->id, user) ? NULL : owner_of(set, user);
	if (w) {
		w->objects++;
		owner_leave(set, o->owner);
		o->owner = w;
	}
	unsigned state = o->state;
	object_state_of(k, doc_str(doc, k->state_field, ""), &state);
	if (state != o->state)
		object_count(o, state);
	o->stored_state = o->state;
	if (k->read)
		k->read(o, doc);
	int64_t version = doc_int(doc, "version", 1);
	if (version != o->version)
		o->seen_us = clock_mono_us();
	o->version = o->stored_version = version;
}

void object_free(struct object *o)
{
	object_forget_waiters(o);
	loop_timer_free(o->retry);
	loop_timer_free(o->poll);
	loop_timer_free(o->renew);
	json_decref(o->unsure);
	json_decref(o->doc);
	free(o);
}

bool object_idle(const struct object *o)
{
	return !o->running && list_empty(&o->tasks);
}

void object_drop(struct object *o)
{
	struct objects *set = o->set;
	map_remove(set->objects, o->id);
	set->by_state[o->state]--;
	owner_leave(set, o->owner);
	o->owner = NULL;
	o->group->objects--;
	if (set->kind->dropped)
		set->kind->dropped(o);
	o->gone = true;
	if (object_idle(o) && !o->writing)
		object_free(o);
}

void object_publish(struct object *o, const char *what, json_t *data)
{
	char topic[64];
	snprintf(topic, sizeof topic, "%s.%s", o->set->kind->topic, what);
	bus_publish_viewed(o->set->env.bus, topic, o->id, o->owner->id, o->set->kind->viewer ? o->set->kind->viewer(o) : "", data);
}

void *object_ctx(const struct object *o)
{
	return o->set->env.ctx;
}

struct object *objects_record(const struct objects *set, const char *id)
{
	return map_get(set->objects, id);
}

struct object *objects_find(const struct objects *set, const char *id)
{
	struct object *o = map_get(set->objects, id);
	return o && !o->unborn && !o->gone ? o : NULL;
}

struct object *objects_next(const struct objects *set, struct map_pos *pos)
{
	struct object *o = NULL;
	return map_next(set->objects, pos, NULL, (void **)&o) ? o : NULL;
}

size_t objects_count(const struct objects *set)
{
	return map_count(set->objects);
}

size_t objects_in_state(const struct objects *set, unsigned state)
{
	return set->by_state[state];
}
