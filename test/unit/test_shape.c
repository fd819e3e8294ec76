#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "lucid/shape.h"
#include "lucid/str.h"

static const char *const kinds[] = { "x", "y", NULL };
static const struct shape_field inner[] = {
	{ "w", SH_INT, .min = 1, .max = 10, .otherwise = "5" },
	{ "k", SH_STRING, .values = kinds },
};
static const struct shape sub = SHAPE("Inner", inner);
static const struct shape_field item = { NULL, SH_STRING, .min = 1, .max = 4, .format = "tag" };
static const struct shape_field outer[] = {
	{ "name", SH_STRING, SH_REQUIRED, .min = 1, .max = 5 },
	{ "text", SH_STRING, SH_MULTILINE | SH_NULLABLE, .max = 20 },
	{ "in", SH_OBJECT, .sub = &sub },
	{ "tags", SH_ARRAY, .max = 2, .item = &item },
	{ "free", SH_FREE, .max = 40 },
	{ "ro", SH_INT, SH_READ_ONLY },
	{ "on", SH_BOOL },
	{ "id", SH_STRING, .format = "uuid" },
	{ "off", SH_BOOL, .without = "on" },
};
static const struct shape shape = SHAPE("Outer", outer);

/* "" if it is valid, else "field: message; …". */
static char *check(const char *text, enum shape_mode mode)
{
	struct faults f = { 0 };
	struct strbuf out = { 0 };
	char why[100];
	json_t *doc = doc_parse(text, strlen(text), why, sizeof why), *row;
	size_t i;
	assert_non_null(doc);
	int rc = shape_check(&shape, doc, mode, &f);
	json_t *list = faults_take(&f);
	json_array_foreach(list, i, row)
		strbuf_printf(&out, "%s: %s; ", doc_str(row, "field", "?"), doc_str(row, "message", "?"));
	assert_int_equal(rc, list ? -ERR_INVALID : 0);
	json_decref(list);
	json_decref(doc);
	return strbuf_take(&out);
}

static void expect(const char *text, enum shape_mode mode, const char *part)
{
	char *got = check(text, mode);
	if (*part ? !strstr(got, part) : *got)
		fail_msg("%s gave \"%s\", not \"%s\"", text, got, part);
	free(got);
}

static void test_faults(void **state)
{
	static const struct {
		const char *text, *part;
	} t[] = {
		{ "{\"name\":\"ok\"}", "" },
		{ "{}", "name: is required" },
		{ "{\"name\":\"a\",\"off\":true}", "" },
		{ "{\"name\":\"a\",\"on\":false,\"off\":true}", "off: cannot be combined with on; send only one of the two; " },
		{ "{\"name\":\"\"}", "name: must be 1 to 5" },
		{ "{\"name\":\"äöüäöü\"}", "name: must be 1 to 5" },
		{ "{\"name\":\"äöüäö\"}", "" },
		{ "{\"name\":5}", "name: must be a string" },
		{ "{\"name\":null}", "name: must not be null" },
		{ "{\"name\":\"a\\nb\"}", "control characters" },
		{ "{\"name\":\"a\\u202eb\"}", "name: must not contain invisible or bidirectional control characters: U+202E" },
		{ "{\"name\":\"a\\u200d\"}", "name: must not contain invisible" },
		{ "{\"name\":\"a\\udb40\\udc41\"}", "name: must not contain invisible or bidirectional control characters: U+E0041" },
		{ "{\"name\":\"a\",\"text\":\"a\\u2066b\"}", "text: must not contain invisible" },
		{ "{\"name\":\"a\",\"text\":\"a\\u200db\\ufe0f\"}", "" },
		{ "{\"name\":\"a\",\"free\":{\"a\":[\"\\u202e\"]}}", "free.a[0]: must not contain invisible" },
		{ "{\"name\":\"a\",\"free\":{\"a\\u200b\":1}}", "free.a???: must not contain invisible" },
		{ "{\"name\":\"a\",\"text\":\"a\\nb\"}", "" },
		{ "{\"name\":\"a\",\"text\":\"a\\u0007b\"}", "text: must not contain control" },
		{ "{\"name\":\"a\",\"text\":null}", "" },
		{ "{\"name\":\"a\",\"in\":{\"w\":11}}", "in.w: must be between 1 and 10" },
		{ "{\"name\":\"a\",\"in\":{\"w\":1.5}}", "in.w: must be a whole number" },
		{ "{\"name\":\"a\",\"in\":{\"w\":true}}", "in.w: must be a whole number" },
		{ "{\"name\":\"a\",\"in\":{\"k\":\"z\"}}", "in.k: must be one of: x, y" },
		{ "{\"name\":\"a\",\"in\":{\"q\":1}}", "in.q: is not a known field" },
		{ "{\"name\":\"a\",\"in\":[]}", "in: must be an object" },
		{ "{\"name\":\"a\",\"tags\":[\"a\",\"b\",\"c\"]}", "tags: must have 0 to 2" },
		{ "{\"name\":\"a\",\"tags\":[\"a\",\" \"]}", "tags[1]: must be 1 to 64" },
		{ "{\"name\":\"a\",\"tags\":[1]}", "tags[0]: must be a string" },
		{ "{\"name\":\"a\",\"ro\":1}", "ro: is read-only" },
		{ "{\"name\":\"a\",\"on\":\"true\"}", "on: must be true or false" },
		{ "{\"name\":\"a\",\"id\":\"x\"}", "id: must be a lower-case UUID" },
		{ "{\"name\":\"a\",\"free\":{\"a\":{\"b\":[1,null]}}}", "" },
		{ "{\"name\":\"a\",\"free\":{\"a\":\"\\u0001\"}}", "free.a: must not contain control" },
		{ "{\"name\":\"a\",\"free\":{\"a\":[1,{\"b\":\"\\u0001\"}]}}", "free.a[1].b: must not contain control" },
		{ "{\"name\":\"a\",\"free\":{\"a\":{\"b\\u0001\":1}}}", "free.a.b?: must not contain control" },
		{ "{\"name\":\"a\",\"free\":{\"a\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}", "free: must be at most 40" },
		{ "{\"name\":\"a\",\"free\":[]}", "free: must be an object" },
		{ "{\"name\":\"a\",\"free\":{\"a\":1.79769313486231e308}}", "" },
		{ "{\"bad\\u0001key\":1}", "bad?key: is not a known field; name: is required" },
	};
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		expect(t[i].text, SHAPE_FULL, t[i].part);
}

