/* What rdp-session-controller tells agents about the number of sessions, and the declarations that a quota refuses. */
#include "test/unit/sessions_rig.h"

/* The statement as text: "elsewhere N; user N …; server user N …". */
static const char *statement(struct rig *t)
{
	static char text[1000];
	struct strbuf b = { 0 };
	const json_t *each;
	size_t i;
	if (!t->quotas)
		return "none";
	strbuf_printf(&b, "%d/%d, elsewhere %d", (int)doc_int(t->quotas, "max_sessions_per_user", 0), (int)doc_int(t->quotas, "max_concurrent_sessions", 0),
		      (int)doc_int(t->quotas, "elsewhere", -1));
	json_array_foreach (json_object_get(t->quotas, "users"), i, each)
		strbuf_printf(&b, "; %s %d", doc_str(each, "user_id", ""), (int)doc_int(each, "elsewhere", -1));
	json_array_foreach (json_object_get(t->quotas, "declared"), i, each)
		strbuf_printf(&b, "; declared %s %s %d", str_eq(doc_str(each, "server_id", ""), ONE) ? "one" : "two", doc_str(each, "user_id", ""),
			      (int)doc_int(each, "sessions", -1));
	str_copy(text, sizeof text, b.s);
	strbuf_done(&b);
	return text;
}

#define TOLD(t, text)                                                                                                                                      \
	do {                                                                                                                                               \
		int64_t until_ms = clock_mono_ms() + PATIENCE_MS;                                                                                          \
		while (!str_eq(statement(t), text) && clock_mono_ms() < until_ms)                                                                          \
			loop_rig_run_ms((t)->loop, 5);                                                                                                     \
		assert_string_equal(statement(t), text);                                                                                                   \
	} while (0)

static void declare(struct rig *t, const struct caller *who, const char *server, enum err expected)
{
	struct answer a = { 0 };
	char body[100];
	snprintf(body, sizeof body, "{'server_id':'%s'}", server);
	side_call(&t->side[0], &a, who, "sessions.create", NULL, NULL, body);
	assert_int_equal(a.err, expected);
	if (expected)
		assert_non_null(strstr(a.message, "end one first"));
	json_decref(a.doc);
}

static void test_agent_is_told_of_declarations_until_a_login_takes_them(void **state)
{
	struct rig t;
	rig_open(&t, 1, (const char *const[]){ "MAX_SESSIONS_PER_USER=3", "MAX_CONCURRENT_SESSIONS=7", NULL });
	TOLD(&t, "3/7, elsewhere 0");
	declare(&t, &anna, ONE, ERR_OK);
	/* one of three: far from the bound, so not named, but counted */
	TOLD(&t, "3/7, elsewhere 1; declared one anna 1");
	declare(&t, &anna, ONE, ERR_OK);
	TOLD(&t, "3/7, elsewhere 2; anna 2; declared one anna 2");
	rig_desktop(&t, ONE, "ann", 10, EARLY, "active", "c1");
	TOLD(&t, "3/7, elsewhere 1; anna 1; declared one anna 1");
	rig_desktop(&t, ONE, "bert", 11, EARLY, "active", "c2"); /* of this host: the agent counts it */
	rig_desktop(&t, ONE, "ann", 12, EARLY, "disconnected", NULL);
	TOLD(&t, "3/7, elsewhere 0");
	rig_close(&t);
}

static void test_statement_is_repeated_for_an_agent_that_forgot_it(void **state)
{
	struct rig t;
	rig_open(&t, 1, (const char *const[]){ "HEALTH_CHECK_INTERVAL=1", NULL });
	TOLD(&t, "10/100, elsewhere 0");
	t.away = ERR_UNAVAILABLE;
	unsigned before = t.told;
	loop_rig_run_ms(t.loop, 1200);
	assert_int_equal(t.told, before);
	t.away = 0;
	RIG_UNTIL(&t, t.told > before + 1);
	rig_close(&t);
}

static void test_declaration_beyond_a_quota_is_refused(void **state)
{
	struct rig t;
	rig_open(&t, 1, (const char *const[]){ "MAX_SESSIONS_PER_USER=2", "MAX_CONCURRENT_SESSIONS=4", NULL });
	t.server_max = 1;
	declare(&t, &anna, ONE, ERR_OK);
	declare(&t, &anna, ONE, ERR_QUOTA); /* desktop.max_sessions */
	t.server_max = 10;
	declare(&t, &anna, ONE, ERR_OK);
	declare(&t, &anna, ONE, ERR_QUOTA);
	declare(&t, &admin, ONE, ERR_OK);
	declare(&t, &admin, TWO, ERR_OK);
	doc_set_str(t.owners, TWO, "bert");
	declare(&t, &bert, TWO, ERR_QUOTA);
	rig_close(&t);
}

static void test_sessions_found_count_and_orphans_leave_room_on_a_server(void **state)
{
	struct rig t;
	rig_open(&t, 1, (const char *const[]){ "MAX_SESSIONS_PER_USER=2", NULL });
	t.server_max = 2;
	rig_desktop(&t, ONE, "ann", 10, EARLY, "active", "c1");
	RIG_UNTIL(&t, str_eq(side_shown(&t.side[0], &admin), "active 10"));
	rig_desktop(&t, ONE, "bert", 11, EARLY, "active", "c2");
	RIG_UNTIL(&t, str_eq(side_shown(&t.side[0], &admin), "active 10, active 11"));
	declare(&t, &anna, ONE, ERR_QUOTA); /* of the server */
	rig_desktop(&t, ONE, "bert", 11, EARLY, "orphaned", NULL);
	RIG_UNTIL(&t, str_eq(side_shown(&t.side[0], &admin), "active 10, orphaned 11"));
	declare(&t, &anna, ONE, ERR_OK);
	rig_desktop_ends(&t, ONE, 11, "logout");
	declare(&t, &anna, ONE, ERR_QUOTA); /* of the user: one found, one declared */
	rig_close(&t);
}

static void test_one_controller_tells_and_counts_sessions_of_both(void **state)
{
	struct rig t;
	rig_open(&t, 2, (const char *const[]){ "MAX_SESSIONS_PER_USER=2", NULL });
	TOLD(&t, "2/100, elsewhere 0");
	struct answer a = { 0 };
	side_call(&t.side[1], &a, &anna, "sessions.create", NULL, NULL, "{'server_id':'" ONE "'}");
	assert_int_equal(a.err, ERR_OK);
	json_decref(a.doc);
	TOLD(&t, "2/100, elsewhere 1; anna 1; declared one anna 1");
	rig_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agent_is_told_of_declarations_until_a_login_takes_them),
		cmocka_unit_test(test_statement_is_repeated_for_an_agent_that_forgot_it),
		cmocka_unit_test(test_declaration_beyond_a_quota_is_refused),
		cmocka_unit_test(test_sessions_found_count_and_orphans_leave_room_on_a_server),
		cmocka_unit_test(test_one_controller_tells_and_counts_sessions_of_both),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
