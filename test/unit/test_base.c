#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lucid/clock.h"
#include "lucid/doc.h"
#include "lucid/errs.h"
#include "lucid/id.h"
#include "lucid/map.h"
#include "lucid/str.h"

static void test_copy_refuses_what_does_not_fit(void **state)
{
	char b[4];
	assert_true(str_copy(b, sizeof b, "abc"));
	assert_string_equal(b, "abc");
	assert_false(str_copy(b, sizeof b, "abcd"));
	assert_string_equal(b, "");
}

static void test_utf8(void **state)
{
	static const struct {
		const char *s;
		bool ok;
	} t[] = { { "a", true }, { "ä€😀", true }, { "\xc0\x80", false }, { "\xed\xa0\x80", false }, { "\xf4\x90\x80\x80", false },
		  { "\xe2\x82", false }, { "\xff", false } };
	size_t chars = 0;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(str_utf8(t[i].s, strlen(t[i].s), &chars), t[i].ok);
	assert_true(str_utf8("ä€😀", strlen("ä€😀"), &chars));
	assert_int_equal(chars, 3);
	static const char *const controls[] = { "a\x01", "\x7f", "a\nb", "\xc2\x85", "x\xc2\x9f", "\xe2\x80\xa8", "\xe2\x80\xa9" };
	for (size_t i = 0; i < ARRAY_LEN(controls); i++)
		assert_true(str_has_control(controls[i], false));
	assert_true(str_has_control("a\xc2\x85", true));
	assert_false(str_has_control("a\n\tb", true));
	assert_false(str_has_control("\xc2\xa0 ä€😀 \xe2\x80\xa7", false));
}

static void test_int(void **state)
{
	int64_t v = 7;
	static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "1a", "0x1", "99999999999999999999", "1.0" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(str_int(bad[i], INT64_MIN, INT64_MAX, &v));
	assert_int_equal(v, 7);
	assert_true(str_int("-42", -42, 0, &v));
	assert_int_equal(v, -42);
	assert_false(str_int("5", 6, 9, &v));
}

static void test_match(void **state)
{
	assert_true(str_match("server.*", "server.status"));
	assert_false(str_match("server.*", "servers"));
	assert_true(str_match("*", ""));
	assert_true(str_match("a*b*c", "axxbyyc"));
	assert_false(str_match("a*b*c", "axxbyy"));
}

static void test_strbuf_json_and_bound(void **state)
{
	struct strbuf b = { 0 };
	strbuf_json(&b, "a\"\\\n\x01ä\xff");
	assert_string_equal(b.s, "\"a\\\"\\\\\\n\\u0001ä?\"");
	strbuf_done(&b);
	struct strbuf small = { .max = 8 };
	strbuf_puts(&small, "1234");
	strbuf_puts(&small, "56789");
	assert_true(small.overflow);
	assert_string_equal(small.s, "1234");
	strbuf_done(&small);
}

static void test_map(void **state)
{
	struct map *m = map_new(1000);
	char key[16];
	for (intptr_t i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "k%d", (int)i);
		assert_true(map_put(m, key, (void *)(i + 1), NULL));
	}
	assert_false(map_put(m, "one more", m, NULL));
	void *old = NULL;
	assert_true(map_put(m, "k7", (void *)99, &old));
	assert_ptr_equal(old, (void *)8);
	struct map_pos pos = { 0 };
	const char *k;
	void *v;
	size_t seen = 0;
	while (map_next(m, &pos, &k, &v)) {
		seen++;
		if (seen % 2)
			map_remove(m, k); /* the current one may go while walking */
	}
	assert_int_equal(seen, 1000);
	assert_int_equal(map_count(m), 500);
	assert_null(map_get(m, "k0"));
	assert_ptr_equal(map_get(m, "k7"), (void *)99);
	map_free(m, NULL);
}

