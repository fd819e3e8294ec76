/* judge and thresholds: when a value raises an alert or clears it, and which thresholds are valid. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <math.h>

#include "lucid/str.h"
#include "roles/rdp-resource-monitor/alert/judge.h"
#include "roles/rdp-resource-monitor/alert/thresholds.h"

static const struct judge_rule rule = { .threshold = 80, .hysteresis = 5, .hold_ms = 60000 };
static const struct thresholds_defaults defaults = { { 80, 70, 90 } };

static enum judge_verdict at(struct judge *j, bool open, double value, int64_t s)
{
	return judge_value(j, &rule, open, value, s * 1000);
}

static void test_value_above_threshold_raises_after_the_hold_time(UNUSED void **state)
{
	struct judge j = { 0 };
	assert_int_equal(at(&j, false, 80.1, 100), JUDGE_NOTHING);
	assert_int_equal(at(&j, false, 99, 130), JUDGE_NOTHING);
	assert_int_equal(at(&j, false, 81, 159), JUDGE_NOTHING);
	assert_int_equal(at(&j, false, 81, 160), JUDGE_RAISE);
	assert_int_equal(at(&j, false, 81, 190), JUDGE_RAISE); /* until the caller has raised it */
}

static void test_value_at_the_threshold_does_not_raise(UNUSED void **state)
{
	struct judge j = { 0 };
	for (int64_t s = 0; s < 300; s += 30)
		assert_int_equal(at(&j, false, 80, s), JUDGE_NOTHING);
}

static void test_dip_begins_the_hold_time_again(UNUSED void **state)
{
	struct judge j = { 0 };
	assert_int_equal(at(&j, false, 90, 0), JUDGE_NOTHING);
	assert_int_equal(at(&j, false, 79, 30), JUDGE_NOTHING);
	assert_int_equal(at(&j, false, 90, 60), JUDGE_NOTHING);
	assert_int_equal(at(&j, false, 90, 119), JUDGE_NOTHING);
	assert_int_equal(at(&j, false, 90, 120), JUDGE_RAISE);
}

static void test_open_alert_is_not_raised_again(UNUSED void **state)
{
	struct judge j = { 0 };
	for (int64_t s = 0; s < 600; s += 30)
		assert_int_equal(at(&j, true, 95, s), JUDGE_NOTHING);
}

static void test_value_within_the_hysteresis_does_not_clear(UNUSED void **state)
{
	struct judge j = { 0 };
	for (int64_t s = 0; s < 600; s += 30)
		assert_int_equal(at(&j, true, 75.1, s), JUDGE_NOTHING);
}

static void test_value_below_the_hysteresis_clears_after_the_hold_time(UNUSED void **state)
{
	struct judge j = { 0 };
	assert_int_equal(at(&j, true, 75, 0), JUDGE_NOTHING);
	assert_int_equal(at(&j, true, 78, 30), JUDGE_NOTHING); /* back within the hysteresis */
	assert_int_equal(at(&j, true, 10, 60), JUDGE_NOTHING);
	assert_int_equal(at(&j, true, 10, 119), JUDGE_NOTHING);
	assert_int_equal(at(&j, true, 10, 120), JUDGE_CLEAR);
}

static void test_unknown_value_begins_the_hold_time_again(UNUSED void **state)
{
	struct judge j = { 0 };
	assert_int_equal(at(&j, false, 90, 0), JUDGE_NOTHING);
	assert_int_equal(at(&j, false, NAN, 30), JUDGE_NOTHING);
	assert_int_equal(at(&j, false, 90, 60), JUDGE_NOTHING);
	assert_int_equal(at(&j, false, 90, 120), JUDGE_RAISE);
}

static void test_restart_begins_the_hold_time_again(UNUSED void **state)
{
	struct judge before = { 0 }, after = { 0 };
	assert_int_equal(at(&before, true, 10, 0), JUDGE_NOTHING);
	assert_int_equal(at(&after, true, 10, 60), JUDGE_NOTHING);
	assert_int_equal(at(&after, true, 10, 120), JUDGE_CLEAR);
}

static void test_raise_then_clear_needs_two_hold_times(UNUSED void **state)
{
	struct judge j = { 0 };
	assert_int_equal(at(&j, false, 90, 0), JUDGE_NOTHING);
	assert_int_equal(at(&j, false, 90, 60), JUDGE_RAISE);
	assert_int_equal(at(&j, true, 10, 61), JUDGE_NOTHING);
	assert_int_equal(at(&j, true, 10, 120), JUDGE_NOTHING);
	assert_int_equal(at(&j, true, 10, 121), JUDGE_CLEAR);
	assert_int_equal(at(&j, false, 10, 122), JUDGE_NOTHING);
}

static void test_without_hold_time_the_first_value_decides(UNUSED void **state)
{
	struct judge_rule now = { 50, 0, 0 };
	struct judge j = { 0 };
	assert_int_equal(judge_value(&j, &now, false, 51, 0), JUDGE_RAISE);
	assert_int_equal(judge_value(&j, &now, true, 50, 0), JUDGE_CLEAR);
}

static void test_clear_level_is_reachable(UNUSED void **state)
{
	assert_true(judge_clear_level(&(struct judge_rule){ 80, 5, 0 }) == 75);
	assert_true(judge_clear_level(&(struct judge_rule){ 4, 5, 0 }) == 2);
	assert_true(judge_clear_level(&(struct judge_rule){ 5, 5, 0 }) > 0);
}

/* --- thresholds */

