#include "object/set.h"

/* Write-behind. Changes are written one version at a time and retried while the store fails. If another process wrote the document in
 * between, ours are merged into its document, or dropped if it changed the state (conflict_wins). */

#define RETRY_MS 1000

/* Waits until a version is durable, to publish its event or to call back its task. */
struct waiter {
	struct list node;
	int64_t version;
	object_durable done; /* NULL: it is an event */
	void *arg;
	const char *what; /* of the event */
	unsigned state;	  /* that the event is about */
	json_t *data;
};

static void waiter_free(struct waiter *w)
{
	list_remove(&w->node);
	json_decref(w->data);
	free(w);
}

void object_forget_waiters(struct object *o)
{
	struct waiter *w, *tmp;
	LIST_FOREACH_SAFE(w, tmp, &o->waiters, node)
		waiter_free(w);
}

void object_announce(struct object *o, const char *what, json_t *data)
{
	struct waiter *w = XNEW(struct waiter);
	w->version = o->version;
	w->what = what;
	w->state = o->state;
	w->data = data;
	list_append(&o->waiters, &w->node);
}

void object_wait(struct object *o, object_durable done, void *arg)
{
	if (o->gone || o->stored_version == o->version) {
		done(o->gone ? -o->set->kind->missing : 0, arg);
		return;
	}
	struct waiter *w = XNEW(struct waiter);
	w->version = o->version;
	w->done = done;
	w->arg = arg;
	list_append(&o->waiters, &w->node);
	object_flush(o);
}

static void publish_entered(struct object *o, struct waiter *w)
{
	object_publish(o, w->what, TAKE_PTR(w->data));
	if (o->set->kind->entered)
		o->set->kind->entered(o, w->state);
}

/* In the order in which the versions were entered. */
static void notify_durable(struct object *o)
{
	struct waiter *w, *tmp;
	struct list ready;
	list_init(&ready);
	LIST_FOREACH_SAFE(w, tmp, &o->waiters, node) {
		if (w->version > o->stored_version)
			break;
		list_remove(&w->node);
		list_append(&ready, &w->node);
	}
	LIST_FOREACH_SAFE(w, tmp, &ready, node) {
		list_remove(&w->node);
		if (w->done)
			w->done(0, w->arg);
		else if (!o->gone)
			publish_entered(o, w);
		waiter_free(w);
	}
}

/* Fails waiting tasks. Events stay until their version is stored. */
static void notify_failure(struct object *o, int err)
{
	struct waiter *w, *tmp;
	struct list failed;
	list_init(&failed);
	LIST_FOREACH_SAFE(w, tmp, &o->waiters, node) {
		if (!w->done)
			continue;
		list_remove(&w->node);
		list_append(&failed, &w->node);
	}
	LIST_FOREACH_SAFE(w, tmp, &failed, node) {
		list_remove(&w->node);
		w->done(err, w->arg);
		waiter_free(w);
	}
}

static void write_retry(void *arg)
{
	struct object *o = arg;
	object_flush(o);
}

static void retry_later(struct object *o)
{
	if (!o->retry)
		o->retry = loop_timer_new(o->set->env.loop, write_retry, o);
	loop_timer_set(o->retry, RETRY_MS);
}

/* --- conflicts: another process wrote in between */

/* The stored document is ours: the write took effect, and only its result was lost. */
static bool was_stored(const struct object *o, const json_t *theirs)
{
	return o->unsure && json_equal(o->unsure, theirs);
}

/* Whether the other process's document wins, so that our changes are dropped: it changed the state, or our write is a claim. Otherwise our
 * changes are merged into its document. */
static bool conflict_wins(const struct object *o, const json_t *theirs)
{
	const struct object_kind *k = o->set->kind;
	unsigned state = o->stored_state;
	object_state_of(k, doc_str(theirs, k->state_field, ""), &state);
	if (o->set->env.alone)
		return false;
	/* the state is that of our operation, but the claim was not renewed for so long that another process may have taken it over */
	bool lapsed = k->states[state].between && clock_mono_us() - o->seen_us > o->set->busy_ms * 1000;
	return o->strict || state != o->stored_state || lapsed;
}

/* Drops our changes and their events. The record takes over the stored document, and waiting tasks continue with that. */
static void conflict_yield(struct object *o, json_t *consume_theirs)
{
	struct waiter *w, *tmp;
	LIST_FOREACH_SAFE(w, tmp, &o->waiters, node)
		if (!w->done)
			waiter_free(w);
	log_info(o->set->kind->service, "%s %s: another process changed it concurrently", o->set->kind->name, o->id);
	o->overtaken = true;
	object_take_over(o, consume_theirs);
	LIST_FOREACH(w, &o->waiters, node)
		w->version = o->stored_version;
	notify_durable(o);
}

