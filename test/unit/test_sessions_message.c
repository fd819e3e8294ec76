/* Messages to the people on desktops: who may send them, what is said of failures, and how many are under way at a time. */
#include "sessions_rig.h"

#include "roles/rdp-session-controller/message/pace.h"

#define SAY "{'text':'hello','level':'warning'}"

static void found(struct rig *t, char id[SESSION_ID_SIZE])
{
	rig_desktop(t, ONE, "ann", 10, EARLY, "active", "c1");
	SHOWN(t, "active 10");
	rig_id(t, 0, id);
}

/* The events of its timeline, "EVENT:REASON:BY". */
static const char *timeline(struct rig *t, const char *id)
{
	static char text[1024];
	struct answer a = { 0 };
	json_t *e;
	size_t i, n = 0;
	side_call(t->front, &a, &admin, "sessions.timeline", id, NULL, NULL);
	text[0] = 0;
	json_array_foreach(json_object_get(a.doc, "events"), i, e)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s:%s:%s", i ? " " : "", doc_str(e, "event", ""), doc_str(e, "reason", ""), doc_str(e, "by", ""));
	json_decref(a.doc);
	return text;
}

static void test_message_is_for_those_who_see_the_session(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	side_call(t.front, &a, &bert, "sessions.message", id, NULL, SAY);
	assert_int_equal(a.err, ERR_SESSION_NOT_FOUND);
	assert_int_equal(t.messages, 0);
	side_call(t.front, &a, &anna, "sessions.message", id, NULL, SAY);
	assert_int_equal(a.err, 0);
	assert_string_equal(doc_str(a.doc, "session_id", ""), id);
	assert_int_equal(doc_int(a.doc, "display", 0), 10);
	assert_string_equal(t.said, "hello warning");
	RIG_UNTIL(&t, str_eq(timeline(&t, id), "found:: started:: message:warning:anna")); /* entries are stored a little later */
	/* a server of carl, a session of anna: both may, bert may not */
	rig_desktop(&t, TWO, "ann", 12, LATER, "active", "c2");
	RIG_UNTIL(&t, objects_in_state(((struct controller *)t.front->role)->objects, SESSION_ACTIVE) == 2);
	static const struct caller carl = { .sub = "carl", .roles = CALLER_USER };
	side_call(t.front, &a, &carl, "sessions.list", NULL, NULL, NULL);
	const json_t *his = json_array_get(json_object_get(a.doc, "sessions"), 0);
	assert_true(str_copy(id, sizeof id, doc_str(his, "session_id", "")));
	const struct caller *const callers[] = { &carl, &anna, &admin };
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		side_call(t.front, &a, callers[i], "sessions.message", id, NULL, "{'text':'hello'}");
		assert_int_equal(a.err, 0);
	}
	side_call(t.front, &a, &bert, "sessions.message", id, NULL, SAY);
	assert_int_equal(a.err, ERR_SESSION_NOT_FOUND);
	assert_int_equal(t.messages, 4);
	json_decref(a.doc);
	rig_close(&t);
}

static void test_message_without_a_desktop_is_refused(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	side_call(t.front, &a, &anna, "sessions.create", NULL, NULL, "{'server_id':'" ONE "'}");
	assert_true(str_copy(id, sizeof id, doc_str(a.doc, "session_id", "")));
	side_call(t.front, &a, &anna, "sessions.message", id, NULL, SAY);
	assert_int_equal(a.err, ERR_SESSION_STATE);
	assert_non_null(strstr(a.message, "nobody has logged in"));
	side_call(t.front, &a, &anna, "sessions.terminate", id, NULL, "{}");
	side_call(t.front, &a, &anna, "sessions.message", id, NULL, SAY);
	assert_int_equal(a.err, ERR_SESSION_STATE);
	assert_non_null(strstr(a.message, "has ended (terminated)"));
	assert_int_equal(t.messages, 0);
	json_decref(a.doc);
	rig_close(&t);
}

/* The desktop of the session has ended, and another one has its display; no event of that has arrived. */
static void test_message_is_not_shown_to_the_next_person_on_the_display(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	rig_desktop_is(&t, ONE, "bert", 10, LATER, "active", "c2");
	side_call(t.front, &a, &anna, "sessions.message", id, NULL, SAY);
	assert_int_equal(a.err, ERR_SESSION_STATE);
	assert_int_equal(t.messages, 0);
	SHOWN(&t, "terminated 10 ended, active 10"); /* what was found out is taken over */
	json_decref(a.doc);
	rig_close(&t);
}

static void test_lost_answer_is_uncertain_and_not_repeated(void **state)
{
	static const struct {
		int agent, err;
		const char *says, *outcome;
	} cases[] = {
		{ ERR_UNCERTAIN, ERR_UNCERTAIN, "may have been shown", "uncertain" }, { ERR_DEADLINE, ERR_DEADLINE, "node-1", "uncertain" },
		{ ERR_UNAVAILABLE, ERR_UNAVAILABLE, "node-1", "failed" },		{ ERR_RATE_LIMITED, ERR_RATE_LIMITED, "", "rate_limited" },
		{ ERR_BUSY, ERR_BUSY, "node-1", "failed" },			{ ERR_CONFLICT, ERR_SESSION_STATE, "has just ended", "no_desktop" },
	};
	struct rig t;
	struct answer a = { 0 };
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	found(&t, id);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		t.message_error = cases[i].agent;
		side_call(t.front, &a, &anna, "sessions.message", id, NULL, SAY);
		assert_int_equal(a.err, cases[i].err);
		assert_non_null(strstr(a.message, cases[i].says));
		side_call(t.front, &a, &admin, "sessions.broadcast", NULL, NULL, SAY);
		assert_int_equal(a.err, 0);
		assert_string_equal(doc_str(json_array_get(json_object_get(a.doc, "results"), 0), "outcome", ""), cases[i].outcome);
	}
	RIG_UNTIL(&t, str_eq(timeline(&t, id), "found:: started::")); /* nothing was shown for certain */
	json_decref(a.doc);
	rig_close(&t);
}