static json_t *full(const char *text)
{
	_cleanup_(doc_unrefp) json_t *doc = text ? doc_parse(text, strlen(text), NULL, 0) : NULL;
	assert_true(doc || !text);
	return thresholds_full(doc, &defaults);
}

static void expect_faults(const char *text, const char *fields)
{
	struct faults f = { 0 };
	struct strbuf found = { 0 };
	_cleanup_(doc_unrefp) json_t *doc = full(text);
	json_t *fault;
	size_t i;
	thresholds_check(doc, &f);
	json_array_foreach(f.list, i, fault)
		strbuf_printf(&found, "%s%s", i ? " " : "", doc_str(fault, "field", ""));
	assert_string_equal(found.s ? found.s : "", fields);
	strbuf_done(&found);
	faults_done(&f);
}

static void test_defaults_are_valid_and_complete(UNUSED void **state)
{
	_cleanup_(doc_unrefp) json_t *doc = full(NULL);
	_cleanup_(xfreep) char *text = doc_text(doc);
	assert_string_equal(text, "{\"global\":{\"cpu_percent\":80,\"memory_percent\":70,\"disk_percent\":90},\"hold_seconds\":60,\"hysteresis\":5,"
				  "\"servers\":[],\"version\":0,\"updated_at\":null}");
	expect_faults(NULL, "");
}

static void test_values_out_of_range_are_refused(UNUSED void **state)
{
	expect_faults("{\"global\":{\"cpu_percent\":101}}", "global.cpu_percent");
	expect_faults("{\"global\":{\"memory_percent\":0}}", "global.memory_percent");
	expect_faults("{\"global\":{\"disk_percent\":-1}}", "global.disk_percent");
	expect_faults("{\"global\":{\"cpu_percent\":5}}", "global.cpu_percent"); /* not above the hysteresis */
	expect_faults("{\"hysteresis\":51}", "hysteresis");
	expect_faults("{\"hysteresis\":-1}", "hysteresis");
	expect_faults("{\"hold_seconds\":-1}", "hold_seconds");
	expect_faults("{\"hold_seconds\":86401}", "hold_seconds");
	expect_faults("{\"hold_seconds\":0,\"hysteresis\":0,\"global\":{\"cpu_percent\":1}}", "");
}

static void test_servers_are_checked_too(UNUSED void **state)
{
	expect_faults("{\"servers\":[{\"server_id\":\"a\",\"cpu_percent\":0}]}", "servers[0].cpu_percent");
	expect_faults("{\"servers\":[{\"server_id\":\"a\"},{\"server_id\":\"a\"}]}", "servers[1].server_id");
	expect_faults("{\"servers\":[{\"cpu_percent\":50}]}", "servers[0].server_id");
	expect_faults("{\"servers\":[{\"server_id\":\"a\",\"cpu_percent\":50,\"memory_percent\":60.5}]}", "");
}

static void test_threshold_of_a_server_replaces_the_global_one(UNUSED void **state)
{
	_cleanup_(doc_unrefp) json_t *doc = full("{\"hold_seconds\":2,\"hysteresis\":1,\"servers\":[{\"server_id\":\"a\",\"cpu_percent\":50}]}");
	const json_t *own = json_array_get(json_object_get(doc, "servers"), 0);
	struct judge_rule r;
	assert_true(thresholds_rule(doc, true, own, ALERT_CPU, &r));
	assert_true(r.threshold == 50 && r.hysteresis == 1 && r.hold_ms == 2000);
	assert_true(thresholds_rule(doc, true, own, ALERT_MEMORY, &r));
	assert_true(r.threshold == 70);
	assert_true(thresholds_rule(doc, true, NULL, ALERT_CPU, &r));
	assert_true(r.threshold == 80);
}

static void test_hundred_percent_raises_no_alert(UNUSED void **state)
{
	_cleanup_(doc_unrefp) json_t *doc = full("{\"global\":{\"cpu_percent\":100}}");
	struct judge_rule r;
	assert_false(thresholds_rule(doc, false, NULL, ALERT_CPU, &r));
	assert_true(thresholds_rule(doc, false, NULL, ALERT_DISK, &r));
}

static void test_servers_have_no_disk_threshold(UNUSED void **state)
{
	_cleanup_(doc_unrefp) json_t *doc = full(NULL);
	struct judge_rule r;
	assert_false(thresholds_rule(doc, true, NULL, ALERT_DISK, &r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value_above_threshold_raises_after_the_hold_time),
		cmocka_unit_test(test_value_at_the_threshold_does_not_raise),
		cmocka_unit_test(test_dip_begins_the_hold_time_again),
		cmocka_unit_test(test_open_alert_is_not_raised_again),
		cmocka_unit_test(test_value_within_the_hysteresis_does_not_clear),
		cmocka_unit_test(test_value_below_the_hysteresis_clears_after_the_hold_time),
		cmocka_unit_test(test_unknown_value_begins_the_hold_time_again),
		cmocka_unit_test(test_restart_begins_the_hold_time_again),
		cmocka_unit_test(test_raise_then_clear_needs_two_hold_times),
		cmocka_unit_test(test_without_hold_time_the_first_value_decides),
		cmocka_unit_test(test_clear_level_is_reachable),
		cmocka_unit_test(test_defaults_are_valid_and_complete),
		cmocka_unit_test(test_values_out_of_range_are_refused),
		cmocka_unit_test(test_servers_are_checked_too),
		cmocka_unit_test(test_threshold_of_a_server_replaces_the_global_one),
		cmocka_unit_test(test_hundred_percent_raises_no_alert),
		cmocka_unit_test(test_servers_have_no_disk_threshold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
