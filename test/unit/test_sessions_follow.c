/* Sessions follow what agents report: found, joined with a declaration, followed, ended, and told from each other. */
#include "sessions_rig.h"

static void test_desktop_is_found_followed_and_ended(void **state)
{
	struct rig t;
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	rig_desktop(&t, ONE, "ann", 10, EARLY, "active", "c1");
	SHOWN(&t, "active 10");
	rig_id(&t, 0, id);
	assert_true(session_id_ok(id));
	assert_string_equal(rig_member(&t, id, "user_id"), "\"anna\"");
	assert_string_equal(rig_member(&t, id, "metadata.owner"), "\"anna\"");
	assert_string_equal(rig_member(&t, id, "node"), "\"node-1\"");
	assert_string_equal(rig_member(&t, id, "started_at"), "\"" EARLY "\"");
	rig_desktop(&t, ONE, "ann", 10, EARLY, "disconnected", NULL);
	SHOWN(&t, "disconnected 10");
	assert_string_equal(rig_member(&t, id, "client_address"), "null");
	rig_desktop(&t, ONE, "ann", 10, EARLY, "active", "c2");
	SHOWN(&t, "active 10");
	assert_string_equal(rig_member(&t, id, "statistics.reconnects"), "1");
	rig_desktop(&t, ONE, "ann", 10, EARLY, "active", "c3"); /* another client takes over */
	RIG_UNTIL(&t, str_eq(rig_member(&t, id, "statistics.reconnects"), "2"));
	rig_desktop(&t, ONE, "ann", 10, EARLY, "orphaned", NULL);
	SHOWN(&t, "orphaned 10");
	rig_desktop_ends(&t, ONE, 10, "logout");
	SHOWN(&t, "terminated 10 logout");
	assert_string_equal(t.side[0].events, "created started disconnected reconnected reconnected orphaned terminated ");
	assert_string_not_equal(rig_member(&t, id, "stopped_at"), "null");
	rig_close(&t);
}

static void test_reused_display_is_another_session(void **state)
{
	struct rig t;
	rig_open(&t, 1, NULL);
	rig_desktop(&t, ONE, "ann", 10, EARLY, "active", "c1");
	SHOWN(&t, "active 10");
	/* the end and the new start are seen in one listing */
	rig_desktop(&t, ONE, "bert", 10, LATER, "active", "c2");
	SHOWN(&t, "terminated 10 ended, active 10");
	assert_string_equal(side_shown(&t.side[0], &bert), "active 10");
	/* anna owns the server */
	assert_string_equal(side_shown(&t.side[0], &anna), "terminated 10 ended, active 10");
	rig_close(&t);
}

