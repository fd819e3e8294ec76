#include <stdio.h>

#include "object/set.h"

/* Records follow changes by other processes: by their events, by reading objects with an operation in progress every OBJECT_SCAN_MS, and by
 * periodic passes over the collection, with an early one after missed events. An operation itself reads its object from the store, so that a
 * stale record never leads to a wrong response. */

#define READS_MAX 64 /* concurrent reads of single objects; beyond that a pass is requested */
#define SCAN_PAGE 500
#define PASS_MS 30000

/* Whether a newer document may update the record: nothing of ours is in progress or pending. */
static bool may_sync(const struct object *o)
{
	return object_idle(o) && !o->doc && !o->writing && !o->unborn && !o->gone && o->stored_version == o->version;
}

static bool id_ok(const struct object_kind *k, const char *id)
{
	return k->valid_id ? k->valid_id(id) : id_is_uuid(id);
}

/* Updates the record from a document of the store, or creates it. */
static struct object *take_in(struct objects *set, const json_t *doc)
{
	const struct object_kind *k = set->kind;
	const char *id = doc_str(doc, k->id_field, "");
	struct object *o = map_get(set->objects, id);
	if (!o) {
		if (id_ok(k, id) && (o = objects_add(set, doc)))
			return o;
		if (id_ok(k, id))
			log_error(k->service, "too many %s in the store: at most %zu are supported; %s is ignored", k->plural, k->max, id);
		else
			log_error(k->service, "a document in the store is not a valid %s and is ignored", k->name);
		return NULL;
	}
	o->round = set->round;
	if (may_sync(o) && doc_int(doc, "version", 0) > o->version)
		object_sync(o, doc);
	return o;
}

void objects_page_seen(struct objects *set, const json_t *doc)
{
	take_in(set, doc);
}

void objects_follow(struct objects *set)
{
	if (!set->env.alone && !set->loading && !set->draining)
		loop_timer_set(set->load_timer, OBJECT_POLL_MS);
}

/* --- reads of single objects, after an event or if a pass did not find one */

struct reading {
	struct objects *set;
	char id[ID_UUID_SIZE];
};

static void read_one(enum store_result result, const struct store_doc *d, UNUSED int err, void *arg)
{
	_cleanup_(xfreep) struct reading *w = arg;
	struct objects *set = w->set;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	struct object *o = map_get(set->objects, w->id);
	set->reads--;
	if (doc && !set->draining)
		take_in(set, doc);
	else if (result == STORE_MISSING && o && may_sync(o))
		object_drop(o);
	objects_figures(set);
	objects_release(set);
}

static bool read_object(struct objects *set, const char *id)
{
	struct reading *w = XNEW(struct reading);
	w->set = set;
	if (set->reads >= READS_MAX || !str_copy(w->id, sizeof w->id, id)) {
		free(w);
		return false;
	}
	set->reads++;
	objects_hold(set);
	store_get(set->env.store, set->kind->collection, w->id, read_one, w);
	return true;
}

void objects_pass_over(struct objects *set)
{
	struct map_pos pos = { 0 };
	struct object *o;
	int64_t next_ms = set->kind->pass_ms ? set->kind->pass_ms(set) : PASS_MS;
	while ((o = objects_next(set, &pos)))
		if (o->round != set->round && may_sync(o) && !read_object(set, o->id))
			break; /* the next pass finds the others */
	objects_figures(set);
	if (!set->draining)
		loop_timer_set(set->load_timer, MAX(next_ms, (int64_t)map_count(set->objects)));
}

/* --- events of other processes */

static void follow_created(struct objects *set, const struct event *e)
{
	if (map_get(set->objects, e->object_id))
		return;
	_cleanup_(doc_unrefp) json_t *doc = json_copy(e->data);
	doc_set_str(doc, set->kind->id_field, e->object_id);
	doc_set_str(doc, set->kind->owner_field, e->user_id);
	take_in(set, doc);
}