static void test_time(void **state)
{
	char iso[CLOCK_ISO_SIZE];
	int64_t ms;
	assert_string_equal(clock_iso(iso, 1700000000123), "2023-11-14T22:13:20.123Z");
	assert_true(clock_from_iso("2023-11-14T22:13:20.123Z", &ms));
	assert_true(ms == 1700000000123);
	assert_true(clock_from_iso("2023-11-15T00:13:20+02:00", &ms));
	assert_true(ms == 1700000000000);
	static const char *const bad[] = { "", "2023", "2023-13-01T00:00:00Z", "2023-01-01 00:00:00Z", "2023-01-01T00:00:00", "2023-01-01T25:00:00Z" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(clock_from_iso(bad[i], &ms));
}

static void test_ids(void **state)
{
	char a[ID_UUID_SIZE], b[ID_UUID_SIZE];
	id_uuid(a);
	id_uuid(b);
	assert_true(id_is_uuid(a));
	assert_string_not_equal(a, b);
	assert_false(id_is_uuid("123E4567-E89B-42D3-A456-426614174000"));
	assert_false(id_is_uuid("123e4567"));
	assert_true(id_is_request("a.B_9-"));
	assert_false(id_is_request(""));
	assert_false(id_is_request("a b"));
}

static void test_parse_refuses(void **state)
{
	char why[128], deep[200];
	static const char *const bad[] = { "", "{", "{\"a\":1,\"a\":2}", "{} x", "[1,]", "\"\xff\"", "1e999", "{\"a\\u0000b\":1}", "'a'" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		json_t *doc = doc_parse(bad[i], strlen(bad[i]), why, sizeof why);
		assert_null(doc);
		assert_true(strlen(why) > 3);
	}
	memset(deep, '[', sizeof deep);
	assert_null(doc_parse(deep, sizeof deep, why, sizeof why));
	assert_non_null(strstr(why, "levels"));
	_cleanup_(doc_unrefp) json_t *ok = doc_parse("{\"s\":\"[[[[\",\"n\":9007199254740993}", 33, why, sizeof why);
	assert_true(doc_int(ok, "n", 0) == 9007199254740993);
}

static void test_merge_patch(void **state)
{
	_cleanup_(doc_unrefp) json_t *t = json_pack("{s:i,s:{s:i,s:i}}", "a", 1, "b", "c", 2, "d", 3);
	_cleanup_(doc_unrefp) json_t *p = json_pack("{s:n,s:{s:n,s:i}}", "a", "b", "c", "e", 4);
	_cleanup_(doc_unrefp) json_t *m = doc_merge(t, p);
	_cleanup_(xfreep) char *text = doc_text(m);
	assert_string_equal(text, "{\"b\":{\"d\":3,\"e\":4}}");
	assert_int_equal(doc_int(t, "a", 0), 1);
}

static void test_blob_of_any_size(void **state)
{
	json_t *doc = json_object();
	char *big = xmalloc(5001);
	memset(big, 'x', 5000);
	big[5000] = 0;
	doc_set_str(doc, "a", big);
	struct blob *b = doc_blob(doc);
	assert_int_equal(b->len, 5008);
	assert_int_equal(strlen(b->data), b->len);
	blob_unref(b);
	json_decref(doc);
	free(big);
}

static void test_errors_have_rows(void **state)
{
	for (int e = 1; e < ERR_COUNT; e++) {
		assert_int_equal(err_from_name(err_name(e)), e);
		assert_in_range(err_status(e), 400, 599);
		assert_true(str_starts(err_code(e), "LUCID_ERR_"));
		assert_true(strlen(err_text(-e)) > 5);
	}
	assert_int_equal(err_from_name("no such"), ERR_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_refuses_what_does_not_fit), cmocka_unit_test(test_utf8), cmocka_unit_test(test_int),
		cmocka_unit_test(test_match), cmocka_unit_test(test_strbuf_json_and_bound), cmocka_unit_test(test_map),
		cmocka_unit_test(test_time), cmocka_unit_test(test_ids), cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_merge_patch), cmocka_unit_test(test_blob_of_any_size), cmocka_unit_test(test_errors_have_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
