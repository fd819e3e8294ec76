#include "object/set.h"

/* A strand runs one task of an object at a time; the others queue. A task begins with the stored document. */

static void task_fetch(struct object *o);

void *object_task_new(struct objects *set, struct call *c, void (*run)(struct object_task *t))
{
	struct object_task *t = xcalloc(1, MAX(set->kind->task_size, sizeof *t));
	t->call = c;
	t->asked = c != NULL;
	t->run = run;
	return t;
}

static void task_free(struct objects *set, struct object_task *t)
{
	if (set->kind->task_free)
		set->kind->task_free(t);
	loop_timer_free(t->timer);
	json_decref(t->was);
	free(t->refusal.message);
	json_decref(t->refusal.details);
	free(t);
}

void object_task_remember(struct object_task *t)
{
	json_decref(t->was);
	t->was = json_incref(t->object->doc);
}

void object_task_go_back(struct object_task *t)
{
	struct object *o = t->object;
	const struct object_kind *k = o->set->kind;
	const char *reason = doc_str(t->was, k->reason_field, NULL);
	unsigned back = o->state;
	object_state_of(k, doc_str(t->was, k->state_field, ""), &back);
	if (back == o->state)
		return;
	if (!object_may(o, back, reason))
		back = k->states[o->state].back;
	json_t *extra = json_object();
	for (const char *const *member = k->kept; member && *member; member++)
		json_object_set(extra, *member, json_object_get(t->was, *member));
	object_enter(o, back, reason, extra);
}

/* --- responses and end of a task */

void object_task_answer(struct object_task *t, int status)
{
	if (t->call)
		object_send(t->object, TAKE_PTR(t->call), status);
}

void object_task_fail(struct object_task *t, int err, const char *fmt, ...)
{
	if (t->call) {
		va_list ap;
		va_start(ap, fmt);
		_cleanup_(xfreep) char *text = fmt ? xvasprintf(fmt, ap) : NULL;
		va_end(ap);
		if (text)
			call_fail(TAKE_PTR(t->call), err, "%s", text);
		else
			call_fail(TAKE_PTR(t->call), err, NULL);
	}
	object_task_end(t);
}

void object_task_fail_store(struct object_task *t, int err, int code)
{
	if (t->call)
		objects_fail_call(t->object->set, TAKE_PTR(t->call), err, code);
	object_task_end(t);
}

static void task_refused(UNUSED int err, void *arg)
{
	struct object_task *t = arg;
	if (t->call)
		call_fail_details(TAKE_PTR(t->call), t->refusal.err, TAKE_PTR(t->refusal.details), "%s", t->refusal.message);
	object_task_end(t);
}

void object_task_refuse(struct object_task *t, int err, json_t *details, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	t->refusal.message = xvasprintf(fmt, ap);
	va_end(ap);
	t->refusal.err = err;
	t->refusal.details = details;
	object_wait(t->object, task_refused, t);
}

bool object_task_refused(const struct object_task *t)
{
	return t->refusal.err != 0;
}

static int task_accepted_status(const struct object_task *t)
{
	return t->fresh ? 201 : 202;
}

static void task_wait_over(void *arg)
{
	struct object_task *t = arg;
	object_task_answer(t, task_accepted_status(t));
}

void object_task_wait(struct object_task *t)
{
	if (!t->call || !t->wait || t->timer)
		return;
	t->timer = loop_timer_new(t->object->set->env.loop, task_wait_over, t);
	loop_timer_set(t->timer, MIN(MAX(call_time_left_ms(t->call) - 500, 1), OBJECT_WAIT_MS));
}

/* --- the queue */

/* Ends a task that cannot run: its object was deleted (err 0), or cannot be read. */
static void task_end_unrun(struct object *o, int err)
{
	struct object_task *t = o->running;
	if (err)
		object_task_fail_store(t, err, ERR_INTERNAL);
	else
		object_task_fail(t, o->set->kind->missing, NULL);
}

