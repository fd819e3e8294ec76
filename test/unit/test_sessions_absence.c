/* Sessions of hosts that cannot be reached, and of hosts that were removed. */
#include "sessions_rig.h"

#define SAY_MS 11000
#define FINAL_MS 16000

static void found(struct rig *t, char id[SESSION_ID_SIZE])
{
	rig_desktop(t, ONE, "ann", 10, EARLY, "active", "c1");
	SHOWN(t, "active 10");
	rig_id(t, 0, id);
}

/* The controllers compare again. */
static void look_again(struct rig *t)
{
	rig_event(t, BUS_GAP, "", json_object());
	loop_rig_run_ms(t->loop, 150);
}

static void test_silence_shows_in_the_reason_and_not_in_the_status(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE], declared[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	side_call(t.front, &a, &anna, "sessions.create", NULL, NULL, "{'server_id':'" ONE "'}");
	assert_true(str_copy(declared, sizeof declared, doc_str(a.doc, "session_id", "")));
	t.away = ERR_UNAVAILABLE;
	look_again(&t);
	assert_string_equal(rig_member(&t, id, "status_reason"), "null"); /* a restart of the agent takes a moment */
	side_call(t.front, &a, &anna, "sessions.list", NULL, NULL, NULL);
	assert_string_equal(json_string_value(json_array_get(json_object_get(a.doc, "unreachable"), 0)), "node-1");
	clock_shift_ms(SAY_MS);
	look_again(&t);
	RIG_UNTIL(&t, str_eq(rig_member(&t, id, "status_reason"), "\"node_unreachable\""));
	RIG_UNTIL(&t, str_eq(rig_member(&t, declared, "status_reason"), "\"node_unreachable\""));
	assert_string_equal(rig_member(&t, id, "status"), "\"active\"");
	side_call(t.front, &a, &anna, "sessions.terminate", id, NULL, "{}");
	assert_int_equal(a.err, ERR_UNAVAILABLE);
	assert_non_null(strstr(a.message, "nothing was ended"));
	side_call(t.front, &a, &anna, "sessions.delete", id, NULL, NULL);
	assert_int_equal(a.err, ERR_UNAVAILABLE);
	/* one that has no desktop can be ended all the same, and says why it ended */
	side_call(t.front, &a, &anna, "sessions.terminate", declared, NULL, "{'reason':'not needed'}");
	assert_int_equal(a.err, 0);
	assert_string_equal(rig_member(&t, declared, "status_reason"), "\"not needed\"");
	t.away = 0;
	look_again(&t);
	RIG_UNTIL(&t, str_eq(rig_member(&t, id, "status_reason"), "null"));
	assert_string_equal(rig_member(&t, id, "status"), "\"active\"");
	assert_string_equal(rig_member(&t, declared, "status_reason"), "\"not needed\"");
	side_call(t.front, &a, &anna, "sessions.timeline", id, NULL, NULL);
	_cleanup_(xfreep) char *entries = doc_text(json_object_get(a.doc, "events"));
	assert_non_null(strstr(entries, "\"unreachable\""));
	assert_non_null(strstr(entries, "\"reachable\""));
	clock_shift_ms(-SAY_MS);
	json_decref(a.doc);
	rig_close(&t);
}

/* A controller that starts meanwhile finds the reason in the store, and takes it back. */
static void test_reason_is_taken_back_after_a_restart(void **state)
{
	struct rig t;
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	t.away = ERR_UNAVAILABLE;
	look_again(&t);
	clock_shift_ms(SAY_MS);
	look_again(&t);
	RIG_UNTIL(&t, str_eq(rig_member(&t, id, "status_reason"), "\"node_unreachable\""));
	rig_restart(&t);
	t.away = 0;
	look_again(&t);
	RIG_UNTIL(&t, str_eq(rig_member(&t, id, "status_reason"), "null"));
	clock_shift_ms(-SAY_MS);
	rig_close(&t);
}

static bool node_listed(struct rig *t)
{
	return nodes_find(t->front->nodes, "node-1") != NULL;
}

static void node_removed(enum store_result result, size_t index, int err, void *arg)
{
}

static void remove_node(struct rig *t)
{
	struct store_op op = { STORE_DELETE, COL_NODES, "node-1", 0, NULL };
	store_write(t->store, &op, 1, node_removed, NULL);
}

/* The agent is alive and registers again at its next beat, now and then before the removal is listed. */
static bool removed_for_a_moment(struct rig *t)
{
	bool seen = false;
	remove_node(t);
	for (int n = 0; n < 20 && !seen; n++) {
		loop_rig_run_ms(t->loop, 3);
		seen = !node_listed(t);
	}
	return seen;
}

static struct place *place_at(struct side *s)
{
	return (struct place *)objects_group_find(((struct controller *)s->role)->objects, "node-1");
}

static bool removal_seen(struct rig *t)
{
	return place_at(&t->side[0])->removed_us || place_at(&t->side[1])->removed_us;
}

static void test_sessions_of_a_removed_node_end(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 2, NULL);
	found(&t, id);
	side_call(t.front, &a, &anna, "sessions.create", NULL, NULL, "{'server_id':'" ONE "'}");
	assert_int_equal(a.err, 0);
	SHOWN(&t, "active 10, created 0");
	/* its agent is alive: it registers again, and nothing happens */
	RIG_UNTIL(&t, removed_for_a_moment(&t));
	RIG_UNTIL(&t, node_listed(&t));
	look_again(&t);
	RIG_UNTIL(&t, !removal_seen(&t));
	clock_shift_ms(FINAL_MS);
	look_again(&t);
	SHOWN(&t, "active 10, created 0");
	/* it is gone for good */
	presence_stop(t.side[0].presence);
	loop_rig_run_ms(t.loop, 100); /* a heartbeat in progress would register it once more */
	RIG_UNTIL(&t, removed_for_a_moment(&t));
	look_again(&t);
	RIG_UNTIL(&t, removal_seen(&t));
	SHOWN(&t, "active 10, created 0");
	clock_shift_ms(FINAL_MS);
	look_again(&t);
	SHOWN(&t, "terminated 10 node_removed, terminated 0 node_removed");
	side_call(t.front, &a, &anna, "sessions.list", NULL, NULL, NULL);
	assert_int_equal(json_array_size(json_object_get(a.doc, "unreachable")), 0);
	assert_int_equal(t.ends, 0); /* no agent was asked */
	side_call(t.front, &a, &anna, "sessions.delete", id, NULL, NULL);
	assert_int_equal(a.err, 0);
	clock_shift_ms(-2 * FINAL_MS);
	json_decref(a.doc);
	rig_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence_shows_in_the_reason_and_not_in_the_status),
		cmocka_unit_test(test_reason_is_taken_back_after_a_restart),
		cmocka_unit_test(test_sessions_of_a_removed_node_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