static void test_patch(void **state)
{
	expect("{}", SHAPE_PATCH, "");
	expect("{\"in\":null,\"on\":null}", SHAPE_PATCH, "");
	expect("{\"name\":null}", SHAPE_PATCH, "name: must not be null");
	expect("{\"in\":{\"w\":null}}", SHAPE_PATCH, "");
}

static void test_faults_are_bounded(void **state)
{
	struct faults f = { 0 };
	json_t *doc = json_object();
	char key[16];
	for (int i = 0; i < 500; i++) {
		snprintf(key, sizeof key, "u%d", i);
		doc_set_int(doc, key, 1);
	}
	assert_int_equal(shape_check(&shape, doc, SHAPE_FULL, &f), -ERR_INVALID);
	assert_int_equal(json_array_size(f.list), 64);
	assert_int_equal(f.more, 500 + 1 - 64);
	faults_done(&f);
	json_decref(doc);
}

static void test_null_shape_accepts_only_empty_documents(void **state)
{
	struct faults f = { 0 };
	_cleanup_(doc_unrefp) json_t *some = json_pack("{s:i}", "a", 1);
	assert_int_equal(shape_check(NULL, NULL, SHAPE_FULL, &f), 0);
	assert_int_equal(shape_check(NULL, some, SHAPE_FULL, &f), -ERR_INVALID);
	faults_done(&f);
}

static void test_defaults(void **state)
{
	_cleanup_(doc_unrefp) json_t *doc = json_pack("{s:s}", "name", "a");
	shape_defaults(&shape, doc);
	assert_int_equal(json_integer_value(doc_get(doc, "in.w")), 5);
	assert_null(json_object_get(doc, "tags"));
}

/* An object with a default gets the defaults of its members at once. */
static void test_defaults_below_defaults(void **state)
{
	static const struct shape_field below[] = { { "w", SH_INT, .otherwise = "5" } };
	static const struct shape below_shape = SHAPE("Below", below);
	static const struct shape_field above[] = { { "in", SH_OBJECT, .sub = &below_shape, .otherwise = "{}" } };
	static const struct shape above_shape = SHAPE("Above", above);
	_cleanup_(doc_unrefp) json_t *doc = json_object();
	shape_defaults(&above_shape, doc);
	assert_int_equal(json_integer_value(doc_get(doc, "in.w")), 5);
}

static const struct shape_field query_fields[] = {
	{ "page", SH_INT, .min = 1, .max = 9 },
	{ "q", SH_STRING, .max = 10 },
	{ "wait", SH_BOOL },
};
static const struct shape query_shape = SHAPE(NULL, query_fields);

