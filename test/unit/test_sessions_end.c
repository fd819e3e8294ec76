/* The end of sessions: on request, by time, and what is said when an agent does not answer. Two controllers on one store. */
#include "sessions_rig.h"

#include "roles/rdp-session-controller/session/timeline.h"

static void found(struct rig *t, char id[SESSION_ID_SIZE])
{
	rig_desktop(t, ONE, "ann", 10, EARLY, "active", "c1");
	SHOWN(t, "active 10");
	rig_id(t, 0, id);
}

static void test_only_legal_transitions_are_in_the_table(void **state)
{
	/* to: created active disconnected orphaned terminated failed expired */
	static const char *const table[SESSION_STATUS_COUNT] = {
		[SESSION_CREATED] = "-xxxxxx",	  [SESSION_ACTIVE] = "--xxxxx",	   [SESSION_DISCONNECTED] = "-x-xxxx", [SESSION_ORPHANED] = "-xx-x-x",
		[SESSION_TERMINATED] = "-xxx---", [SESSION_FAILED] = "-xxx---", [SESSION_EXPIRED] = "-xxx---",
	};
	char seen[SESSION_STATUS_COUNT][SESSION_STATUS_COUNT + 1];
	for (unsigned i = 0; i < SESSION_STATUS_COUNT; i++) {
		memset(seen[i], '-', SESSION_STATUS_COUNT);
		seen[i][SESSION_STATUS_COUNT] = 0;
	}
	for (size_t i = 0; i < SESSION_TRANSITIONS; i++)
		seen[session_transitions[i].from][session_transitions[i].to] = 'x';
	for (unsigned i = 0; i < SESSION_STATUS_COUNT; i++)
		assert_string_equal(seen[i], table[i]);
}

static void test_end_says_what_was_ended_and_happens_once(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	side_call(t.front, &a, &bert, "sessions.terminate", id, NULL, "{}");
	assert_int_equal(a.err, ERR_SESSION_NOT_FOUND); /* another user's */
	side_call(t.front, &a, &anna, "sessions.terminate", id, NULL, "{'reason':'lunch'}");
	assert_int_equal(a.err, 0);
	assert_int_equal(doc_int(a.doc, "processes", 0), 3);
	assert_int_equal(doc_int(json_object_get(a.doc, "ended"), "display", 0), 10);
	assert_string_equal(rig_member(&t, id, "status_reason"), "\"lunch\"");
	assert_string_equal(rig_member(&t, id, "ended_by"), "\"anna\"");
	side_call(t.front, &a, &anna, "sessions.terminate", id, NULL, "{}");
	assert_int_equal(a.err, ERR_SESSION_STATE);
	assert_int_equal(t.ends, 1);
	SHOWN(&t, "terminated 10 lunch");
	json_decref(a.doc);
	rig_close(&t);
}

/* The last listing still has the desktop, and the next one was requested after the session had ended, but is not answered yet. */
static void test_listing_under_way_does_not_revive_an_ended_session(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	struct session *s = (struct session *)objects_find(side_controller(t.front)->objects, id);
	side_call(t.front, &a, &anna, "sessions.terminate", id, NULL, "{'reason':'lunch'}");
	assert_int_equal(a.err, 0);
	t.hold = true;
	rig_event(&t, "xrdp.connection.closed", ONE, json_pack("{s:s, s:i, s:s}", "server_id", ONE, "display", 10, "username", "ann"));
	RIG_UNTIL(&t, t.held);
	session_observe(s);
	RIG_UNTIL(&t, !s->observing);
	assert_int_equal(s->o.state, SESSION_TERMINATED);
	rig_release(&t);
	SHOWN(&t, "terminated 10 lunch");
	json_decref(a.doc);
	rig_close(&t);
}

/* The desktop of the session has ended, and another one has its display; no event of that has arrived. */
static void test_end_spares_the_desktop_that_took_the_display(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	rig_desktop_is(&t, ONE, "bert", 10, LATER, "active", "c2");
	side_call(t.front, &a, &anna, "sessions.terminate", id, NULL, "{}");
	assert_int_equal(a.err, ERR_SESSION_STATE);
	assert_int_equal(t.ends, 0);
	rig_event(&t, BUS_GAP, "", json_object());
	SHOWN(&t, "terminated 10 ended, active 10");
	json_decref(a.doc);
	rig_close(&t);
}

