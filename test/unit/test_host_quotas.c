/* Which logins a quota refuses: the statement of the session controller, and the decision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/login/quota_statement.h"
#include "lucid/str.h"

#define SERVER "5f0c1f0e-9d57-4b43-9a53-0c8a2f1d7e11"
#define OTHER "5f0c1f0e-9d57-4b43-9a53-0c8a2f1d7e22"

static const char *reason_of(const struct quota_counts *c)
{
	const char *reason = quota_refusal(c);
	return reason ? reason : "";
}

static void test_refusals(void **state)
{
	static const struct {
		struct quota_counts c;
		const char *reason;
	} rows[] = {
		{ { .desktops = 0, .desktops_max = 1 }, "" },
		{ { .desktops = 1, .desktops_max = 1 }, "max_sessions" },
		{ { .desktops = 0, .desktops_max = 1, .user = 9, .user_max = 1, .all = 9, .all_max = 1 }, "" }, /* not stated */
		{ { .stated = true, .desktops = 0, .desktops_max = 1, .user = 1, .user_max = 2, .all = 1, .all_max = 2 }, "" },
		{ { .stated = true, .desktops = 0, .desktops_max = 1, .user = 2, .user_max = 2, .all = 2, .all_max = 9 }, "user_sessions" },
		{ { .stated = true, .desktops = 0, .desktops_max = 1, .user = 1, .user_max = 2, .all = 9, .all_max = 9 }, "all_sessions" },
		{ { .stated = true, .declared = true, .desktops = 0, .desktops_max = 1, .user = 2, .user_max = 2, .all = 9, .all_max = 9 }, "" },
		{ { .stated = true, .declared = true, .desktops = 2, .desktops_max = 1, .user = 0, .user_max = 2, .all = 0, .all_max = 9 }, "max_sessions" },
		{ { .stated = true, .desktops = 0, .desktops_max = 1, .user = 5, .user_max = 2, .all = 1, .all_max = 9 }, "user_sessions" }, /* lowered */
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(reason_of(&rows[i].c), rows[i].reason);
}

static void test_sentences_name_the_setting(void **state)
{
	static const char *const rows[][2] = {
		{ "max_sessions", "desktop.max_sessions" }, { "user_sessions", "MAX_SESSIONS_PER_USER" }, { "all_sessions", "MAX_CONCURRENT_SESSIONS" },
	};
	const struct quota_counts c = { .desktops = 3, .user = 3, .all = 3 };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(xfreep) char *text = quota_sentence(&c, rows[i][0]);
		assert_non_null(strstr(text, rows[i][1]));
		assert_non_null(strstr(text, "3"));
	}
}

static struct quota_statement *stated(int64_t now_ms)
{
	struct quota_statement *q = quota_statement_new();
	json_t *in = json_pack("{s:i, s:i, s:i, s:[{s:s, s:i}, {s:s, s:i}], s:[{s:s, s:s, s:i}]}", "max_concurrent_sessions", 9, "max_sessions_per_user", 4,
			       "elsewhere", 5, "users", "user_id", "anna", "elsewhere", 3, "user_id", "bert", "elsewhere", 2, "declared", "server_id",
			       SERVER, "user_id", "anna", "sessions", 1);
	quota_statement_set(q, in, now_ms);
	json_decref(in);
	return q;
}

static struct quota_counts applied(const struct quota_statement *q, const char *server, const char *user, int64_t now_ms)
{
	struct quota_counts c = { .desktops_max = 1, .user = 1, .all = 1 };
	quota_statement_apply(q, server, user, now_ms, &c);
	return c;
}

static void test_statement_adds_sessions_outside_the_host(void **state)
{
	struct quota_statement *q = stated(1000);
	struct quota_counts c = applied(q, OTHER, "anna", 2000);
	assert_true(c.stated && !c.declared);
	assert_int_equal(c.user, 4);
	assert_int_equal(c.user_max, 4);
	assert_int_equal(c.all, 6);
	assert_int_equal(c.all_max, 9);
	assert_string_equal(reason_of(&c), "user_sessions");
	c = applied(q, SERVER, "anna", 2000);
	assert_true(c.declared);
	assert_string_equal(reason_of(&c), "");
	c = applied(q, SERVER, "carl", 2000);
	assert_int_equal(c.user, 1);
	assert_int_equal(c.all, 6);
	quota_statement_free(q);
}

static void test_old_statement_is_void(void **state)
{
	struct quota_statement *q = stated(1000), *none = quota_statement_new();
	assert_true(applied(q, OTHER, "anna", 1000 + QUOTA_VALID_MS - 1).stated);
	struct quota_counts c = applied(q, OTHER, "anna", 1000 + QUOTA_VALID_MS);
	assert_false(c.stated);
	assert_int_equal(c.user, 1);
	assert_false(applied(none, OTHER, "anna", 0).stated);
	quota_statement_free(q);
	quota_statement_free(none);
	quota_statement_free(NULL);
}

static void test_login_takes_a_declared_session_once(void **state)
{
	struct quota_statement *q = stated(1000);
	quota_statement_take(q, OTHER, "anna");	 /* none is declared there */
	quota_statement_take(q, SERVER, "bert"); /* nor by this user */
	assert_int_equal(applied(q, SERVER, "anna", 1000).user, 4);
	quota_statement_take(q, SERVER, "anna");
	struct quota_counts c = applied(q, SERVER, "anna", 1000);
	assert_false(c.declared);
	assert_int_equal(c.user, 3);
	assert_int_equal(c.all, 5);
	quota_statement_take(q, SERVER, "anna");
	assert_int_equal(applied(q, SERVER, "anna", 1000).user, 3);
	quota_statement_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_sentences_name_the_setting),
		cmocka_unit_test(test_statement_adds_sessions_outside_the_host),
		cmocka_unit_test(test_old_statement_is_void),
		cmocka_unit_test(test_login_takes_a_declared_session_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