static void follow_deleted(struct objects *set, const struct event *e)
{
	struct object *o = map_get(set->objects, e->object_id);
	if (o && may_sync(o))
		object_drop(o);
}

static void follow_change(struct objects *set, const struct event *e)
{
	if (!read_object(set, e->object_id))
		objects_follow(set);
}

static void follow_status(struct objects *set, const struct event *e)
{
	struct object *o = map_get(set->objects, e->object_id);
	int64_t version = doc_int(e->data, "version", 0);
	if (!o) {
		follow_change(set, e);
		return;
	}
	object_poll_soon(o);
	if (!may_sync(o) || version <= o->version)
		return;
	unsigned state = o->state;
	object_state_of(set->kind, doc_str(e->data, "status", ""), &state);
	object_count(o, state);
	o->stored_state = state;
	o->version = o->stored_version = version;
	o->seen_us = clock_mono_us();
}

static const struct {
	const char *what;
	void (*follow)(struct objects *set, const struct event *e);
} events[] = {
	{ "created", follow_created },
	{ "deleted", follow_deleted },
	{ "status", follow_status },
};

static void on_kind_event(const struct event *e, void *ctx)
{
	struct objects *set = ctx;
	size_t prefix = strlen(set->kind->topic) + 1;
	void (*fn)(struct objects *set, const struct event *e) = follow_change;
	if (!*e->origin || !set->loaded || set->draining)
		return;
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (str_eq(e->topic + prefix, events[i].what))
			fn = events[i].follow;
	fn(set, e);
	objects_figures(set);
}

static void on_gap(UNUSED const struct event *e, void *ctx)
{
	objects_follow(ctx);
}

/* --- objects with an operation in progress */

static void check_abandoned(struct object *o)
{
	struct objects *set = o->set;
	int64_t now = clock_mono_us(), since = MAX(o->seen_us, o->scanned_us);
	if (!object_between(o) || !may_sync(o) || now - since < set->busy_ms * 1000 || !object_group_leads(o->group))
		return;
	if (set->kind->abandoned && set->kind->abandoned(o))
		o->scanned_us = now;
}

static void scan_page_read(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct objects *set = arg;
	set->scanning = false;
	for (size_t i = 0; result == STORE_OK && i < n && !set->draining; i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		struct object *o = doc ? take_in(set, doc) : NULL;
		if (o)
			check_abandoned(o);
	}
	set->scan_offset = result == STORE_OK && n == SCAN_PAGE ? set->scan_offset + n : 0;
	objects_release(set);
}

static void scan_between(void *arg)
{
	struct objects *set = arg;
	if (set->draining)
		return;
	loop_timer_set(set->scan_timer, set->scan_ms);
	objects_lead(set);
	if (set->kind->scan)
		set->kind->scan(set);
	if (set->scanning || !set->loaded)
		return;
	struct store_query q = { .filters = { { .path = set->kind->state_field, .cmp = STORE_IN, .list = set->between } },
				 .nfilters = 1, .sort = { "id", false }, .offset = set->scan_offset, .limit = SCAN_PAGE };
	set->scanning = true;
	objects_hold(set);
	store_list(set->env.store, set->kind->collection, &q, scan_page_read, set);
}

void objects_follow_begin(struct objects *set)
{
	char pattern[64];
	if (set->env.alone)
		return;
	snprintf(pattern, sizeof pattern, "%s.*", set->kind->topic);
	set->foreign = bus_subscribe(set->env.bus, pattern, on_kind_event, set);
	set->gaps = bus_subscribe(set->env.bus, BUS_GAP, on_gap, set);
	set->scan_timer = loop_timer_new(set->env.loop, scan_between, set);
	loop_timer_set(set->scan_timer, set->scan_ms);
}

void objects_follow_end(struct objects *set)
{
	bus_unsubscribe(set->foreign);
	bus_unsubscribe(set->gaps);
	loop_timer_free(set->scan_timer);
}
