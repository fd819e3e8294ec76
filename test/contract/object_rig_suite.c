/* Managers of jobs: the fixture of object_suite.c. A job works until the test ends it. */
#include "test/contract/object_suite.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "bus/transport.h"
#include "lease/leases.h"
#include "lucid/clock.h"
#include "lucid/metrics.h"
#include "lucid/str.h"
#include "object/set.h"
#include "test/contract/store_suite.h"

/* All intervals are shorter than in the program. */
#define RENEW_MS 150
#define SCAN_MS 50
#define BEAT_MS 100

const struct object_factory *object_factory;

static const struct op work_row = { .name = "job.work", .role = "job", .verb = "POST", .path = "/api/v1/jobs/{server_id}/work",
				    .scope = OP_USER, .deadline_ms = 60000 };
static const struct caller alice = { .sub = "alice", .roles = CALLER_USER };

static struct side *side_of(const struct object_task *t)
{
	return object_ctx(t->object);
}

/* --- the operation */

static void work_done(UNUSED int err, void *arg)
{
	struct object_task *t = arg;
	object_task_answer(t, 200);
	object_task_end(t);
}

static void work_go(struct object_task *t)
{
	struct side *s = side_of(t);
	assert_null(s->held);
	s->begun++;
	s->held = t;
}

static void work_accepted(int err, void *arg)
{
	struct object_task *t = arg;
	if (!t->call || t->wait)
		return;
	if (err)
		objects_fail_call(t->object->set, TAKE_PTR(t->call), err, ERR_INTERNAL);
	else
		object_task_answer(t, 202);
}

static void work_run(struct object_task *t)
{
	struct side *s = side_of(t);
	if (t->object->state != JOB_WORKING && !object_enter(t->object, JOB_WORKING, "asked", NULL)) {
		object_task_fail(t, ERR_CONFLICT, "a job that is ending does not work");
		return;
	}
	object_touch(t->object, "worker", json_string(s->name));
	object_task_wait(t);
	object_task_claim(t, work_go, work_accepted);
}

void side_finish(struct side *s)
{
	struct object_task *t = TAKE_PTR(s->held);
	assert_non_null(t);
	if (t->object->overtaken) {
		s->voided++;
		object_task_answer(t, 202);
		object_task_end(t);
		return;
	}
	object_enter(t->object, JOB_IDLE, NULL, NULL);
	object_wait(t->object, work_done, t);
}

static void on_work(struct call *c, void *ctx)
{
	struct side *s = ctx;
	struct object *o = objects_of_call(s->set, c, "server_id", on_work);
	if (!o)
		return;
	struct object_task *t = object_task_new(s->set, c, work_run);
	t->wait = s->wait;
	object_queue(o, t);
}

/* --- the kind */

static void stamp_worked(json_t *doc, int64_t now_ms)
{
	doc_set_time(doc, "worked_at", now_ms);
}

static bool with_reason(UNUSED const struct object *o, const char *reason)
{
	return reason != NULL;
}

static bool job_abandoned(struct object *o)
{
	struct side *s = object_ctx(o);
	if (s->dead)
		return false;
	assert_true(object_group_leads(o->group));
	s->taken_over++;
	object_queue(o, object_task_new(s->set, NULL, work_run));
	return true;
}

static void job_lead(struct object_group *g, bool held)
{
	struct side *s = objects_ctx(g->set);
	s->led += held;
}

static enum object_second job_second(const struct object_task *t)
{
	return t->asked ? OBJECT_SECOND_WAITS : OBJECT_SECOND_ENDS;
}