static void conflict_overlay(struct object *o, json_t *consume_theirs, int64_t version)
{
	static const char *const always[] = { "updated_at", NULL };
	const struct object_kind *k = o->set->kind;
	const char *const named[] = { k->state_field, k->reason_field, NULL };
	const char *const *const lists[] = { named, k->written, always };
	o->stored_version = version;
	object_state_of(k, doc_str(consume_theirs, k->state_field, ""), &o->stored_state);
	for (size_t i = 0; o->doc && i < ARRAY_LEN(lists); i++)
		for (const char *const *member = lists[i]; member && *member; member++)
			json_object_set(consume_theirs, *member, json_object_get(o->doc, *member));
	o->version = MAX(o->version, version + 1);
	doc_set_int(consume_theirs, "version", o->version);
	json_decref(o->doc);
	o->doc = consume_theirs;
}

static void deleted_elsewhere(struct object *o)
{
	log_warn(o->set->kind->service, "%s %s was deleted by another process", o->set->kind->name, o->id);
	o->stored_version = o->version;
	notify_failure(o, -o->set->kind->missing);
	object_drop(o);
}

static void conflict_reread(enum store_result result, const struct store_doc *d, UNUSED int err, void *arg)
{
	struct object *o = arg;
	struct objects *set = o->set;
	json_t *theirs = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (result == STORE_MISSING && !o->gone)
		deleted_elsewhere(o);
	if (theirs && !o->gone && !was_stored(o, theirs) && conflict_wins(o, theirs)) {
		conflict_yield(o, TAKE_PTR(theirs)); /* `writing` stays set meanwhile, as in write_done() */
		o->writing = o->strict = false;
		set->under_way--;
		object_flush(o);
		object_let_go(o);
		objects_idle(set);
		return;
	}
	o->writing = false;
	set->under_way--;
	if (theirs && !o->gone) {
		conflict_overlay(o, theirs, d->version);
		object_flush(o);
		return;
	}
	json_decref(theirs);
	if (o->gone)
		object_let_go(o);
	else
		retry_later(o);
	objects_idle(set);
}

/* --- writing */

static void write_failed(struct object *o, int err)
{
	log_warn(o->set->kind->service, "the state of %s %s could not be stored (%s); retrying", o->set->kind->name, o->id,
		 err_name(err));
	if (store_unsure(err) && !o->unsure)
		o->unsure = json_incref(o->doc);
	retry_later(o);
	notify_failure(o, err ? err : -ERR_UNAVAILABLE);
}

static void write_stored(struct object *o)
{
	o->stored_version = o->writing_version;
	o->stored_state = o->writing_state;
	o->seen_us = o->writing_us;
	o->strict = false;
	json_decref(o->unsure);
	o->unsure = NULL;
	notify_durable(o);
}

static void write_done(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct object *o = arg;
	struct objects *set = o->set;
	if (!o->gone && (result == STORE_STALE || result == STORE_MISSING)) {
		store_get(set->env.store, set->kind->collection, o->id, conflict_reread, o);
		return;
	}
	/* `writing` stays set during callbacks, so that the record is not freed and their changes are written together */
	if (!o->gone && result != STORE_OK)
		write_failed(o, err);
	else if (!o->gone)
		write_stored(o);
	o->writing = false;
	set->under_way--;
	if (result == STORE_OK)
		object_flush(o);
	object_let_go(o);
	objects_idle(set);
}

void object_flush(struct object *o)
{
	struct objects *set = o->set;
	if (o->writing || o->gone || !o->doc || o->stored_version == o->version)
		return;
	o->writing = true;
	set->under_way++;
	if (!o->unsure) /* otherwise the earlier write may be the one that took effect */
		o->writing_us = clock_mono_us();
	o->writing_version = o->version;
	o->writing_state = o->state;
	struct store_op op = { STORE_REPLACE, set->kind->collection, o->id, o->stored_version, o->doc };
	store_write(set->env.store, &op, 1, write_done, o);
}

void object_let_go(struct object *o)
{
	if (!object_idle(o) || o->writing)
		return;
	if (o->gone) {
		object_free(o);
	} else if (o->stored_version == o->version && list_empty(&o->waiters)) {
		json_decref(o->doc);
		o->doc = NULL;
	}
}

void object_next_version(struct object *o, json_t *consume)
{
	doc_set_int(consume, "version", ++o->version);
	doc_set_time(consume, "updated_at", clock_wall_ms());
	if (o->set->kind->refresh)
		o->set->kind->refresh(o, consume);
	json_decref(o->doc);
	o->doc = consume;
}

void object_bump(struct object *o)
{
	object_next_version(o, json_copy(o->doc));
	object_flush(o);
}

void object_revert(struct object *o)
{
	object_forget_waiters(o);
	loop_timer_free(o->retry);
	o->retry = NULL;
	o->strict = false;
	o->version = o->stored_version;
	json_decref(o->doc);
	o->doc = NULL;
	if (o->state != o->stored_state)
		object_count(o, o->stored_state);
}

void object_take_over(struct object *o, json_t *consume)
{
	json_decref(o->doc);
	o->doc = consume;
	object_sync(o, o->doc);
	objects_figures(o->set);
}