static void test_account_without_a_user_belongs_to_the_owner_of_the_server(void **state)
{
	struct rig t;
	char id[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	rig_desktop(&t, TWO, "dora", 11, EARLY, "active", "c1"); /* RDP_USER_MAP gives dora another account */
	SHOWN(&t, "active 11");
	rig_id(&t, 0, id);
	assert_string_equal(rig_member(&t, id, "user_id"), "\"carl\"");
	assert_string_equal(side_shown(&t.side[0], &anna), "");
	/* the server is given to another user */
	rig_desktop(&t, ONE, "bert", 12, EARLY, "active", "c1");
	SHOWN(&t, "active 11, active 12");
	assert_string_equal(side_shown(&t.side[0], &anna), "active 12");
	doc_set_str(t.owners, ONE, "emil");
	rig_event(&t, "server.updated", ONE, json_object());
	RIG_UNTIL(&t, str_eq(side_shown(&t.side[0], &anna), ""));
	rig_close(&t);
}

static void declare(struct rig *t, const struct caller *who, const char *server, char dst[SESSION_ID_SIZE])
{
	struct answer a = { 0 };
	char body[100];
	snprintf(body, sizeof body, "{'server_id':'%s'}", server);
	loop_rig_run_ms(t->loop, 2); /* so that their times differ */
	side_call(&t->side[0], &a, who, "sessions.create", NULL, NULL, body);
	if (a.err)
		fail_msg("%s", a.message);
	assert_int_equal(a.status, 201);
	assert_true(str_copy(dst, SESSION_ID_SIZE, doc_str(a.doc, "session_id", "")));
	json_decref(a.doc);
}

static void test_login_takes_the_oldest_declaration_of_its_user_and_server(void **state)
{
	struct rig t;
	char elsewhere[SESSION_ID_SIZE], theirs[SESSION_ID_SIZE], first[SESSION_ID_SIZE], second[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	doc_set_str(t.owners, TWO, "anna");
	declare(&t, &anna, TWO, elsewhere);
	declare(&t, &admin, ONE, theirs);
	declare(&t, &anna, ONE, first);
	declare(&t, &anna, ONE, second);
	rig_desktop(&t, ONE, "ann", 10, EARLY, "active", "c1");
	SHOWN(&t, "created 0, created 0, active 10, created 0");
	assert_string_equal(rig_member(&t, first, "status"), "\"active\"");
	assert_string_equal(rig_member(&t, first, "username"), "\"ann\"");
	rig_desktop(&t, ONE, "ann", 11, LATER, "active", "c2"); /* a second desktop of the same user */
	SHOWN(&t, "created 0, created 0, active 10, active 11");
	rig_desktop_is(&t, ONE, "ann", 12, LATER, "active", "c3");
	rig_desktop(&t, ONE, "ann", 10, EARLY, "disconnected", NULL);
	SHOWN(&t, "created 0, created 0, disconnected 10, active 11, active 12"); /* no declaration is left: found */
	rig_close(&t);
}

static void test_desktop_that_no_listing_showed_has_a_session(void **state)
{
	struct rig t;
	rig_open(&t, 1, NULL);
	json_t *d = rig_desktop_is(&t, ONE, "ann", 10, EARLY, "disconnected", NULL);
	rig_event(&t, "xrdp.desktop.started", ONE, json_deep_copy(d));
	rig_desktop_ends(&t, ONE, 10, "start_failed");
	SHOWN(&t, "failed 10 start_failed");
	rig_close(&t);
}

/* Both changes happen without an event. */
static void test_missed_events_are_made_up_for(void **state)
{
	struct rig t;
	rig_open(&t, 1, NULL);
	rig_desktop_is(&t, ONE, "ann", 10, EARLY, "active", "c1");
	rig_event(&t, BUS_GAP, "", json_object());
	SHOWN(&t, "active 10");
	json_decref(rig_take_desktop(&t, ONE, 10));
	json_object_del(t.desktops, ONE); /* with its instance */
	rig_event(&t, BUS_GAP, "", json_object());
	SHOWN(&t, "terminated 10 ended");
	rig_close(&t);
}

/* Listing desktops costs the host a look at each process. */
static void test_quiet_comparison_lists_no_desktops(void **state)
{
	struct rig t;
	rig_open(&t, 1, NULL);
	rig_desktop(&t, ONE, "ann", 10, EARLY, "active", "c1");
	SHOWN(&t, "active 10");
	loop_rig_run_ms(t.loop, 50);
	unsigned listed = t.listed;
	for (int i = 0; i < 5; i++) {
		loop_timer_set(((struct controller *)t.front->role)->look_timer, 1);
		loop_rig_run_ms(t.loop, 20);
	}
	assert_int_equal(t.listed, listed);
	rig_desktop_is(&t, ONE, "bert", 11, LATER, "active", "c2"); /* a missed event that nobody knows of */
	loop_timer_set(((struct controller *)t.front->role)->look_timer, 1);
	SHOWN(&t, "active 10, active 11");
	rig_close(&t);
}

static void test_unreachable_agent_changes_no_session_and_is_named(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	rig_open(&t, 1, NULL);
	rig_desktop(&t, ONE, "ann", 10, EARLY, "active", "c1");
	SHOWN(&t, "active 10");
	t.away = ERR_UNAVAILABLE;
	json_decref(rig_take_desktop(&t, ONE, 10));
	rig_event(&t, BUS_GAP, "", json_object());
	do
		side_call(&t.side[0], &a, &admin, "sessions.list", NULL, NULL, NULL);
	while (!json_array_size(json_object_get(a.doc, "unreachable")));
	assert_string_equal(json_string_value(json_array_get(json_object_get(a.doc, "unreachable"), 0)), "node-1");
	assert_string_equal(side_shown(&t.side[0], &admin), "active 10");
	t.away = 0;
	rig_event(&t, BUS_GAP, "", json_object());
	SHOWN(&t, "terminated 10 ended");
	json_decref(a.doc);
	rig_close(&t);
}

static void test_restart_keeps_sessions_and_ends_those_that_are_gone(void **state)
{
	struct rig t;
	char before[SESSION_ID_SIZE], after[SESSION_ID_SIZE];
	rig_open(&t, 1, NULL);
	rig_desktop(&t, ONE, "ann", 10, EARLY, "active", "c1");
	rig_desktop(&t, ONE, "bert", 11, LATER, "active", "c2");
	RIG_UNTIL(&t, str_eq(side_shown(&t.side[0], &bert), "active 11"));
	RIG_UNTIL(&t, strstr(side_shown(&t.side[0], &admin), "active 10"));
	rig_id(&t, 0, before);
	json_decref(rig_take_desktop(&t, ONE, 11));
	rig_restart(&t);
	RIG_UNTIL(&t, strstr(side_shown(t.front, &admin), "terminated 11 ended"));
	assert_non_null(strstr(side_shown(t.front, &admin), "active 10"));
	rig_id(&t, 0, after);
	assert_string_equal(before, after);
	rig_close(&t);
}

/* 200 logins and logouts, in bursts of 40 on one server: one session each, and none is left live. */
static void test_bursts_leave_no_ghosts(void **state)
{
	struct rig t;
	rig_open(&t, 1, NULL);
	for (int i = 0; i < 200; i++) {
		char started[CLOCK_ISO_SIZE];
		clock_iso(started, INT64_C(1767225600000) + i * 60000);
		json_t *d = rig_desktop_is(&t, ONE, i % 2 ? "ann" : "bert", 10 + i % 40, started, "active", "c1");
		rig_event(&t, "xrdp.desktop.started", ONE, json_deep_copy(d));
		if (i % 3 == 0)
			loop_rig_run_ms(t.loop, 1);
		rig_desktop_ends(&t, ONE, 10 + i % 40, "logout");
		if (i % 40 == 39)
			loop_rig_run_ms(t.loop, 100);
	}
	struct controller *c = t.front->role;
	RIG_UNTIL(&t, objects_in_state(c->objects, SESSION_TERMINATED) == 200);
	assert_int_equal(objects_count(c->objects), 200);
	assert_int_equal(objects_in_state(c->objects, SESSION_ACTIVE) + objects_in_state(c->objects, SESSION_CREATED), 0);
	rig_close(&t);
}

static void test_new_desktop_is_not_called_disconnected_before_its_client_shows(void **state)
{
	struct rig t;
	rig_open(&t, 1, NULL);
	rig_desktop(&t, ONE, "ann", 10, EARLY, "disconnected", NULL);
	SHOWN(&t, "created 10");
	rig_desktop(&t, ONE, "ann", 10, EARLY, "active", "c1");
	SHOWN(&t, "active 10");
	assert_string_equal(t.side[0].events, "created started ");
	rig_desktop(&t, ONE, "bert", 11, LATER, "disconnected", NULL); /* its client left at once */
	SHOWN(&t, "active 10, created 11");
	clock_shift_ms(5000);
	rig_event(&t, BUS_GAP, "", json_object());
	SHOWN(&t, "active 10, disconnected 11");
	rig_close(&t);
	clock_shift_ms(-5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_desktop_is_found_followed_and_ended),
		cmocka_unit_test(test_reused_display_is_another_session),
		cmocka_unit_test(test_account_without_a_user_belongs_to_the_owner_of_the_server),
		cmocka_unit_test(test_login_takes_the_oldest_declaration_of_its_user_and_server),
		cmocka_unit_test(test_desktop_that_no_listing_showed_has_a_session),
		cmocka_unit_test(test_missed_events_are_made_up_for),
		cmocka_unit_test(test_unreachable_agent_changes_no_session_and_is_named),
		cmocka_unit_test(test_restart_keeps_sessions_and_ends_those_that_are_gone),
		cmocka_unit_test(test_quiet_comparison_lists_no_desktops),
		cmocka_unit_test(test_bursts_leave_no_ghosts),
		cmocka_unit_test(test_new_desktop_is_not_called_disconnected_before_its_client_shows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