static const struct object_state states[] = {
	[JOB_IDLE] = { "idle", false, JOB_BROKEN },
	[JOB_WORKING] = { "working", true, JOB_IDLE },
	[JOB_ENDING] = { "ending", true, JOB_BROKEN },
	[JOB_BROKEN] = { "broken", false, JOB_BROKEN },
};
static const struct object_transition transitions[] = {
	{ JOB_IDLE, JOB_WORKING },
	{ JOB_IDLE, JOB_BROKEN },
	{ JOB_WORKING, JOB_IDLE, .effect = stamp_worked },
	{ JOB_WORKING, JOB_ENDING },
	{ JOB_WORKING, JOB_BROKEN },
	{ JOB_ENDING, JOB_IDLE },
	{ JOB_BROKEN, JOB_WORKING, .guard = with_reason },
};
#define JOB_KIND                                                                                                       \
	.name = "job", .plural = "jobs", .service = "test", .collection = COL_SESSIONS, .id_field = "job_id",          \
	.owner_field = "user_id", .state_field = "status", .reason_field = "status_reason",                            \
	.topic = "job", .lease = "jobs", .figure = "jobs_total", .figure_help = "Jobs by state",                       \
	.missing = ERR_NOT_FOUND, .states = states, .nstates = ARRAY_LEN(states), .unknown = JOB_BROKEN,               \
	.transitions = transitions, .ntransitions = ARRAY_LEN(transitions),                                            \
	.written = (const char *const[]){ "worker", "worked_at", NULL }, .size = sizeof(struct object),                \
	.group_size = sizeof(struct object_group), .task_size = sizeof(struct object_task), .second = job_second,      \
	.abandoned = job_abandoned, .lead = job_lead
const struct object_kind job_kind = { JOB_KIND, .group_field = "node", .max = 10000 };
const struct object_kind few_jobs_kind = { JOB_KIND, .group_field = "node", .max = FEW_JOBS };
const struct object_kind ungrouped_kind = { JOB_KIND, .max = 10000 };

/* --- managers */

struct carrier {
	struct transport t;
	struct side *from, *to;
};

static void carry_event(struct transport *t, const struct event *e)
{
	struct carrier *c = (struct carrier *)t;
	struct event copy = *e;
	copy.origin = bus_origin(c->from->bus);
	if (!c->from->pair->deaf)
		bus_deliver_foreign(c->to->bus, &copy, json_incref(e->data));
}

static void note_event(const struct event *e, void *arg)
{
	struct side *s = arg;
	size_t n = strlen(s->events);
	const char *status = doc_str(e->data, "status", "");
	snprintf(s->events + n, sizeof s->events - n, "%s%s%s ", e->topic, *status ? "=" : "", status);
}

static void side_open(struct pair *p, size_t i, const struct object_kind *kind)
{
	struct side *s = &p->side[i];
	static const char *const names[] = { "a", "b" };
	s->pair = p;
	s->name = names[i];
	s->wait = true;
	s->store = i && !object_factory->own ? p->side[0].store : object_factory->open(p->loop, p->name);
	s->bus = bus_new(p->loop);
	s->sub = bus_subscribe(s->bus, "job.*", note_event, s);
	s->leases = leases_new(&(struct leases_env){ .loop = p->loop, .store = s->store, .shared = p->n > 1, .holder = s->name, .beat_ms = BEAT_MS,
					       .lost_ms = OBJECT_PATIENCE_MS });
	s->set = objects_new(&(struct objects_env){ .kind = kind, .loop = p->loop, .bus = s->bus, .store = s->store,
						    .leases = s->leases, .alone = p->n == 1, .ctx = s });
	s->set->renew_ms = RENEW_MS;
	s->set->busy_ms = OBJECT_PATIENCE_MS;
	s->set->scan_ms = SCAN_MS;
	bus_serve(s->bus, &work_row, on_work, s);
}

void pair_open(struct pair *p, size_t n, const struct object_kind *kind)
{
	static unsigned opened;
	*p = (struct pair){ .loop = loop_new(), .n = n };
	snprintf(p->name, sizeof p->name, "objects%u", opened++);
	for (size_t i = 0; i < n; i++)
		side_open(p, i, kind);
	for (size_t i = 0; i < n && n > 1; i++) {
		struct carrier *c = XNEW(struct carrier);
		*c = (struct carrier){ { .name = p->side[i].name, .publish = carry_event }, &p->side[i], &p->side[1 - i] };
		p->side[i].carry = &c->t;
		bus_carry_events(p->side[i].bus, &c->t);
	}
	for (size_t i = 0; i < n; i++) {
		UNTIL(p, store_healthy(p->side[i].store, NULL));
		leases_begin(p->side[i].leases);
		objects_start(p->side[i].set);
	}
	for (size_t i = 0; i < n; i++)
		UNTIL(p, objects_loaded(p->side[i].set));
}

