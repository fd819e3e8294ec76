#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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
};
static const struct shape shape = SHAPE("Outer", outer);

/* "" when it fits, else "field: message; …". */
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
		{ "{\"name\":\"\"}", "name: must be 1 to 5" },
		{ "{\"name\":\"äöüäöü\"}", "name: must be 1 to 5" },
		{ "{\"name\":\"äöüäö\"}", "" },
		{ "{\"name\":5}", "name: must be a string" },
		{ "{\"name\":null}", "name: must not be null" },
		{ "{\"name\":\"a\\nb\"}", "control characters" },
		{ "{\"name\":\"a\",\"text\":\"a\\nb\"}", "" },
		{ "{\"name\":\"a\",\"text\":\"a\\u0007b\"}", "text: must not hold control" },
		{ "{\"name\":\"a\",\"text\":null}", "" },
		{ "{\"name\":\"a\",\"in\":{\"w\":11}}", "in.w: must be from 1 to 10" },
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
		{ "{\"name\":\"a\",\"id\":\"x\"}", "id: must be a UUID" },
		{ "{\"name\":\"a\",\"free\":{\"a\":{\"b\":[1,null]}}}", "" },
		{ "{\"name\":\"a\",\"free\":{\"a\":\"\\u0001\"}}", "free: must not hold control" },
		{ "{\"name\":\"a\",\"free\":{\"a\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}", "free: must be at most 40" },
		{ "{\"name\":\"a\",\"free\":[]}", "free: must be an object" },
		{ "{\"name\":\"a\",\"free\":{\"a\":1.7976931348623157e308}}", "free: must not hold" },
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

static void test_nothing_takes_nothing(void **state)
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

/* An object that has a default itself gets the defaults of its members at once. */
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
		{ "q=%zz", "!badly encoded" },
		{ "q=%4", "!badly encoded" },
		{ "q=%00", "!badly encoded" },
		{ "q=%ff", "!badly encoded" },
		{ "page=abc", "!must be a whole number" },
		{ "page=10", "!must be from 1 to 9" },
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

static void test_query_there_and_back(void **state)
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
	_cleanup_(doc_unrefp) json_t *request = shape_schema(&shape, false, false);
	_cleanup_(doc_unrefp) json_t *answer = shape_schema(&shape, false, true);
	assert_null(doc_get(request, "properties.ro"));
	assert_non_null(doc_get(answer, "properties.ro"));
	assert_string_equal(json_string_value(doc_get(request, "properties.in.$ref")), "#/components/schemas/Inner");
	assert_true(doc_array_has(json_object_get(request, "required"), "name"));
	_cleanup_(doc_unrefp) json_t *patch = shape_schema(&shape, true, false);
	assert_null(json_object_get(patch, "required"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults), cmocka_unit_test(test_patch), cmocka_unit_test(test_faults_are_bounded),
		cmocka_unit_test(test_nothing_takes_nothing), cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_defaults_below_defaults), cmocka_unit_test(test_query),
		cmocka_unit_test(test_query_there_and_back), cmocka_unit_test(test_schema),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
