#include "test/contract/object_suite.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "bus/transport.h"
#include "lucid/str.h"
#include "object/set.h"
#include "test/contract/store_suite.h"

static bool stored_as(struct pair *p, const char *id, const char *member, const char *value)
{
	_cleanup_(doc_unrefp) json_t *doc = job_stored(p, id);
	return str_eq(doc_str(doc, member, ""), value);
}

static unsigned times(const char *text, const char *what)
{
	unsigned n = 0;
	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* Creates the record of a job at a manager that does not know it yet. */
static void know(struct side *s, const char *id)
{
	_cleanup_(doc_unrefp) json_t *doc = job_stored(s->pair, id);
	if (!objects_record(s->set, id))
		assert_non_null(objects_add(s->set, doc));
}

static void on_drained(void *arg)
{
	*(bool *)arg = true;
}

/* --- states */

/* Transitions to idle, working, ending, broken; '-' is refused, '?' needs a reason. */
static const char *const table[JOB_STATES] = {
	[JOB_IDLE] = "-x-x",
	[JOB_WORKING] = "x-xx",
	[JOB_ENDING] = "x---",
	[JOB_BROKEN] = "-?--",
};
static unsigned from, to;
static const char *given;

static void try_transition(struct object_task *t)
{
	struct object *o = t->object;
	char want = table[from][to];
	bool legal = want == 'x' || (want == '?' && given);
	int64_t version = o->version;
	size_t was = objects_in_state(o->set, to);
	assert_int_equal(o->state, from);
	assert_int_equal(object_may(o, to, given), legal);
	assert_int_equal(object_enter(o, to, given, json_pack("{s:i}", "extra", 7)), legal);
	assert_int_equal(o->state, legal ? to : from);
	assert_int_equal(o->version, version + legal);
	assert_int_equal(objects_in_state(o->set, to), was + legal);
	assert_int_equal(doc_int(o->doc, "extra", 0), legal ? 7 : 0);
	assert_int_equal(doc_str(o->doc, "worked_at", NULL) != NULL, legal && from == JOB_WORKING && to == JOB_IDLE);
}

static void only_transitions_of_the_table_are_entered(UNUSED void **state)
{
	struct pair p;
	pair_open(&p, 1, &job_kind);
	for (unsigned i = 0; i < 2 * JOB_STATES * JOB_STATES; i++) {
		char id[ID_UUID_SIZE];
		from = i / JOB_STATES % JOB_STATES;
		to = i % JOB_STATES;
		given = i < JOB_STATES * JOB_STATES ? NULL : "a reason";
		job_make(&p, id, (enum job_state)from);
		know(&p.side[0], id);
		p.side[0].events[0] = 0;
		side_do(&p.side[0], id, try_transition);
		struct object *o = side_job(&p.side[0], id);
		UNTIL(&p, o->stored_version == o->version && !o->doc);
		suite_turn(p.loop, 2);
		/* an entered state is stored and published once, a refused one is not */
		_cleanup_(doc_unrefp) json_t *doc = job_stored(&p, id);
		assert_string_equal(doc_str(doc, "status", ""), job_kind.states[o->state].name);
		assert_int_equal(doc_int(doc, "version", 0), o->version);
		assert_int_equal(times(p.side[0].events, "job.status="), o->version - 1);
	}
	pair_close(&p);
}

static void break_it(struct object_task *t)
{
	assert_true(object_enter(t->object, JOB_BROKEN, "by the test", NULL));
}

/* --- the strand */

static void operations_run_one_at_a_time_and_are_bounded(UNUSED void **state)
{
	struct pair p;
	struct side *s = &p.side[0];
	struct job_answer x[OBJECT_TASKS_MAX + 2] = { 0 };
	char id[ID_UUID_SIZE];
	pair_open(&p, 1, &job_kind);
	job_make(&p, id, JOB_IDLE);
	for (size_t i = 0; i < ARRAY_LEN(x); i++) {
		job_ask(s, id, &x[i]);
		UNTIL(&p, objects_find(s->set, id) && (s->held || i));
	}
	UNTIL(&p, x[OBJECT_TASKS_MAX + 1].over);
	assert_int_equal(x[OBJECT_TASKS_MAX + 1].err, ERR_CONFLICT);
	for (unsigned i = 0; i <= OBJECT_TASKS_MAX; i++) {
		UNTIL(&p, s->held);
		assert_int_equal(s->begun, i + 1);
		assert_false(x[i].over);
		side_finish(s);
		UNTIL(&p, x[i].over);
		assert_int_equal(x[i].status, 200);
		assert_string_equal(doc_str(x[i].doc, "status", ""), "idle");
	}
	for (size_t i = 0; i < ARRAY_LEN(x); i++)
		json_decref(x[i].doc);
	pair_close(&p);
}

/* Without ?wait the caller is told that the operation was accepted as soon as that is durable, and the operation continues. */
static void without_wait_it_is_accepted(UNUSED void **state)
{
	for (size_t n = 1; n <= 2; n++) {
		struct pair p;
		struct job_answer x = { 0 };
		char id[ID_UUID_SIZE];
		pair_open(&p, n, &job_kind);
		job_make(&p, id, JOB_IDLE);
		p.side[0].wait = false;
		job_ask(&p.side[0], id, &x);
		UNTIL(&p, x.over);
		assert_int_equal(x.status, 202);
		assert_true(stored_as(&p, id, "status", "working"));
		UNTIL(&p, p.side[0].held);
		side_finish(&p.side[0]);
		UNTIL(&p, stored_as(&p, id, "status", "idle"));
		json_decref(x.doc);
		pair_close(&p);
	}
}

/* --- several managers */

/* Until this manager has seen that the other one renews the claim. */
static void until_renewed(struct side *s, const char *id)
{
	UNTIL(s->pair, objects_find(s->set, id)); /* it may still be reading the object */
	int64_t version = side_job(s, id)->version, seen_us = side_job(s, id)->seen_us;
	UNTIL(s->pair, side_job(s, id)->version > version && side_job(s, id)->seen_us > seen_us);
}

/* Both are called in one turn: one begins, the other waits for its end, and only then begins itself. */
static void one_of_two_managers_wins(bool deaf)
{
	struct pair p;
	struct job_answer x[2] = { 0 };
	char id[ID_UUID_SIZE];
	pair_open(&p, 2, &job_kind);
	p.deaf = deaf;
	job_make(&p, id, JOB_IDLE);
	for (int i = 0; i < 2; i++)
		job_ask(&p.side[i], id, &x[i]);
	UNTIL(&p, p.side[0].held || p.side[1].held);
	int first = p.side[0].held ? 0 : 1;
	for (int i = 0; i < 5; i++)
		until_renewed(&p.side[1 - first], id);
	assert_non_null(p.side[first].held);
	assert_null(p.side[1 - first].held);
	assert_int_equal(p.side[0].begun + p.side[1].begun, 1);
	assert_false(x[0].over || x[1].over);
	side_finish(&p.side[first]);
	UNTIL(&p, x[first].over && p.side[1 - first].held);
	assert_int_equal(x[first].status, 200);
	assert_false(x[1 - first].over);
	side_finish(&p.side[1 - first]);
	UNTIL(&p, x[1 - first].over);
	assert_int_equal(x[1 - first].status, 200);
	assert_int_equal(p.side[0].begun + p.side[1].begun, 2);
	assert_int_equal(p.side[0].taken_over + p.side[1].taken_over + p.side[0].voided + p.side[1].voided, 0);
	for (int i = 0; i < 2; i++)
		json_decref(x[i].doc);
	pair_close(&p);
}

static void one_of_two_managers_begins_and_the_other_waits(UNUSED void **state)
{
	one_of_two_managers_wins(false);
}

static void one_of_two_managers_begins_without_events(UNUSED void **state)
{
	one_of_two_managers_wins(true);
}

static void a_dead_manager_is_replaced(const struct object_kind *kind)
{
	struct pair p;
	struct side *a = &p.side[0], *b = &p.side[1];
	struct job_answer x = { 0 };
	char id[ID_UUID_SIZE];
	pair_open(&p, 2, kind);
	p.deaf = true;
	job_make(&p, id, JOB_IDLE);
	job_ask(a, id, &x);
	UNTIL(&p, a->held);
	side_kill(a);
	a->set->busy_ms = b->set->busy_ms = DEAD_AFTER_MS;
	UNTIL(&p, b->held);
	assert_int_equal(b->taken_over, 1);
	UNTIL(&p, stored_as(&p, id, "worker", "b"));
	/* the late result: its caller gets an answer, but nothing is stored */
	side_finish(a);
	UNTIL(&p, x.over);
	assert_true(stored_as(&p, id, "worker", "b") && stored_as(&p, id, "status", "working"));
	side_finish(b);
	UNTIL(&p, stored_as(&p, id, "status", "idle"));
	assert_true(stored_as(&p, id, "worker", "b"));
	assert_int_equal(b->begun, 1);
	assert_int_equal(times(b->events, "job.status=idle"), 1);
	json_decref(x.doc);
	pair_close(&p);
}

static void operation_of_a_dead_manager_is_completed_and_its_late_result_ignored(UNUSED void **state)
{
	a_dead_manager_is_replaced(&job_kind);
}

static void operation_of_a_dead_manager_of_an_ungrouped_kind_is_completed(UNUSED void **state)
{
	a_dead_manager_is_replaced(&ungrouped_kind);
}

/* One manager leads the objects of a group; when it loses its lease, the other takes over. */
static void one_manager_leads_a_group(UNUSED void **state)
{
	struct pair p;
	char id[ID_UUID_SIZE];
	struct object_group *g[2];
	pair_open(&p, 2, &job_kind);
	job_make(&p, id, JOB_IDLE);
	for (int i = 0; i < 2; i++) {
		know(&p.side[i], id);
		g[i] = objects_group_find(p.side[i].set, "node-1");
		assert_non_null(g[i]);
	}
	UNTIL(&p, object_group_leads(g[0]) || object_group_leads(g[1]));
	assert_int_equal(object_group_leads(g[0]) + object_group_leads(g[1]), 1);
	int leader = object_group_leads(g[0]) ? 0 : 1;
	side_kill(&p.side[leader]);
	UNTIL(&p, object_group_leads(g[1 - leader]));
	assert_false(object_group_leads(g[leader]));
	pair_close(&p);
}

/* The index of the manager that leads this group; exactly one does. */
static int leader_of(struct object_group *const g[2])
{
	assert_int_equal(object_group_leads(g[0]) + object_group_leads(g[1]), 1);
	return object_group_leads(g[0]) ? 0 : 1;
}

static char *lease_holder(struct pair *p, const char *name)
{
	struct suite_answer a;
	suite_get(p->loop, p->side[0].store, COL_LEASES, name, &a);
	_cleanup_(doc_unrefp) json_t *doc = a.text ? doc_parse(a.text, strlen(a.text), NULL, 0) : NULL;
	free(a.text);
	return xstrdup(doc_str(doc, "holder", "none"));
}

/* A kind without a group field: its one lease is wanted before any object is known, and covers objects of every node. */
static void one_manager_leads_all_objects_of_an_ungrouped_kind(UNUSED void **state)
{
	struct pair p;
	char id[3][ID_UUID_SIZE];
	static const char *const nodes[] = { "node-1", "node-2", NULL };
	struct object_group *g[2];
	pair_open(&p, 2, &ungrouped_kind);
	for (int i = 0; i < 2; i++) {
		g[i] = objects_group_find(p.side[i].set, "");
		assert_non_null(g[i]);
	}
	UNTIL(&p, object_group_leads(g[0]) || object_group_leads(g[1]));
	int leader = leader_of(g);
	_cleanup_(xfreep) char *holder = lease_holder(&p, "jobs"), *other = lease_holder(&p, "jobs:");
	assert_string_equal(holder, p.side[leader].name);
	assert_string_equal(other, "none");
	for (size_t n = 0; n < ARRAY_LEN(nodes); n++) {
		job_make(&p, id[n], JOB_IDLE);
		json_t *doc = job_stored(&p, id[n]);
		doc_set_str(doc, "node", nodes[n]);
		job_put(&p, id[n], doc);
		for (int i = 0; i < 2; i++) {
			know(&p.side[i], id[n]);
			assert_ptr_equal(side_job(&p.side[i], id[n])->group, g[i]);
			assert_int_equal(g[i]->objects, n + 1);
			assert_null(objects_group_find(p.side[i].set, "node-1"));
		}
	}
	struct map_pos pos = { 0 };
	assert_ptr_equal(objects_next_group(p.side[0].set, &pos), g[0]);
	assert_null(objects_next_group(p.side[0].set, &pos));
	assert_int_equal(p.side[leader].led, 1);
	assert_int_equal(p.side[1 - leader].led, 0);
	side_kill(&p.side[leader]);
	UNTIL(&p, object_group_leads(g[1 - leader]));
	assert_int_equal(leader_of(g), 1 - leader);
	assert_int_equal(p.side[1 - leader].led, 1);
	pair_close(&p);
}

/* A manager that stops gives the lease back, and the other one leads at once. */
static void a_drain_hands_over_the_lease_of_an_ungrouped_kind(UNUSED void **state)
{
	struct pair p;
	struct object_group *g[2];
	bool done = false;
	pair_open(&p, 2, &ungrouped_kind);
	for (int i = 0; i < 2; i++)
		g[i] = objects_group_find(p.side[i].set, "");
	UNTIL(&p, object_group_leads(g[0]) || object_group_leads(g[1]));
	int leader = leader_of(g);
	objects_drain(p.side[leader].set, on_drained, &done);
	assert_false(object_group_leads(g[leader]));
	UNTIL(&p, done && object_group_leads(g[1 - leader]));
	pair_close(&p);
}

/* A manager alone leads without a lease. */
static void a_manager_alone_leads_an_ungrouped_kind(UNUSED void **state)
{
	struct pair p;
	struct job_answer x = { 0 };
	char id[ID_UUID_SIZE];
	pair_open(&p, 1, &ungrouped_kind);
	struct object_group *g = objects_group_find(p.side[0].set, "");
	assert_non_null(g);
	assert_true(object_group_leads(g));
	job_make(&p, id, JOB_IDLE);
	job_ask(&p.side[0], id, &x);
	UNTIL(&p, p.side[0].held);
	assert_ptr_equal(side_job(&p.side[0], id)->group, g);
	side_finish(&p.side[0]);
	UNTIL(&p, x.over);
	assert_int_equal(x.status, 200);
	_cleanup_(xfreep) char *holder = lease_holder(&p, "jobs");
	assert_string_equal(holder, "none");
	json_decref(x.doc);
	pair_close(&p);
}

/* --- following */

static void changes_are_followed_by_events(UNUSED void **state)
{
	struct pair p;
	struct side *a = &p.side[0], *b = &p.side[1];
	char id[ID_UUID_SIZE];
	pair_open(&p, 2, &job_kind);
	job_make(&p, id, JOB_IDLE);
	know(a, id);
	_cleanup_(doc_unrefp) json_t *doc = job_stored(&p, id);
	object_publish(side_job(a, id), "created", json_incref(doc));
	UNTIL(&p, objects_find(b->set, id));
	assert_int_equal(objects_of_owner(b->set, "alice"), 1);
	side_do(a, id, break_it);
	UNTIL(&p, side_job(b, id)->state == JOB_BROKEN);
	assert_int_equal(side_job(b, id)->version, side_job(a, id)->version);
	assert_int_equal(objects_in_state(b->set, JOB_BROKEN), 1);
	UNTIL(&p, strstr(b->events, "job.status=broken"));
	assert_int_equal(times(b->events, "job.status=broken"), 1);
	/* it reads what it does not know */
	json_t *other = job_stored(&p, id);
	doc_set_str(other, "user_id", "bob");
	doc_set_int(other, "version", side_job(a, id)->version + 1);
	job_put(&p, id, other);
	object_publish(side_job(a, id), "updated", json_object());
	UNTIL(&p, objects_of_owner(b->set, "bob") == 1);
	assert_int_equal(objects_of_owner(b->set, "alice"), 0);
	assert_int_equal(suite_put(p.loop, a->store, STORE_DELETE, COL_SESSIONS, id, 0, NULL), STORE_OK);
	object_publish(side_job(a, id), "deleted", json_object());
	object_drop(side_job(a, id));
	UNTIL(&p, !objects_record(b->set, id));
	assert_int_equal(objects_count(a->set) + objects_count(b->set), 0);
	pair_close(&p);
}

static void changes_are_followed_without_events(UNUSED void **state)
{
	struct pair p;
	struct side *a = &p.side[0], *b = &p.side[1];
	struct job_answer x = { 0 };
	char id[ID_UUID_SIZE];
	pair_open(&p, 2, &job_kind);
	p.deaf = true;
	job_make(&p, id, JOB_IDLE);
	job_ask(a, id, &x);
	UNTIL(&p, a->held);
	/* an operation in progress is seen by polling it */
	UNTIL(&p, objects_find(b->set, id) && side_job(b, id)->state == JOB_WORKING);
	side_finish(a);
	UNTIL(&p, x.over);
	/* other changes by a pass over all documents, which follows soon after missed events */
	bus_gap(b->bus, "");
	UNTIL(&p, side_job(b, id)->state == JOB_IDLE);
	/* an operation reads the document first: here the record is stale, and the operation does not begin on it */
	assert_int_equal(suite_put(p.loop, a->store, STORE_DELETE, COL_SESSIONS, id, 0, NULL), STORE_OK);
	json_decref(x.doc);
	x.doc = NULL;
	job_ask(b, id, &x);
	UNTIL(&p, x.over);
	assert_int_equal(x.err, ERR_NOT_FOUND);
	assert_null(objects_record(b->set, id));
	bus_gap(a->bus, "");
	UNTIL(&p, !objects_record(a->set, id));
	pair_close(&p);
}

/* --- write-behind */

static void break_and_note(struct object_task *t)
{
	struct side *s = object_ctx(t->object);
	_cleanup_(doc_unrefp) json_t *doc = json_copy(t->object->doc);
	/* another process writes a member of its own, but no state, while this manager's write is in flight */
	doc_set_str(doc, "note", "theirs");
	doc_set_int(doc, "version", t->object->version + 1);
	struct store_op op = { STORE_PUT, COL_SESSIONS, t->object->id, 0, doc };
	static struct suite_answer written;
	written = (struct suite_answer){ 0 };
	store_write(s->store, &op, 1, suite_on_write, &written);
	assert_true(object_enter(t->object, JOB_BROKEN, "ours", NULL));
}

static void writes_of_other_processes_are_kept(UNUSED void **state)
{
	struct pair p;
	struct side *a = &p.side[0];
	char id[ID_UUID_SIZE];
	pair_open(&p, 2, &job_kind);
	job_make(&p, id, JOB_IDLE);
	know(a, id);
	side_do(a, id, break_and_note);
	UNTIL(&p, stored_as(&p, id, "note", "theirs") && stored_as(&p, id, "status", "broken"));
	assert_true(stored_as(&p, id, "status_reason", "ours"));
	UNTIL(&p, side_job(a, id)->stored_version == side_job(a, id)->version);
	_cleanup_(doc_unrefp) json_t *doc = job_stored(&p, id);
	assert_int_equal(doc_int(doc, "version", 0), side_job(a, id)->version);
	pair_close(&p);
}

/* A manager without others: the state is entered, is stored when the store is back, and is published only then. */
static void state_is_stored_after_an_outage_of_the_store(UNUSED void **state)
{
	struct pair p;
	struct side *s = &p.side[0];
	char id[ID_UUID_SIZE];
	pair_open(&p, 1, &job_kind);
	job_make(&p, id, JOB_IDLE);
	know(s, id);
	struct object *o = side_job(s, id);
	struct object_task *t = object_task_new(s->set, NULL, object_task_end); /* reads the document while reading works */
	object_queue(o, t);
	UNTIL(&p, object_idle(o));
	s->events[0] = 0;
	object_factory->away(true);
	o->doc = o->doc ? o->doc : json_pack("{s:s, s:s, s:s, s:s, s:n, s:I}", "job_id", id, "user_id", "alice", "node", "node-1", "status",
					      "idle", "status_reason", "version", (json_int_t)o->version);
	assert_true(object_enter(o, JOB_BROKEN, "while it is away", NULL));
	UNTIL(&p, o->retry); /* it was refused once */
	assert_int_equal(o->state, JOB_BROKEN);
	assert_true(o->stored_version < o->version);
	assert_string_equal(s->events, "");
	object_factory->away(false);
	UNTIL(&p, o->stored_version == o->version);
	assert_true(stored_as(&p, id, "status", "broken"));
	UNTIL(&p, *s->events);
	assert_string_equal(s->events, "job.status=broken ");
	pair_close(&p);
}

/* With other managers, a claim that cannot be written is no claim: the caller is told, and nothing was begun. */
static void a_claim_that_cannot_be_stored_begins_nothing(UNUSED void **state)
{
	struct pair p;
	struct side *a = &p.side[0];
	struct job_answer x = { 0 };
	char id[ID_UUID_SIZE];
	pair_open(&p, 2, &job_kind);
	job_make(&p, id, JOB_IDLE);
	know(a, id);
	object_factory->away(true);
	job_ask(a, id, &x);
	UNTIL(&p, x.over);
	assert_true(x.err == ERR_UNAVAILABLE || x.err == ERR_UNCERTAIN || x.err == ERR_DEADLINE);
	assert_int_equal(a->begun, 0);
	assert_int_equal(side_job(a, id)->state, JOB_IDLE);
	object_factory->away(false);
	UNTIL(&p, store_healthy(a->store, NULL));
	for (int tries = 0; tries < 100 && !a->held; tries++) { /* a write that is known to be refused is not attempted at once */
		json_decref(x.doc);
		x.doc = NULL;
		job_ask(a, id, &x);
		UNTIL(&p, x.over || a->held);
	}
	side_finish(a);
	UNTIL(&p, x.over);
	assert_int_equal(x.status, 200);
	json_decref(x.doc);
	pair_close(&p);
}

/* --- bounds, and the end */

static void records_are_bounded(UNUSED void **state)
{
	struct pair p;
	char id[FEW_JOBS + 1][ID_UUID_SIZE];
	struct job_answer x = { 0 };
	pair_open(&p, 1, &few_jobs_kind);
	for (int i = 0; i <= FEW_JOBS; i++) {
		job_make(&p, id[i], JOB_IDLE);
		_cleanup_(doc_unrefp) json_t *doc = job_stored(&p, id[i]);
		assert_int_equal(objects_add(p.side[0].set, doc) != NULL, i < FEW_JOBS);
	}
	assert_int_equal(objects_count(p.side[0].set), FEW_JOBS);
	assert_int_equal(objects_of_owner(p.side[0].set, "alice"), FEW_JOBS);
	job_ask(&p.side[0], id[FEW_JOBS], &x);
	UNTIL(&p, x.over);
	assert_int_equal(x.err, ERR_NOT_FOUND);
	object_drop(side_job(&p.side[0], id[0]));
	job_ask(&p.side[0], id[FEW_JOBS], &x);
	UNTIL(&p, p.side[0].held);
	side_finish(&p.side[0]);
	UNTIL(&p, x.over);
	assert_int_equal(x.status, 200);
	json_decref(x.doc);
	pair_close(&p);
}

static void calls_that_wait_for_the_first_pass_are_bounded(UNUSED void **state)
{
	struct pair p;
	static struct job_answer x[OBJECT_PARKED_MAX + 1];
	pair_open(&p, 1, &job_kind);
	p.side[0].set->loaded = false; /* as before the first pass */
	char id[ID_UUID_SIZE];
	id_uuid(id);
	for (size_t i = 0; i < ARRAY_LEN(x); i++)
		job_ask(&p.side[0], id, &x[i]);
	UNTIL(&p, x[OBJECT_PARKED_MAX].over);
	assert_int_equal(x[OBJECT_PARKED_MAX].err, ERR_UNAVAILABLE);
	assert_false(x[0].over || x[OBJECT_PARKED_MAX - 1].over);
	objects_load(p.side[0].set);
	for (size_t i = 0; i < OBJECT_PARKED_MAX; i++) {
		UNTIL(&p, x[i].over);
		assert_int_equal(x[i].err, ERR_NOT_FOUND);
	}
	pair_close(&p);
}

static void drain_waits_for_operations_in_progress(UNUSED void **state)
{
	struct pair p;
	struct job_answer x[2] = { 0 };
	char id[ID_UUID_SIZE];
	bool done = false;
	pair_open(&p, 2, &job_kind);
	job_make(&p, id, JOB_IDLE);
	job_ask(&p.side[0], id, &x[0]);
	UNTIL(&p, p.side[0].held);
	objects_drain(p.side[0].set, on_drained, &done);
	job_ask(&p.side[0], id, &x[1]);
	UNTIL(&p, x[1].over);
	assert_int_equal(x[1].err, ERR_UNAVAILABLE);
	assert_false(done);
	side_finish(&p.side[0]);
	UNTIL(&p, done && x[0].over);
	assert_int_equal(x[0].status, 200);
	assert_true(stored_as(&p, id, "status", "idle"));
	json_decref(x[0].doc);
	pair_close(&p);
}

int object_suite_run(const struct object_factory *f)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_transitions_of_the_table_are_entered),
		cmocka_unit_test(operations_run_one_at_a_time_and_are_bounded),
		cmocka_unit_test(without_wait_it_is_accepted),
		cmocka_unit_test(one_of_two_managers_begins_and_the_other_waits),
		cmocka_unit_test(one_of_two_managers_begins_without_events),
		cmocka_unit_test(operation_of_a_dead_manager_is_completed_and_its_late_result_ignored),
		cmocka_unit_test(operation_of_a_dead_manager_of_an_ungrouped_kind_is_completed),
		cmocka_unit_test(one_manager_leads_a_group),
		cmocka_unit_test(one_manager_leads_all_objects_of_an_ungrouped_kind),
		cmocka_unit_test(a_drain_hands_over_the_lease_of_an_ungrouped_kind),
		cmocka_unit_test(a_manager_alone_leads_an_ungrouped_kind),
		cmocka_unit_test(changes_are_followed_by_events),
		cmocka_unit_test(changes_are_followed_without_events),
		cmocka_unit_test(writes_of_other_processes_are_kept),
		cmocka_unit_test(state_is_stored_after_an_outage_of_the_store),
		cmocka_unit_test(a_claim_that_cannot_be_stored_begins_nothing),
		cmocka_unit_test(records_are_bounded),
		cmocka_unit_test(calls_that_wait_for_the_first_pass_are_bounded),
		cmocka_unit_test(drain_waits_for_operations_in_progress),
	};
	object_factory = f;
	return cmocka_run_group_tests_name(f->name, tests, NULL, NULL);
}