static void test_query(void **state)
{
	static const struct {
		const char *query, *want; /* "!" and a part of the fault, or the document */
	} t[] = {
		{ NULL, "{}" },
		{ "page=3&q=a%20b+c&wait=true", "{\"page\":3,\"q\":\"a b c\",\"wait\":true}" },
		{ "q=%c3%a4", "{\"q\":\"ä\"}" },
		{ "page=3&page=4", "!more than once" },
		{ "x=1", "!not a known query parameter" },
		{ "q=%zz", "!percent-encoded" },
		{ "q=%4", "!percent-encoded" },
		{ "q=%00", "!percent-encoded" },
		{ "q=%ff", "!percent-encoded" },
		{ "page=abc", "!must be a whole number" },
		{ "page=10", "!must be between 1 and 9" },
		{ "q=a%0ab", "!control" },
	};
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct faults f = { 0 };
		json_t *doc = shape_from_query(&query_shape, t[i].query, &f);
		shape_check(&query_shape, doc, SHAPE_FULL, &f);
		char *text = doc_text(t[i].want[0] == '!' ? f.list : doc);
		if (t[i].want[0] == '!' ? !strstr(text, t[i].want + 1) : !str_eq(text, t[i].want))
			fail_msg("%s gave %s, not %s", t[i].query, text, t[i].want);
		free(text);
		faults_done(&f);
		json_decref(doc);
	}
}

static void test_query_round_trip(void **state)
{
	_cleanup_(doc_unrefp) json_t *doc = json_pack("{s:i,s:s,s:b}", "page", 3, "q", "a&=ä %", "wait", 1);
	_cleanup_(xfreep) char *query = shape_to_query(doc);
	struct faults f = { 0 };
	_cleanup_(doc_unrefp) json_t *back = shape_from_query(&query_shape, query, &f);
	assert_null(f.list);
	assert_true(json_equal(doc, back));
}

static void test_schema(void **state)
{
	_cleanup_(doc_unrefp) json_t *request = shape_schema(&shape, SCHEMA_BODY);
	_cleanup_(doc_unrefp) json_t *answer = shape_schema(&shape, SCHEMA_ANSWER);
	assert_null(doc_get(request, "properties.ro"));
	assert_non_null(doc_get(answer, "properties.ro"));
	assert_string_equal(json_string_value(doc_get(request, "properties.in.$ref")), "#/components/schemas/Inner");
	assert_true(doc_array_has(json_object_get(request, "required"), "name"));
	_cleanup_(doc_unrefp) json_t *patch = shape_schema(&shape, SCHEMA_PATCH);
	assert_null(json_object_get(patch, "required"));
	/* read-only members may be repeated unchanged, and null removes members that are not required */
	assert_true(json_is_true(doc_get(patch, "properties.ro.readOnly")));
	assert_true(doc_array_has(doc_get(patch, "properties.on.type"), "null"));
	assert_string_equal(json_string_value(doc_get(patch, "properties.name.type")), "string");
	assert_string_equal(doc_str(json_array_get(doc_get(patch, "properties.in.anyOf"), 0), "$ref", ""), "#/components/schemas/InnerChange");
}

static const struct shape_field account_fields[] = {
	{ "host", SH_STRING, SH_READ_ONLY },
	{ "name", SH_STRING },
	{ "password", SH_STRING, SH_NULLABLE | SH_SECRET, .max = 256, .format = "password" },
};
static const struct shape account_shape = SHAPE("Account", account_fields);
static const struct shape_field stored_fields[] = {
	{ "name", SH_STRING, SH_REQUIRED },
	{ "owner", SH_STRING, SH_ADMIN },
	{ "state", SH_STRING, SH_READ_ONLY | SH_NULLABLE },
	{ "counts", SH_OBJECT, SH_READ_ONLY, .sub = &sub },
	{ "load", SH_INT, SH_READ_ONLY | SH_LIVE },
	{ "account", SH_OBJECT, SH_NULLABLE, .sub = &account_shape },
};
static const struct shape stored_shape = SHAPE("Stored", stored_fields);