static void strand_next(struct object *o)
{
	if (o->running)
		return;
	struct list *first = list_take_first(&o->tasks);
	if (!first) {
		object_let_go(o);
		return;
	}
	o->ntasks--;
	o->running = CONTAINER_OF(first, struct object_task, node);
	if (o->gone)
		task_end_unrun(o, 0);
	else
		task_fetch(o);
}

void object_queue(struct object *o, struct object_task *t)
{
	if (t->call && o->ntasks >= OBJECT_TASKS_MAX) {
		call_fail(TAKE_PTR(t->call), ERR_CONFLICT, "%d operations are already queued for this %s; read its status and retry",
			  OBJECT_TASKS_MAX, o->set->kind->name);
		task_free(o->set, t);
		return;
	}
	t->object = o;
	o->set->under_way++;
	o->ntasks++;
	list_append(&o->tasks, &t->node);
	strand_next(o);
}

void object_task_end(struct object_task *t)
{
	struct object *o = t->object;
	struct objects *set = o->set;
	if (t->call) /* not answered yet: respond with the object */
		object_send(o, TAKE_PTR(t->call), 0);
	object_task_release(t);
	if (set->kind->task_ended)
		set->kind->task_ended(t);
	o->running = NULL;
	task_free(set, t);
	set->under_way--;
	strand_next(o);
	objects_idle(set);
}

/* --- start of a task */

void object_poll_soon(struct object *o)
{
	if (o->waiting)
		loop_timer_set(o->poll, 1);
}

static void strand_poll(void *arg)
{
	struct object *o = arg;
	o->waiting = false;
	task_fetch(o);
}

static void task_wait_for_other(struct object_task *t)
{
	struct object *o = t->object;
	object_task_wait(t);
	if (!o->poll)
		o->poll = loop_timer_new(o->set->env.loop, strand_poll, o);
	o->waiting = true;
	loop_timer_set(o->poll, OBJECT_POLL_MS);
}

/* Another process runs an operation on it. */
static void task_come_second(struct object_task *t)
{
	const struct object_kind *k = t->object->set->kind;
	switch (k->second ? k->second(t) : OBJECT_SECOND_WAITS) {
	case OBJECT_SECOND_ENDS:
		object_task_end(t);
		break;
	case OBJECT_SECOND_RUNS:
		t->run(t);
		break;
	case OBJECT_SECOND_ACCEPTED:
		object_task_answer(t, task_accepted_status(t));
		object_task_end(t);
		break;
	case OBJECT_SECOND_WAITS:
		task_wait_for_other(t);
		break;
	}
}

static void task_begin(struct object *o)
{
	struct object_task *t = o->running;
	o->overtaken = false;
	if (object_busy_elsewhere(o) && !(t->fresh && !t->races))
		task_come_second(t);
	else
		t->run(t);
}

static void task_fetched(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct object *o = arg;
	if (result == STORE_FAILED) {
		task_end_unrun(o, err);
		return;
	}
	if (result != STORE_OK) {
		if (!o->gone)
			object_drop(o);
		task_end_unrun(o, 0);
		return;
	}
	o->doc = doc_parse(d->text->data, d->text->len, NULL, 0);
	object_sync(o, o->doc);
	task_begin(o);
}

static void task_fetch(struct object *o)
{
	struct objects *set = o->set;
	struct store *store = set->env.store;
	if (!set->env.alone && o->stored_version == o->version && !o->writing) {
		json_decref(o->doc); /* another process may have written since */
		o->doc = NULL;
	}
	if (set->env.alone && !o->doc && (o->doc = json_incref(store_peek_doc(store, set->kind->collection, o->id))))
		object_sync(o, o->doc);
	if (o->doc)
		task_begin(o);
	else
		store_get(store, set->kind->collection, o->id, task_fetched, o);
}

void object_task_again(struct object_task *t)
{
	if (++t->races > OBJECT_TASKS_MAX)
		object_task_fail(t, ERR_BUSY, "concurrent changes to this %s prevented the operation; retry in a few seconds", t->object->set->kind->name);
	else if (!t->asked)
		object_task_end(t);
	else
		task_fetch(t->object);
}
