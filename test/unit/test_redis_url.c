/* redis_url: valid and invalid URLs, and that messages contain no secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "redis/url.h"
#include "lucid/errs.h"
#include "lucid/str.h"

static void test_taken(void **state)
{
	static const struct {
		const char *text, *host, *user, *password, *shown;
		int port, database;
		bool local;
	} rows[] = {
		{ "redis://db", "db", "", "", "db:6379/0", 6379, 0 },
		{ "redis://db:7000/3", "db", "", "", "db:7000/3", 7000, 3 },
		{ "redis://db/", "db", "", "", "db:6379/0", 6379, 0 },
		{ "redis://:pw@db/2", "db", "", "pw", "db:6379/2", 6379, 2 },
		{ "redis://ann:p%40%3a%2F%25w@10.0.0.1:1", "10.0.0.1", "ann", "p@:/%w", "10.0.0.1:1/0", 1, 0 },
		{ "redis://a%6en:x:y@db", "db", "ann", "x:y", "db:6379/0", 6379, 0 },
		{ "redis://:p@w@db", "db", "", "p@w", "db:6379/0", 6379, 0 },
		{ "redis://:%c3%a9@[::1]:6380/15", "::1", "", "\xc3\xa9", "[::1]:6380/15", 6380, 15 },
		{ "redis://[fe80::1]", "fe80::1", "", "", "[fe80::1]:6379/0", 6379, 0 },
		{ "unix:/run/r.sock", "/run/r.sock", "", "", "/run/r.sock, database 0", 0, 0, true },
		{ "unix:/run/r.sock?db=4", "/run/r.sock", "", "", "/run/r.sock, database 4", 0, 4, true },
		{ "unix:///run/r.sock", "/run/r.sock", "", "", "/run/r.sock, database 0", 0, 0, true },
		{ "unix://ann:pw@/run/r.sock?db=1", "/run/r.sock", "ann", "pw", "/run/r.sock, database 1", 0, 1, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct redis_url u;
		char shown[300];
		const char *why = "";
		if (redis_url_parse(rows[i].text, &u, &why) != 0)
			fail_msg("%s: %s", rows[i].text, why);
		redis_url_show(&u, shown, sizeof shown);
		assert_string_equal(u.host, rows[i].host);
		assert_string_equal(u.user, rows[i].user);
		assert_string_equal(u.password, rows[i].password);
		assert_string_equal(shown, rows[i].shown);
		assert_int_equal(u.port, rows[i].port);
		assert_int_equal(u.database, rows[i].database);
		assert_int_equal(u.local, rows[i].local);
	}
}

static void test_refused(void **state)
{
	static const char *const rows[][2] = {
		{ "rediss://db", "no TLS" }, { "http://db", "start with" }, { "", "start with" }, { "redis:db", "start with" },
		{ "redis://", "no host" }, { "redis:///3", "no host" }, { "redis://:6379", "no host" }, { "redis://:pw@", "no host" },
		{ "redis://db:", "port" }, { "redis://db:0", "port" }, { "redis://db:65536", "port" }, { "redis://db:x", "port" },
		{ "redis://db:123456789", "port" }, { "redis://[::1", "brackets" }, { "redis://[]", "no host" }, { "redis://[::1]x", "port" },
		{ "redis://::1", "no host" }, { "redis://db/x", "database" }, { "redis://db/-1", "database" }, { "redis://db/99999999999", "database" },
		{ "redis://db/1/2", "database" }, { "redis://db?db=1", "database" }, { "redis://db#1", "database" },
		{ "redis://ann@db", "user without a password" }, { "redis://:@db", "empty" }, { "redis://ann:@db", "empty" },
		{ "redis://:%@db", "hex" }, { "redis://:%4@db", "hex" }, { "redis://:%zz@db", "hex" }, { "redis://:a%00b@db", "hex" },
		{ "redis://d b", "ASCII" }, { "redis://d\xc3\xa9", "ASCII" }, { "unix:run/r.sock", "absolute" }, { "unix:/", "absolute" },
		{ "unix://db", "absolute" }, { "unix:", "absolute" }, { "unix:/r?x=1", "?db=0" }, { "unix:/r?db=x", "database" },
		{ "unix://ann@/r", "user without a password" },
	};
	struct redis_url u = { .port = 7 };
	const char *why = NULL;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(redis_url_parse(rows[i][0], &u, &why), -ERR_INVALID);
		if (!strstr(why, rows[i][1]))
			fail_msg("%s: %s", rows[i][0], why);
		assert_int_equal(u.port, 7); /* unchanged */
		assert_int_equal(redis_url_parse(rows[i][0], &u, NULL), -ERR_INVALID);
	}
}

/* Any part that is too long is refused. */
static void test_long(void **state)
{
	char text[2100], part[1000];
	static const char *const forms[] = { "redis://%s", "redis://%s:pw@db", "redis://:%s@db", "unix:/%s", "redis://db:%s", "redis://db/%s" };
	struct redis_url u;
	memset(part, '1', sizeof part);
	part[sizeof part - 1] = 0;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const char *at = strstr(forms[i], "%s");
		strcpy(text, forms[i]);
		strcpy(text + (at - forms[i]), part);
		strcat(text, at + 2);
		assert_int_equal(redis_url_parse(text, &u, NULL), -ERR_INVALID);
	}
}

static void test_compared(void **state)
{
	static const char *const same[] = { "redis://:pw@db", "redis://:%70w@db:6379/0" };
	static const char *const others[] = { "redis://db", "redis://:pw@db/1", "redis://:pw@db:1", "redis://a:pw@db", "redis://:pw@dc", "unix:/db" };
	struct redis_url a, b;
	redis_url_parse(same[0], &a, NULL);
	redis_url_parse(same[1], &b, NULL);
	assert_true(redis_url_same(&a, &b));
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		assert_int_equal(redis_url_parse(others[i], &b, NULL), 0);
		assert_false(redis_url_same(&a, &b));
	}
}

static void test_loopback(void **state)
{
	static const struct {
		const char *text;
		bool is;
	} rows[] = { { "redis://localhost", true }, { "redis://LOCALHOST/1", true }, { "redis://127.0.0.1", true }, { "redis://127.1.2.3", true },
		     { "redis://[::1]", true }, { "redis://db", false }, { "redis://10.0.0.1", false }, { "unix:/localhost", false } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct redis_url u;
		assert_int_equal(redis_url_parse(rows[i].text, &u, NULL), 0);
		assert_int_equal(redis_url_is_loopback(&u), rows[i].is);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_taken), cmocka_unit_test(test_refused), cmocka_unit_test(test_long),
					    cmocka_unit_test(test_compared), cmocka_unit_test(test_loopback) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