static void test_lost_answer_is_uncertain_and_put_right(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	t.end_error = ERR_UNCERTAIN; /* it ends the desktop, and its answer is lost */
	side_call(t.front, &a, &anna, "sessions.terminate", id, NULL, "{}");
	assert_int_equal(a.err, ERR_UNCERTAIN);
	assert_non_null(strstr(a.message, "uncertain"));
	SHOWN(&t, "terminated 10 ended");
	/* the other outcome: the desktop lives */
	rig_desktop(&t, ONE, "ann", 11, LATER, "active", "c1");
	SHOWN(&t, "terminated 10 ended, active 11");
	rig_id(&t, 1, id);
	t.end_keeps = true;
	side_call(t.front, &a, &anna, "sessions.terminate", id, NULL, "{}");
	assert_int_equal(a.err, ERR_UNCERTAIN);
	loop_rig_run_ms(t.loop, 300);
	SHOWN(&t, "terminated 10 ended, active 11");
	/* an agent that cannot be reached has ended nothing */
	t.away = ERR_UNAVAILABLE;
	side_call(t.front, &a, &anna, "sessions.terminate", id, NULL, "{}");
	assert_int_equal(a.err, ERR_UNAVAILABLE);
	assert_non_null(strstr(a.message, "nothing was ended"));
	json_decref(a.doc);
	rig_close(&t);
}

static void test_disconnecting_cuts_the_connections_of_its_display(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	side_call(t.front, &a, &anna, "sessions.terminate", id, "{'mode':'disconnect'}", "{}");
	assert_int_equal(a.err, ERR_SESSION_STATE);
	json_object_set_new(t.connections, ONE, json_pack("[{s:s,s:i},{s:s,s:i},{s:s,s:i}]", "id", "c1", "display", 10, "id", "c2", "display", 11, "id", "c3",
							  "display", 10));
	side_call(t.front, &a, &anna, "sessions.terminate", id, "{'mode':'disconnect'}", "{}");
	assert_int_equal(a.err, 0);
	assert_int_equal(json_array_size(json_object_get(a.doc, "cut")), 2);
	assert_int_equal(t.cuts, 2);
	assert_int_equal(t.ends, 0);
	json_decref(a.doc);
	rig_close(&t);
}

static size_t timeline_length(struct rig *t, const char *id)
{
	struct answer a = { 0 };
	side_call(t->front, &a, &anna, "sessions.timeline", id, NULL, NULL);
	size_t n = json_array_size(json_object_get(a.doc, "events"));
	json_decref(a.doc);
	return n;
}

static void test_deleted_session_is_gone_with_its_timeline_and_not_found_again(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	RIG_UNTIL(&t, timeline_length(&t, id) == 2); /* an entry is stored after the change that it tells of */
	side_call(t.front, &a, &anna, "sessions.delete", id, NULL, NULL);
	assert_int_equal(a.err, 0);
	rig_event(&t, "xrdp.desktop.ended", ONE,
		  json_pack("{s:s, s:s, s:i, s:s, s:s}", "server_id", ONE, "username", "ann", "display", 10, "started_at", EARLY, "reason", "ended"));
	loop_rig_run_ms(t.loop, 100);
	SHOWN(&t, "");
	json_decref(a.doc);
	rig_close(&t);
}

struct counting {
	bool over;
	int64_t total;
};

static void counted(UNUSED enum store_result result, UNUSED struct blob *const *docs, UNUSED size_t n, int64_t total, UNUSED int err, void *arg)
{
	*(struct counting *)arg = (struct counting){ true, total };
}

static int64_t entries_stored(struct rig *t)
{
	struct counting k = { false, -1 };
	struct store_query q = { .want_total = true };
	store_list(t->store, COL_SESSION_EVENTS, &q, counted, &k);
	RIG_UNTIL(t, k.over);
	return k.total;
}

/* A message that the agent confirms after the deletion leaves an entry, as the writes that the deletion overtakes do. */
static void test_entry_that_comes_after_the_deletion_does_not_stay(UNUSED void **state)
{
	struct rig t;
	struct answer a = { 0 }, over = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	side_call(t.front, &a, &anna, "sessions.get", id, NULL, NULL);
	timeline_note(t.front->role, a.doc, "message", "info", "anna");
	loop_rig_run_ms(t.loop, 100);
	assert_int_equal(entries_stored(&t), 3); /* found, started, message */
	timeline_note(t.front->role, a.doc, "message", "info", "anna"); /* overtaken */
	side_call(t.front, &over, &anna, "sessions.delete", id, NULL, NULL);
	assert_int_equal(over.err, 0);
	timeline_note(t.front->role, a.doc, "message", "info", "anna");
	loop_rig_run_ms(t.loop, 100);
	RIG_UNTIL(&t, entries_stored(&t) == 0);
	json_decref(a.doc);
	json_decref(over.doc);
	rig_close(&t);
}