static size_t outcomes(const struct answer *a, const char *outcome)
{
	const json_t *r;
	size_t i, n = 0;
	json_array_foreach(json_object_get(a->doc, "results"), i, r)
		n += str_eq(doc_str(r, "outcome", ""), outcome);
	return n;
}

static void test_broadcast_reports_each(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	rig_open(&t, 1, NULL);
	t.server_max = 100;
	for (int i = 10; i < 60; i++)
		rig_desktop_is(&t, ONE, i % 2 ? "ann" : "bert", i, LATER, "active", "c");
	rig_event(&t, BUS_GAP, "", json_object());
	RIG_UNTIL(&t, objects_in_state(((struct controller *)t.front->role)->objects, SESSION_ACTIVE) == 50);
	side_call(t.front, &a, &admin, "sessions.create", NULL, NULL, "{'server_id':'" ONE "','user_id':'dora'}");
	side_call(t.front, &a, &admin, "sessions.broadcast", NULL, "{'dry_run':true}", SAY);
	assert_int_equal(doc_int(a.doc, "matched", 0), 51);
	assert_int_equal(outcomes(&a, "would_show"), 50);
	assert_int_equal(outcomes(&a, "no_desktop"), 1);
	assert_int_equal(t.messages, 0);
	side_call(t.front, &a, &admin, "sessions.broadcast", NULL, "{'user_id':'bert'}", SAY);
	assert_int_equal(doc_int(a.doc, "matched", 0), 25);
	assert_int_equal(doc_int(a.doc, "shown", 0), 25);
	assert_int_equal(t.messages, 25);
	json_decref(rig_take_desktop(&t, ONE, 11)); /* its end is not known yet */
	side_call(t.front, &a, &admin, "sessions.broadcast", NULL, NULL, SAY);
	assert_int_equal(outcomes(&a, "shown"), 49);
	assert_int_equal(outcomes(&a, "no_desktop"), 2);
	side_call(t.front, &a, &admin, "sessions.broadcast", NULL, "{'user_id':'nobody'}", SAY);
	assert_int_equal(doc_int(a.doc, "matched", -1), 0);
	assert_int_equal(t.messages, 74);
	/* the time of the request is nearly over after the first eight */
	t.message_takes_ms = 5500;
	side_call(t.front, &a, &admin, "sessions.broadcast", NULL, "{'status':'active'}", SAY);
	assert_int_equal(a.err, 0);
	assert_int_equal(outcomes(&a, "shown"), 8);
	assert_int_equal(outcomes(&a, "failed"), json_array_size(json_object_get(a.doc, "results")) - 8);
	assert_int_equal(t.messages, 82);
	clock_shift_ms(-8 * t.message_takes_ms);
	json_decref(a.doc);
	rig_close(&t);
}

static void test_pace_bounds_each_host_and_all(void **state)
{
	struct pace *p = pace_new(2, 3, 8);
	static const char *const hosts[8] = { "a", "a", "a", "b", "a", "c", "b", "b" };
	size_t item = 99;
	assert_false(pace_begin(p, &item));
	assert_true(pace_idle(p));
	for (size_t i = 0; i < 8; i++)
		pace_add(p, hosts[i], i);
	static const size_t first[] = { 0, 1, 3 }; /* the third of host a waits, and does not hold up host b */
	for (size_t i = 0; i < ARRAY_LEN(first); i++) {
		assert_true(pace_begin(p, &item));
		assert_int_equal(item, first[i]);
	}
	assert_false(pace_begin(p, &item)); /* three in all */
	pace_end(p, 3);
	assert_true(pace_begin(p, &item));
	assert_int_equal(item, 5); /* host a is still busy */
	pace_end(p, 1);
	assert_true(pace_begin(p, &item));
	assert_int_equal(item, 2);
	pace_end(p, 0);
	pace_end(p, 2);
	pace_end(p, 5);
	assert_true(pace_idle(p));
	static const size_t rest[] = { 4, 6, 7 };
	for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
		assert_true(i ? pace_give_up(p, &item) : pace_begin(p, &item));
		assert_int_equal(item, rest[i]);
	}
	assert_false(pace_give_up(p, &item));
	assert_false(pace_idle(p));
	pace_end(p, 4);
	assert_true(pace_idle(p));
	pace_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_is_for_those_who_see_the_session),
		cmocka_unit_test(test_message_without_a_desktop_is_refused),
		cmocka_unit_test(test_message_is_not_shown_to_the_next_person_on_the_display),
		cmocka_unit_test(test_lost_answer_is_uncertain_and_not_repeated),
		cmocka_unit_test(test_broadcast_reports_each),
		cmocka_unit_test(test_pace_bounds_each_host_and_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
