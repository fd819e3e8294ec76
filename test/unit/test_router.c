/* router: paths are split and decoded once, ambiguous ones are refused, and literals precede parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/router.h"
#include "lucid/str.h"

static struct endpoint *const list = (struct endpoint *)"list", *const one = (struct endpoint *)"one",
			*const summary = (struct endpoint *)"summary", *const start = (struct endpoint *)"start",
			*const desktop = (struct endpoint *)"desktop", *const root = (struct endpoint *)"root";

static void test_split(UNUSED void **state)
{
	static const struct {
		const char *raw, *joined; /* segments, '
		 ' after each; NULL: refused */
	} rows[] = {
		{ "/", "" }, { "/a", "a|" }, { "/a/", "a|" }, { "/a/b/c", "a|b|c|" }, { "/a%20b/c", "a b|c|" },
		{ "/%61/b", "a|b|" }, { "/a%2Bb+c", "a+b+c|" }, { "/%2561", "%61|" }, { "/%c3%a9", "\xc3\xa9|" }, { "/...", "...|" },
		{ "/.a/b..", ".a|b..|" },
		{ "//", NULL }, { "/a//b", NULL }, { "/a//", NULL }, { "//a", NULL }, { "/a/./b", NULL }, { "/a/../b", NULL },
		{ "/..", NULL }, { "/.", NULL }, { "/%2e%2e/b", NULL }, { "/.%2E", NULL }, { "/a%2fb", NULL }, { "/a%2Fb", NULL },
		{ "/%00", NULL }, { "/a%00b", NULL }, { "/a%", NULL }, { "/a%2", NULL }, { "/a%zz", NULL }, { "/a%2g", NULL },
		{ "/%0a", NULL }, { "/%7f", NULL }, { "/%ff", NULL }, { "/%c0%af", NULL }, { "/%ed%a0%80", NULL }, { "a/b", NULL },
		{ "*", NULL }, { "", NULL }, { "http://x/", NULL }, { "/%", NULL }, { "/% 41", NULL },
	};
	struct path p;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *why = path_split(&p, rows[i].raw);
		if (!rows[i].joined) {
			if (!why)
				fail_msg("taken: %s", rows[i].raw);
			continue;
		}
		if (why)
			fail_msg("%s: %s", rows[i].raw, why);
		struct strbuf b = { 0 };
		strbuf_puts(&b, "");
		for (size_t j = 0; j < p.n; j++) {
			assert_int_equal(strlen(p.segment[j]), p.len[j]);
			strbuf_puts(&b, p.segment[j]);
			strbuf_putc(&b, '|');
		}
		assert_string_equal(b.s, rows[i].joined);
		strbuf_done(&b);
	}
}

static void test_long(UNUSED void **state)
{
	struct path p;
	char raw[3 * PATH_ROOM];
	memset(raw, 'a', sizeof raw);
	raw[0] = '/';
	raw[sizeof raw - 1] = 0;
	assert_non_null(path_split(&p, raw));
	raw[PATH_ROOM - 1] = 0; /* with its slash, exactly as many bytes as the limit */
	assert_null(path_split(&p, raw));
	for (size_t i = 0; i + 1 < sizeof raw; i++)
		raw[i] = i % 2 ? 'a' : '/';
	raw[200] = 0;
	assert_null(path_split(&p, raw)); /* deep, but well-formed */
	assert_int_equal(p.n, PATH_DEEP);
	raw[2 * PATH_SEGMENTS] = 0;
	assert_null(path_split(&p, raw));
	assert_int_equal(p.n, PATH_SEGMENTS);
}

static struct endpoint *find(const struct router *r, const char *raw, const char *params[OP_MAX_PARAMS])
{
	static struct path p;
	assert_null(path_split(&p, raw));
	return router_find(r, &p, params);
}

static void test_find(UNUSED void **state)
{
	struct router *r = router_new();
	const char *params[OP_MAX_PARAMS];
	assert_true(router_add(r, "/api/v1/s/{server_id}", one));
	assert_true(router_add(r, "/api/v1/s", list));
	assert_true(router_add(r, "/api/v1/s/{server_id}/start", start));
	assert_true(router_add(r, "/api/v1/s/summary", summary));
	assert_true(router_add(r, "/api/v1/s/{server_id}/desktops/{display}", desktop));
	assert_true(router_add(r, "/", root));
	assert_false(router_add(r, "/api/v1/s/{another}", start));
	assert_ptr_equal(router_template(r, "/api/v1/s/{server_id}"), one);
	assert_null(router_template(r, "/api/v1/s/7"));
	assert_null(router_template(r, "/api/v1"));

	assert_ptr_equal(find(r, "/", params), root);
	assert_ptr_equal(find(r, "/api/v1/s", params), list);
	assert_ptr_equal(find(r, "/api/v1/s/", params), list);
	assert_null(params[0]);
	assert_ptr_equal(find(r, "/api/v1/s/7", params), one);
	assert_string_equal(params[0], "7");
	assert_null(params[1]);
	assert_ptr_equal(find(r, "/api/v1/s/summary", params), summary);
	assert_null(params[0]);
	assert_ptr_equal(find(r, "/api/v1/s/%73ummary", params), summary); /* decoded before it is routed */
	assert_ptr_equal(find(r, "/api/v1/s/summary/start", params), start); /* backtracks from the literal */
	assert_string_equal(params[0], "summary");
	assert_ptr_equal(find(r, "/api/v1/s/7/desktops/10", params), desktop);
	assert_string_equal(params[0], "7");
	assert_string_equal(params[1], "10");

	static const char *const none[] = { "/api", "/api/v1", "/api/v1/sx", "/api/v1/s/7/x", "/api/v1/s/7/desktops", "/x",
					    "/API/v1/s", "/api/v1/s/7/desktops/1/2", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t" };
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		assert_null(find(r, none[i], params));
		assert_null(params[0]);
		assert_null(params[1]);
	}
	/* a segment "{…" in a request is plain text */
	assert_ptr_equal(find(r, "/api/v1/s/{", params), one);
	assert_string_equal(params[0], "{");
	router_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_find),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
