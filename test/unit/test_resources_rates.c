/* Rates from two documents of the agent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include <math.h>

#include "roles/rdp-resource-monitor/rates.h"

static const int64_t second = 1000000;

static json_t *group(int64_t cpu_usec, int64_t in, int64_t out)
{
	return json_pack("{s:I, s:I, s:i, s:I, s:I, s:n, s:n, s:{s:i, s:i, s:i}}", "cpu_usec", (json_int_t)cpu_usec, "memory_bytes",
			 (json_int_t)(256 << 20), "tasks", 12, "bytes_in", (json_int_t)in, "bytes_out", (json_int_t)out, "io_read_bytes",
			 "io_write_bytes", "sessions", "active", 1, "disconnected", 2, "orphaned", 0);
}

static void take(int64_t at_us, json_t *doc, struct counters *prev, double value[RES_COUNT])
{
	const struct rates_host h = { .cores = 4, .memory_bytes = (int64_t)1 << 30, .clock_us = at_us };
	rates_of_group(doc, &h, prev, value);
	json_decref(doc);
}

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-6)

static void test_rates_are_differences_by_the_clock_of_the_host(UNUSED void **state)
{
	struct counters prev = { 0 };
	double v[RES_COUNT];
	take(100 * second, group(5 * second, 1000, 1000), &prev, v);
	assert_true(isnan(v[RES_CPU]) && isnan(v[RES_NET_IN])); /* there is nothing to compare with */
	NEAR(v[RES_MEMORY], 256 << 20);
	NEAR(v[RES_TASKS], 12);
	NEAR(v[RES_SESSIONS], 3);
	take(110 * second, group(10 * second, 126000, 1000), &prev, v);
	NEAR(v[RES_CPU_CORE], 50); /* 5 s in 10 s */
	NEAR(v[RES_CPU], 12.5);	   /* of four cores */
	NEAR(v[RES_NET_IN], 100);  /* 125,000 bytes in 10 s */
	NEAR(v[RES_NET_OUT], 0);
	assert_true(isnan(v[RES_IO_READ])); /* the host does not count it */
	assert_true(isnan(v[RES_TEMPERATURE]));
}

static void test_counter_that_went_back_gives_no_rate(UNUSED void **state)
{
	struct counters prev = { 0 };
	double v[RES_COUNT];
	take(100 * second, group(50 * second, 9000, 9000), &prev, v);
	take(110 * second, group(1 * second, 9000, 100), &prev, v); /* the instance was restarted */
	assert_true(isnan(v[RES_CPU_CORE]) && isnan(v[RES_NET_OUT]));
	NEAR(v[RES_NET_IN], 0);
	take(120 * second, group(2 * second, 9000, 100), &prev, v);
	NEAR(v[RES_CPU_CORE], 10);
	take(5 * second, group(3 * second, 9000, 100), &prev, v); /* the host was restarted */
	assert_true(isnan(v[RES_CPU_CORE]));
}

static void test_samples_too_close_keep_the_earlier_counters(UNUSED void **state)
{
	struct counters prev = { 0 };
	double v[RES_COUNT];
	take(100 * second, group(0, 0, 0), &prev, v);
	take(100 * second + 1000, group(second, 0, 0), &prev, v);
	assert_true(isnan(v[RES_CPU_CORE]));
	take(101 * second, group(second, 0, 0), &prev, v);
	NEAR(v[RES_CPU_CORE], 100);
}

static void test_memory_is_relative_to_the_limit_or_the_host(UNUSED void **state)
{
	struct counters prev = { 0 };
	double v[RES_COUNT];
	json_t *doc = group(0, 0, 0);
	take(second, json_incref(doc), &prev, v);
	NEAR(v[RES_MEMORY_PERCENT], 25);
	doc_set_int(doc, "memory_limit_bytes", 512 << 20);
	take(2 * second, json_incref(doc), &prev, v);
	NEAR(v[RES_MEMORY_PERCENT], 50);
	doc_set_int(doc, "memory_limit_bytes", (int64_t)8 << 30); /* more than the host has */
	take(3 * second, doc, &prev, v);
	NEAR(v[RES_MEMORY_PERCENT], 25);
}

static void test_host_reports_its_fullest_disk_and_measures_itself_at_first(UNUSED void **state)
{
	struct counters prev = { 0 };
	double v[RES_COUNT];
	json_t *host = json_pack("{s:i, s:f, s:i, s:I, s:[f], s:{s:{s:i, s:i}, s:{s:i, s:i}}}", "cores", 2, "cpu_percent", 30.0, "cpu_usec", 0,
				 "clock_usec", (json_int_t)second, "load", 1.5, "disks", "data", "used_bytes", 10, "free_bytes", 90, "log",
				 "used_bytes", 80, "free_bytes", 20);
	rates_of_host(host, &prev, v);
	NEAR(v[RES_CPU], 30);
	NEAR(v[RES_CPU_CORE], 60);
	NEAR(v[RES_DISK], 80);
	NEAR(v[RES_LOAD], 1.5);
	doc_set_int(host, "clock_usec", 2 * second);
	doc_set_int(host, "cpu_usec", 2 * second);
	rates_of_host(host, &prev, v);
	NEAR(v[RES_CPU], 100);
	json_decref(host);
}

static void test_unknown_value_is_null_in_a_response(UNUSED void **state)
{
	assert_null(rates_value(NAN, RES_CPU));
	_cleanup_(doc_unrefp) json_t *bytes = rates_value(1023.6, RES_MEMORY), *pct = rates_value(12.34567, RES_CPU);
	assert_int_equal(json_integer_value(bytes), 1024);
	NEAR(json_real_value(pct), 12.346);
	for (int r = 0; r < RES_COUNT; r++)
		assert_int_equal(resource_find(resources[r].name), r);
	assert_int_equal(resource_find("cpu"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates_are_differences_by_the_clock_of_the_host),
		cmocka_unit_test(test_counter_that_went_back_gives_no_rate),
		cmocka_unit_test(test_samples_too_close_keep_the_earlier_counters),
		cmocka_unit_test(test_memory_is_relative_to_the_limit_or_the_host),
		cmocka_unit_test(test_host_reports_its_fullest_disk_and_measures_itself_at_first),
		cmocka_unit_test(test_unknown_value_is_null_in_a_response),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