static void on_drained(void *arg)
{
	*(bool *)arg = true;
}

void pair_close(struct pair *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct side *s = &p->side[i];
		bool done = false;
		if (s->carry)
			bus_carry_events(s->bus, NULL);
		if (!objects_draining(s->set))
			objects_drain(s->set, on_drained, &done);
		UNTIL(p, done || !s->set->drained);
		assert_true(objects_free(s->set)); /* nothing is in flight */
	}
	for (size_t i = 0; i < p->n; i++)
		if (!i || object_factory->own)
			object_factory->close(p->side[i].store);
	suite_turn(p->loop, 5);
	for (size_t i = 0; i < p->n; i++) {
		leases_free(p->side[i].leases);
		bus_unsubscribe(p->side[i].sub);
		assert_int_equal(bus_calls_open(p->side[i].bus), 0);
		bus_free(p->side[i].bus);
		free(p->side[i].carry);
	}
	loop_free(p->loop);
	metrics_reset();
}

void side_kill(struct side *s)
{
	struct map_pos pos = { 0 };
	struct object *o;
	s->dead = true;
	while ((o = objects_next(s->set, &pos))) {
		loop_timer_free(o->renew);
		o->renew = NULL;
	}
	objects_lead_end(s->set);
	loop_timer_free(s->set->scan_timer);
	s->set->scan_timer = NULL;
}

/* --- jobs */

static json_t *job_doc(const char *id, enum job_state state)
{
	json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:n, s:i}", "job_id", id, "user_id", "alice", "node", "node-1", "status",
				states[state].name, "status_reason", "version", 1);
	doc_set_time(doc, "created_at", clock_wall_ms());
	return doc;
}

void job_make(struct pair *p, char dst[ID_UUID_SIZE], enum job_state state)
{
	id_uuid(dst);
	json_t *doc = job_doc(dst, state);
	assert_int_equal(suite_put(p->loop, p->side[0].store, STORE_INSERT, COL_SESSIONS, dst, 0, doc), STORE_OK);
}

void job_put(struct pair *p, const char *id, json_t *doc)
{
	assert_int_equal(suite_put(p->loop, p->side[0].store, STORE_PUT, COL_SESSIONS, id, 0, doc), STORE_OK);
}

json_t *job_stored(struct pair *p, const char *id)
{
	struct suite_answer a;
	suite_get(p->loop, p->side[0].store, COL_SESSIONS, id, &a);
	json_t *doc = a.text ? doc_parse(a.text, strlen(a.text), NULL, 0) : NULL;
	free(a.text);
	return doc;
}

static void on_answer(const struct reply *r, void *arg)
{
	struct job_answer *a = arg;
	assert_false(a->over);
	*a = (struct job_answer){ true, r->err, r->status, json_incref(r->doc) };
}

void job_ask(struct side *s, const char *id, struct job_answer *a)
{
	json_decref(a->doc);
	*a = (struct job_answer){ 0 };
	bus_call(s->bus, &(struct call_args){ .op = &work_row, .caller = &alice, .params = { id } }, on_answer, a);
}

struct object *side_job(struct side *s, const char *id)
{
	struct object *o = objects_find(s->set, id);
	assert_non_null(o);
	return o;
}

static void (*doing)(struct object_task *t);

static void do_run(struct object_task *t)
{
	void (*fn)(struct object_task *t) = TAKE_PTR(doing);
	fn(t);
	object_task_end(t);
}

void side_do(struct side *s, const char *id, void (*fn)(struct object_task *t))
{
	doing = fn;
	object_queue(side_job(s, id), object_task_new(s->set, NULL, do_run));
	UNTIL(s->pair, !doing);
}