/* A document that was read is a patch that changes nothing; another value of a read-only member is a fault. */
static void test_read_only_members_may_be_sent_back(void **state)
{
	static const struct {
		const char *patch, *left;
		bool admin;
		const char *fault;
	} rows[] = {
		{ "{'name':'a','owner':'o','state':'up','counts':{'w':1},'load':5}", "{\"name\":\"a\"}", false, "" },
		{ "{'load':99}", "{}", false, "" },
		{ "{'state':'down'}", NULL, false, "state: is read-only and currently \"up\"" },
		{ "{'state':null}", NULL, false, "state: is read-only" },
		{ "{'counts':{'w':2}}", NULL, true, "counts: is read-only; omit it" },
		{ "{'owner':'p'}", NULL, false, "owner: may be set by an admin only" },
		{ "{'owner':'p'}", "{\"owner\":\"p\"}", true, "" },
		{ "{'account':{'host':'h','name':'n'}}", "{\"account\":{\"name\":\"n\"}}", false, "" },
		{ "{'account':null}", "{\"account\":null}", false, "" },
		{ "{'account':{'host':'i'}}", NULL, true, "account.host: is read-only and currently \"h\"" },
	};
	_cleanup_(doc_unrefp) json_t *stored = json_loads("{\"name\":\"a\",\"owner\":\"o\",\"state\":\"up\",\"counts\":{\"w\":1},\"load\":4,"
							    "\"account\":{\"host\":\"h\"}}", 0, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct faults f = { 0 };
		char text[128];
		snprintf(text, sizeof text, "%s", rows[i].patch);
		for (char *p = text; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		_cleanup_(doc_unrefp) json_t *patch = json_loads(text, 0, NULL);
		assert_int_equal(shape_check(&stored_shape, patch, SHAPE_PATCH, &f), 0);
		_cleanup_(doc_unrefp) json_t *left = shape_unchanged(&stored_shape, patch, stored, rows[i].admin, &f);
		_cleanup_(xfreep) char *got = doc_text(left);
		if (!*rows[i].fault) {
			assert_null(f.list);
			assert_string_equal(got, rows[i].left);
			continue;
		}
		const json_t *row = json_array_get(f.list, 0);
		_cleanup_(xfreep) char *said = xasprintf("%s: %s", doc_str(row, "field", ""), doc_str(row, "message", ""));
		if (!str_starts(said, rows[i].fault))
			fail_msg("%s gave \"%s\"", text, said);
		faults_done(&f);
	}
	/* a member that changes by itself is still checked for its type */
	struct faults f = { 0 };
	_cleanup_(doc_unrefp) json_t *bad = json_loads("{\"load\":\"x\"}", 0, NULL);
	assert_int_equal(shape_check(&stored_shape, bad, SHAPE_PATCH, &f), -ERR_INVALID);
	faults_done(&f);
}

/* A password may have any printable characters, and its length is counted in bytes. */
static void test_secrets_are_checked_and_left_out(void **state)
{
	char longest[257 * 2 + 40];
	struct faults f = { 0 };
	_cleanup_(doc_unrefp) json_t *doc = json_pack("{s:s, s:{s:s, s:s}}", "name", "a", "account", "name", "n", "password", " p\xc2\xa0w\xe2\x80\x8b ");
	assert_int_equal(shape_check(&stored_shape, doc, SHAPE_FULL, &f), 0);
	_cleanup_(doc_unrefp) json_t *plain = shape_without_secrets(&stored_shape, doc);
	_cleanup_(xfreep) char *text = doc_text(plain);
	assert_string_equal(text, "{\"name\":\"a\",\"account\":{\"name\":\"n\",\"password\":true}}");
	assert_int_equal(json_string_length(doc_get(doc, "account.password")), 9);
	assert_null(shape_without_secrets(&stored_shape, NULL));
	memset(longest, 0, sizeof longest);
	for (size_t i = 0; i < 129; i++)
		memcpy(longest + 2 * i, "\xc3\xa4", 2);
	doc_set_str(json_object_get(doc, "account"), "password", longest);
	assert_int_equal(shape_check(&stored_shape, doc, SHAPE_FULL, &f), -ERR_INVALID);
	assert_string_equal(doc_str(json_array_get(f.list, 0), "message", ""), "must be 1 to 256 bytes");
	faults_done(&f);
	longest[256] = 0;
	doc_set_str(json_object_get(doc, "account"), "password", longest);
	assert_int_equal(shape_check(&stored_shape, doc, SHAPE_FULL, &f), 0);
	_cleanup_(doc_unrefp) json_t *schema = shape_schema(&account_shape, SCHEMA_PATCH);
	assert_true(json_is_true(doc_get(schema, "properties.password.writeOnly")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults), cmocka_unit_test(test_patch), cmocka_unit_test(test_faults_are_bounded),
		cmocka_unit_test(test_null_shape_accepts_only_empty_documents), cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_defaults_below_defaults), cmocka_unit_test(test_query),
		cmocka_unit_test(test_query_round_trip), cmocka_unit_test(test_schema),
		cmocka_unit_test(test_read_only_members_may_be_sent_back), cmocka_unit_test(test_secrets_are_checked_and_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
