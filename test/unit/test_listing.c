/* listing: a query applied by the store and in memory; pages and pagination members. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include "lucid/listing.h"
#include "lucid/str.h"

static const struct listing_filter filters[] = {
	{ "owner" }, { "tag", "tags", STORE_HAS }, { "q", "name", STORE_CONTAINS }, { "port" }, { "since", "time", STORE_GE },
	{ "to", "time", STORE_LT },	 { "not", "owner", STORE_NE },	{ "begin", "name", STORE_PREFIX }, { "low", "port", STORE_GE },
	{ "high", "port", STORE_LT },
};
static const char *const ties[] = { "owner", "port", NULL };
static const struct listing things = { filters, ARRAY_LEN(filters), "-time", ties };

static const char items[] = "[{\"name\":\"Alpha\",\"owner\":\"a\",\"port\":9,\"tags\":[\"x\",\"y\"],\"time\":\"2026-01-03\"},"
			    "{\"name\":\"beta\",\"owner\":\"b\",\"port\":10,\"tags\":[\"y\"],\"time\":\"2026-01-01\"},"
			    "{\"name\":\"gamma\",\"owner\":\"a\",\"port\":8,\"tags\":[],\"time\":\"2026-01-03\"},"
			    "{\"name\":\"delta\",\"owner\":null,\"port\":null,\"time\":null}]";

static bool all(const json_t *item, void *arg)
{
	return true;
}

static bool with_owner(const json_t *item, void *arg)
{
	return str_eq(doc_str(item, "owner", ""), arg);
}

/* First letters of the names on the page, and the total: "ga/3". */
static const char *picked(const char *query_text, size_t limit, size_t offset, const char *owner)
{
	static char text[32];
	_cleanup_(doc_unrefp) json_t *list = doc_parse(items, sizeof items - 1, NULL, 0);
	_cleanup_(doc_unrefp) json_t *query = doc_parse(query_text, strlen(query_text), NULL, 0);
	size_t total, n = 0;
	assert_non_null(query);
	_cleanup_(doc_unrefp) json_t *page =
		listing_pick(&things, query, &(struct listing_page){ limit, offset }, list, owner ? with_owner : all, (void *)owner, &total);
	for (; n < json_array_size(page); n++)
		text[n] = *doc_str(json_array_get(page, n), "name", "?");
	text[n++] = '/';
	text[n + str_fmt_u64(text + n, total)] = 0;
	return text;
}

static void test_order_follows_the_query_and_ties(void **state)
{
	assert_string_equal(picked("{}", 10, 0, NULL), "gAbd/4"); /* newest first; for equal times the lower port first */
	assert_string_equal(picked("{\"sort\":\"time\"}", 10, 0, NULL), "dbgA/4");
	assert_string_equal(picked("{\"sort\":\"port\",\"low\":0}", 10, 0, NULL), "gAb/3"); /* as numbers: 9 before 10 */
	assert_string_equal(picked("{\"sort\":\"-name\"}", 10, 0, NULL), "gdbA/4");
}

static void test_every_comparison_of_a_filter(void **state)
{
	static const struct {
		const char *query, *found;
	} rows[] = {
		{ "{\"owner\":\"a\"}", "gA/2" },	  { "{\"owner\":\"c\"}", "/0" },
		{ "{\"tag\":\"y\"}", "Ab/2" },		  { "{\"q\":\"ALPH\"}", "A/1" },
		{ "{\"q\":\"ta\"}", "bd/2" },		  { "{\"begin\":\"ga\"}", "g/1" },
		{ "{\"port\":10}", "b/1" },		  { "{\"low\":9}", "Ab/2" },
		{ "{\"high\":9}", "g/1" },		  { "{\"since\":\"2026-01-02\"}", "gA/2" },
		{ "{\"to\":\"2026-01-02\"}", "b/1" }, /* null is never within a range */
		{ "{\"not\":\"a\"}", "bd/2" },		  { "{\"owner\":\"a\",\"port\":9}", "A/1" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(picked(rows[i].query, 10, 0, NULL), rows[i].found);
}

static void test_pages_contain_only_visible_rows(void **state)
{
	assert_string_equal(picked("{}", 2, 0, NULL), "gA/4");
	assert_string_equal(picked("{}", 2, 2, NULL), "bd/4");
	assert_string_equal(picked("{}", 3, 3, NULL), "d/4");
	assert_string_equal(picked("{}", 2, 4, NULL), "/4");
	assert_string_equal(picked("{}", 1, 1, "a"), "A/2");
	assert_string_equal(picked("{\"owner\":\"b\"}", 10, 0, "a"), "/0");
}

static void test_pagination_members(void **state)
{
	static const struct {
		size_t limit, offset;
		int64_t total;
		const char *text;
	} rows[] = {
		{ 20, 0, 0, "{\"page\":1,\"limit\":20,\"offset\":0,\"total\":0,\"pages\":0,\"has_next\":false,\"has_previous\":false}" },
		{ 20, 0, 20, "{\"page\":1,\"limit\":20,\"offset\":0,\"total\":20,\"pages\":1,\"has_next\":false,\"has_previous\":false}" },
		{ 2, 2, 5, "{\"page\":2,\"limit\":2,\"offset\":2,\"total\":5,\"pages\":3,\"has_next\":true,\"has_previous\":true}" },
		{ 2, 1, 5, "{\"page\":1,\"limit\":2,\"offset\":1,\"total\":5,\"pages\":3,\"has_next\":true,\"has_previous\":true}" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(doc_unrefp) json_t *doc = listing_pagination(&(struct listing_page){ rows[i].limit, rows[i].offset }, rows[i].total);
		_cleanup_(xfreep) char *text = doc_text(doc);
		assert_string_equal(text, rows[i].text);
	}
}

static void test_store_query_is_the_same(void **state)
{
	static const char text[] = "{\"sort\":\"-name\",\"tag\":\"x\",\"port\":7,\"owner\":\"a\"}";
	_cleanup_(doc_unrefp) json_t *query = doc_parse(text, sizeof text - 1, NULL, 0);
	struct store_query q;
	listing_query(&things, query, &(struct listing_page){ 5, 15 }, &q);
	assert_string_equal(q.sort.path, "name");
	assert_true(q.sort.descending && q.want_total);
	assert_int_equal(q.limit, 5);
	assert_int_equal(q.offset, 15);
	listing_narrow(&q, "name", STORE_EQ, NULL);
	assert_int_equal(q.nfilters, 3);
	assert_string_equal(q.filters[0].path, "owner");
	assert_string_equal(q.filters[0].text, "a");
	assert_string_equal(q.filters[1].path, "tags");
	assert_int_equal(q.filters[1].cmp, STORE_HAS);
	assert_string_equal(q.filters[2].path, "port");
	assert_int_equal(q.filters[2].number, 7);
	assert_null(q.filters[2].text);
	listing_narrow(&q, "owner", STORE_NE, "b");
	assert_int_equal(q.nfilters, 4);
	assert_int_equal(q.filters[3].cmp, STORE_NE);
	listing_query(&things, NULL, &(struct listing_page){ 5, 0 }, &q);
	assert_string_equal(q.sort.path, "time");
	assert_int_equal(q.nfilters, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_follows_the_query_and_ties),
		cmocka_unit_test(test_every_comparison_of_a_filter),
		cmocka_unit_test(test_pages_contain_only_visible_rows),
		cmocka_unit_test(test_pagination_members),
		cmocka_unit_test(test_store_query_is_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
