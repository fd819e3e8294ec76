/* The range of time and the step of a request for history. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-resource-monitor/history/range.h"

static int64_t now_ms;
static struct range r;

static int fix_now(UNUSED void **state)
{
	return clock_from_iso("2026-11-30T10:00:00Z", &now_ms) ? 0 : -1;
}

/* The complaint about a query, "" if it is accepted. */
static const char *fault(const char *query)
{
	static char text[400];
	_cleanup_(doc_unrefp) json_t *q = json_loads(query, 0, NULL), *list = NULL;
	struct faults f = { 0 };
	assert_non_null(q);
	bool ok = range_read(q, now_ms, &r, &f);
	list = faults_take(&f);
	assert_int_equal(ok, list == NULL);
	str_copy(text, sizeof text, doc_str(json_array_get(list, 0), "message", ""));
	return text;
}

#define SAYS(query, words) assert_non_null(strstr(fault(query), words))

static void test_absent_range_is_the_last_hour(UNUSED void **state)
{
	assert_string_equal(fault("{}"), "");
	assert_int_equal(r.to_ms - r.from_ms, 3600000);
	assert_int_equal(r.step_ms, 10000);
	assert_int_equal(r.points, 360);
	assert_int_equal(r.level, LEVEL_RAW);
}

static void test_bad_ranges_are_refused_in_a_sentence(UNUSED void **state)
{
	SAYS("{\"from\":\"2026-11-30T09:00:00Z\",\"to\":\"2026-11-30T08:00:00Z\"}", "is not before `to`");
	SAYS("{\"from\":\"2026-11-30T09:00:00Z\",\"to\":\"2026-11-30T09:00:00Z\"}", "is not before `to`");
	SAYS("{\"from\":\"2026-12-01T09:00:00Z\",\"to\":\"2026-12-02T09:00:00Z\"}", "is in the future");
	SAYS("{\"from\":\"1990-01-01T00:00:00Z\"}", "too long");
	SAYS("{\"step\":0}", "0 is not a step");
	SAYS("{\"step\":-60}", "-60 is not a step");
	SAYS("{\"step\":1}", "gives 3600 points");
	SAYS("{\"step\":1}", "at least 2 s");
}

static void test_step_bounds_the_number_of_points(UNUSED void **state)
{
	assert_string_equal(fault("{\"step\":2}"), "");
	assert_int_equal(r.points, 1800);
	assert_string_equal(fault("{\"from\":\"2026-11-29T10:00:00Z\",\"step\":44}"), "");
	assert_true(r.points <= RANGE_POINTS_MAX);
	assert_string_equal(fault("{\"step\":1000000000000}"), "");
	assert_int_equal(r.points, 1);
	static const char *const froms[] = { "2026-11-30T09:59:59Z", "2026-11-29T10:00:00Z", "2026-11-01T10:00:00Z", "2025-11-30T10:00:00Z" };
	for (size_t i = 0; i < ARRAY_LEN(froms); i++) { /* the step that is chosen */
		char q[80];
		snprintf(q, sizeof q, "{\"from\":\"%s\"}", froms[i]);
		assert_string_equal(fault(q), "");
		assert_true(r.points >= 1 && r.points <= 360);
	}
}

static void test_end_of_a_range_in_the_future_is_now(UNUSED void **state)
{
	assert_string_equal(fault("{\"from\":\"2026-11-30T09:00:00Z\",\"to\":\"2026-11-30T23:00:00Z\"}"), "");
	assert_int_equal(r.to_ms, now_ms + 1);
}

static void test_reading_begins_where_all_of_the_range_is_kept(UNUSED void **state)
{
	fault("{\"from\":\"2026-11-29T10:00:00Z\",\"step\":60}");
	assert_int_equal(r.level, LEVEL_RAW);
	fault("{\"from\":\"2026-11-29T09:59:00Z\",\"step\":60}");
	assert_int_equal(r.level, LEVEL_MINUTES);
	fault("{\"from\":\"2026-11-01T10:00:00Z\",\"step\":1800}");
	assert_int_equal(r.level, LEVEL_MINUTES);
	fault("{\"from\":\"2026-11-01T10:00:00Z\",\"step\":7200}"); /* hours suffice */
	assert_int_equal(r.level, LEVEL_HOURS);
	fault("{\"from\":\"2025-12-01T10:00:00Z\"}");
	assert_int_equal(r.level, LEVEL_HOURS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_absent_range_is_the_last_hour),
		cmocka_unit_test(test_bad_ranges_are_refused_in_a_sentence),
		cmocka_unit_test(test_step_bounds_the_number_of_points),
		cmocka_unit_test(test_end_of_a_range_in_the_future_is_now),
		cmocka_unit_test(test_reading_begins_where_all_of_the_range_is_kept),
	};
	return cmocka_run_group_tests(tests, fix_now, NULL);
}