/* A clock that is set back does not change the order of a timeline: it is that of the versions of the session. */
static void test_timeline_has_the_order_of_changes(UNUSED void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	static const struct {
		int version;
		const char *event;
	} rows[] = { { 12, "third" }, { 9, "first" }, { 11, "second" } };
	rig_open(&t, 1, NULL);
	found(&t, id);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(doc_unrefp) json_t *doc = json_pack("{s:s, s:i}", "session_id", id, "version", rows[i].version);
		timeline_note(t.front->role, doc, rows[i].event, NULL, "");
	}
	RIG_UNTIL(&t, timeline_length(&t, id) == 5);
	side_call(t.front, &a, &anna, "sessions.timeline", id, NULL, NULL);
	static const char *const order[] = { "found", "started", "first", "second", "third" };
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		assert_string_equal(doc_str(json_array_get(json_object_get(a.doc, "events"), i), "event", ""), order[i]);
	json_decref(a.doc);
	rig_close(&t);
}

static void entry_put(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	assert_int_equal(result, STORE_OK);
	--*(size_t *)arg;
}

static void entries_put(struct rig *t, const char *session_id, size_t n)
{
	size_t left = n;
	for (size_t i = 0; i < n; i++) {
		char id[64];
		snprintf(id, sizeof id, "%s:%013zu:%06zx:0123abcd", session_id, i, i);
		_cleanup_(doc_unrefp) json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:i}", "entry_id", id, "session_id", session_id, "time", EARLY,
							      "event", "message", "version", 1);
		struct store_op op = { STORE_PUT, COL_SESSION_EVENTS, id, 0, doc };
		store_write(t->store, &op, 1, entry_put, &left);
	}
	RIG_UNTIL(t, !left);
}

/* A controller died between deleting sessions and their entries: the next one deletes these, and no others. */
static void test_entries_without_a_session_are_swept(UNUSED void **state)
{
	struct rig t;
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	RIG_UNTIL(&t, timeline_length(&t, id) == 2);
	entries_put(&t, id, 230); /* several pages */
	entries_put(&t, "sess-0000000000000000", 150);
	entries_put(&t, "sess-0000000000000001", 1);
	entries_put(&t, "sess-ffffffffffffffff", 90);
	assert_int_equal(entries_stored(&t), 2 + 230 + 150 + 1 + 90);
	rig_restart(&t);
	RIG_UNTIL(&t, entries_stored(&t) <= 2 + 230);
	loop_rig_run_ms(t.loop, 300);
	assert_int_equal(entries_stored(&t), 2 + 230);
	assert_int_equal(timeline_length(&t, id), 2 + 230);
	rig_close(&t);
}

static void sweep_now(struct rig *t)
{
	loop_timer_set(((struct controller *)t->front->role)->sweep_timer, 1);
}

static void test_time_expires_declarations_and_purges_the_history(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	static const char *const settings[] = { "SESSION_TIMEOUT=60", "SESSION_HISTORY_DAYS=2", NULL };
	rig_open(&t, 1, settings);
	side_call(t.front, &a, &anna, "sessions.create", NULL, NULL, "{'server_id':'" ONE "'}");
	assert_int_equal(a.err, 0);
	assert_true(str_copy(id, sizeof id, doc_str(a.doc, "session_id", "")));
	clock_shift_ms(59000);
	sweep_now(&t);
	loop_rig_run_ms(t.loop, 50);
	SHOWN(&t, "created 0");
	clock_shift_ms(2000);
	sweep_now(&t);
	SHOWN(&t, "expired 0 never_used");
	/* a login is not joined with it any more */
	rig_desktop(&t, ONE, "ann", 10, EARLY, "active", "c1");
	SHOWN(&t, "expired 0 never_used, active 10");
	clock_shift_ms(3 * 24 * 3600 * INT64_C(1000));
	sweep_now(&t);
	SHOWN(&t, "active 10");
	assert_string_equal(rig_member(&t, id, "status"), "SESSION_NOT_FOUND");
	clock_shift_ms(-3 * 24 * 3600 * INT64_C(1000) - 61000);
	json_decref(a.doc);
	rig_close(&t);
}

static void test_ending_many_reports_each(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	for (int i = 11; i < 60; i++)
		rig_desktop_is(&t, ONE, i % 2 ? "ann" : "bert", i, LATER, "active", "c");
	rig_event(&t, BUS_GAP, "", json_object());
	RIG_UNTIL(&t, t.front->role && objects_in_state(((struct controller *)t.front->role)->objects, SESSION_ACTIVE) == 50);
	side_call(t.front, &a, &bert, "sessions.terminate_many", NULL, "{'dry_run':true}", "{}");
	assert_int_equal(doc_int(a.doc, "matched", 0), 24);
	assert_int_equal(t.ends, 0);
	side_call(t.front, &a, &bert, "sessions.terminate_many", NULL, NULL, "{}");
	assert_int_equal(doc_int(a.doc, "ended", 0), 24);
	assert_int_equal(t.ends, 24);
	side_call(t.front, &a, &admin, "sessions.terminate_many", NULL, "{'user_id':'nobody'}", "{}");
	assert_int_equal(doc_int(a.doc, "matched", -1), 0);
	t.end_error = ERR_UNCERTAIN;
	side_call(t.front, &a, &admin, "sessions.terminate_many", NULL, "{'status':'active'}", "{}");
	assert_int_equal(doc_int(a.doc, "matched", 0), 26);
	assert_int_equal(doc_int(a.doc, "ended", -1), 0);
	assert_string_equal(doc_str(json_array_get(json_object_get(a.doc, "results"), 0), "outcome", ""), "uncertain");
	json_decref(a.doc);
	rig_close(&t);
}

static int leaders(struct rig *t)
{
	int n = 0;
	for (size_t i = 0; i < 2; i++) {
		struct controller *c = t->side[i].role;
		struct object_group *g = c ? objects_group_find(c->objects, "node-1") : NULL;
		n += g && object_group_leads(g);
	}
	return n;
}

static double created_total(void)
{
	struct strbuf page = { 0 };
	metrics_page(&page, false);
	const char *at = strstr(page.s, "\nrdp_sessions_created_total ");
	double n = at ? atof(at + strlen("\nrdp_sessions_created_total ")) : -1;
	strbuf_done(&page);
	return n;
}

static void test_two_controllers_find_and_end_each_session_once(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 2, NULL);
	RIG_UNTIL(&t, leaders(&t) == 1);
	found(&t, id);
	RIG_UNTIL(&t, str_eq(side_shown(&t.side[1], &admin), "active 10"));
	assert_true(created_total() == 1);
	/* either of them ends it */
	side_call(&t.side[1], &a, &anna, "sessions.terminate", id, NULL, "{}");
	assert_int_equal(a.err, 0);
	SHOWN(&t, "terminated 10 terminated");
	side_call(&t.side[0], &a, &anna, "sessions.terminate", id, NULL, "{}");
	assert_int_equal(a.err, ERR_SESSION_STATE);
	assert_int_equal(t.ends, 1);
	/* the other one goes on when the leader ends */
	size_t leader = object_group_leads(objects_group_find(((struct controller *)t.side[0].role)->objects, "node-1")) ? 0 : 1;
	side_end(&t.side[leader]);
	t.front = &t.side[!leader];
	RIG_UNTIL(&t, leaders(&t) == 1);
	rig_desktop(&t, ONE, "ann", 10, LATER, "active", "c2");
	SHOWN(&t, "terminated 10 terminated, active 10");
	json_decref(a.doc);
	rig_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_legal_transitions_are_in_the_table),
		cmocka_unit_test(test_end_says_what_was_ended_and_happens_once),
		cmocka_unit_test(test_listing_under_way_does_not_revive_an_ended_session),
		cmocka_unit_test(test_end_spares_the_desktop_that_took_the_display),
		cmocka_unit_test(test_lost_answer_is_uncertain_and_put_right),
		cmocka_unit_test(test_disconnecting_cuts_the_connections_of_its_display),
		cmocka_unit_test(test_deleted_session_is_gone_with_its_timeline_and_not_found_again),
		cmocka_unit_test(test_entries_without_a_session_are_swept),
		cmocka_unit_test(test_timeline_has_the_order_of_changes),
		cmocka_unit_test(test_entry_that_comes_after_the_deletion_does_not_stay),
		cmocka_unit_test(test_time_expires_declarations_and_purges_the_history),
		cmocka_unit_test(test_ending_many_reports_each),
		cmocka_unit_test(test_two_controllers_find_and_end_each_session_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
