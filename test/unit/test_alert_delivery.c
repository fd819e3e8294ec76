/* delivery and signature: what is posted to the webhook, when it is posted again, and when that ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-resource-monitor/alert/delivery.h"
#include "roles/rdp-resource-monitor/alert/signature.h"

#define T0 1764489600000ll

/* An alert with both events, of which the given ones are pending. */
static json_t *alert_with(bool raised, bool cleared)
{
	json_t *a = json_pack("{s:s, s:s, s:s, s:n, s:s, s:f, s:f, s:s}", "alert_id", "a1", "kind", "node", "node", "n1", "server_id", "metric",
			      "cpu_percent", "threshold", 80.0, "value", 91.5, "raised_at", "2025-11-30T08:00:00.000Z");
	doc_set(a, "raised_delivery", delivery_new(raised ? DELIVERY_PENDING : DELIVERY_DELIVERED, T0));
	doc_set(a, "cleared_delivery", cleared ? delivery_new(DELIVERY_PENDING, T0) : NULL);
	return a;
}

/* Computed with Python: hmac.new(b"0123456789abcdef" * 2, b'1764489600.{"id":"x"}', "sha256") */
static void test_signature_is_that_of_stripe(UNUSED void **state)
{
	char signature[SIGNATURE_SIZE], time[SIGNATURE_TIME_SIZE];
	signature_make(signature, time, "0123456789abcdef0123456789abcdef", T0 / 1000, "{\"id\":\"x\"}", 10);
	assert_string_equal(time, "1764489600");
	assert_string_equal(signature, "t=1764489600,v1=80b34d2593ce7e47f6bd337cba479b928a72df396aadbdc524add760e204d23f");
}

static void test_signature_depends_on_secret_time_and_body(UNUSED void **state)
{
	char a[SIGNATURE_SIZE], b[SIGNATURE_SIZE], time[SIGNATURE_TIME_SIZE];
	signature_make(a, time, "0123456789abcdef0123456789abcdef", 1, "x", 1);
	signature_make(b, time, "1123456789abcdef0123456789abcdef", 1, "x", 1);
	assert_string_not_equal(a, b);
	signature_make(b, time, "0123456789abcdef0123456789abcdef", 1, "y", 1);
	assert_string_not_equal(a, b);
	signature_make(b, time, "0123456789abcdef0123456789abcdef", 2, "x", 1);
	assert_string_not_equal(strstr(a, "v1="), strstr(b, "v1="));
}

static void test_wait_doubles_up_to_its_bound(UNUSED void **state)
{
	assert_int_equal(delivery_wait_ms(1), DELIVERY_FIRST_MS);
	assert_int_equal(delivery_wait_ms(2), 2 * DELIVERY_FIRST_MS);
	assert_int_equal(delivery_wait_ms(5), 16 * DELIVERY_FIRST_MS);
	assert_int_equal(delivery_wait_ms(12), DELIVERY_MOST_MS);
	assert_int_equal(delivery_wait_ms(100000), DELIVERY_MOST_MS);
}

static void test_new_delivery_is_due_at_once(UNUSED void **state)
{
	_cleanup_(doc_unrefp) json_t *a = alert_with(true, false);
	enum delivery_event e = DELIVERY_EVENTS;
	int64_t due = 0;
	assert_true(delivery_next(a, &e, &due));
	assert_int_equal(e, DELIVERY_RAISED);
	assert_int_equal(due, T0);
}

static void test_raised_is_delivered_before_cleared(UNUSED void **state)
{
	_cleanup_(doc_unrefp) json_t *both = alert_with(true, true), *one = alert_with(false, true), *none = alert_with(false, false);
	enum delivery_event e;
	int64_t due;
	assert_true(delivery_next(both, &e, &due));
	assert_int_equal(e, DELIVERY_RAISED);
	assert_true(delivery_next(one, &e, &due));
	assert_int_equal(e, DELIVERY_CLEARED);
	assert_false(delivery_next(none, &e, &due));
}

static void test_claim_is_due_again_when_its_attempt_must_have_ended(UNUSED void **state)
{
	_cleanup_(doc_unrefp) json_t *a = alert_with(true, false);
	enum delivery_event e;
	int64_t due;
	doc_set(a, "raised_delivery", delivery_claimed(json_object_get(a, "raised_delivery"), T0));
	assert_true(delivery_next(a, &e, &due));
	assert_int_equal(due, T0 + DELIVERY_ATTEMPT_MS);
	assert_int_equal(doc_int(json_object_get(a, "raised_delivery"), "attempts", 0), 1);
}

static void test_wait_counts_from_the_failure(UNUSED void **state)
{
	_cleanup_(doc_unrefp) json_t *a = alert_with(true, false);
	enum delivery_event e;
	int64_t due;
	for (int i = 1; i < 4; i++) {
		_cleanup_(doc_unrefp) json_t *claimed = delivery_claimed(json_object_get(a, "raised_delivery"), T0);
		doc_set(a, "raised_delivery", delivery_failed(claimed, T0 + 9000, "timed out"));
		assert_true(delivery_next(a, &e, &due));
		assert_int_equal(due, T0 + 9000 + delivery_wait_ms(i));
	}
}

static void test_success_ends_the_delivery(UNUSED void **state)
{
	_cleanup_(doc_unrefp) json_t *a = alert_with(true, false);
	enum delivery_event e;
	int64_t due;
	doc_set(a, "raised_delivery", delivery_succeeded(json_object_get(a, "raised_delivery"), T0));
	assert_false(delivery_next(a, &e, &due));
	assert_string_equal(doc_str(json_object_get(a, "raised_delivery"), "state", ""), "delivered");
	assert_string_equal(doc_str(json_object_get(a, "raised_delivery"), "delivered_at", ""), "2025-11-30T08:00:00.000Z");
}

/* Fails every attempt when it is due, as a receiver that is down does. Returns the time of the last attempt. */
static int64_t fail_until_given_up(json_t *a, unsigned *ret_attempts)
{
	enum delivery_event e;
	int64_t due, last = 0;
	*ret_attempts = 0;
	while (delivery_next(a, &e, &due)) {
		_cleanup_(doc_unrefp) json_t *claimed = delivery_claimed(json_object_get(a, "raised_delivery"), due);
		doc_set(a, "raised_delivery", delivery_failed(claimed, due, "the receiver answered 500"));
		last = due;
		assert_true(++*ret_attempts < 100);
	}
	return last;
}

static void test_delivery_is_given_up_after_a_day(UNUSED void **state)
{
	_cleanup_(doc_unrefp) json_t *a = alert_with(true, false);
	unsigned attempts;
	int64_t last = fail_until_given_up(a, &attempts);
	const json_t *d = json_object_get(a, "raised_delivery");
	assert_string_equal(doc_str(d, "state", ""), "given_up");
	assert_string_equal(doc_str(d, "error", ""), "the receiver answered 500");
	assert_in_range(last, T0 + DELIVERY_LIFE_MS - 2 * DELIVERY_MOST_MS, T0 + DELIVERY_LIFE_MS);
	assert_in_range(attempts, 24, 48);
}

static void test_body_is_the_same_in_each_attempt(UNUSED void **state)
{
	_cleanup_(doc_unrefp) json_t *a = alert_with(true, false);
	_cleanup_(doc_unrefp) json_t *first = delivery_body(a, DELIVERY_RAISED);
	doc_set(a, "raised_delivery", delivery_claimed(json_object_get(a, "raised_delivery"), T0));
	doc_set_str(a, "status", "cleared");
	doc_set_str(a, "cleared_at", "2025-11-30T09:00:00.000Z");
	doc_set(a, "cleared_delivery", delivery_new(DELIVERY_PENDING, T0));
	_cleanup_(doc_unrefp) json_t *second = delivery_body(a, DELIVERY_RAISED);
	assert_true(json_equal(first, second));
	assert_string_equal(doc_str(first, "type", ""), "resource.alert.raised");
	assert_string_equal(doc_str(first, "id", ""), doc_str(json_object_get(a, "raised_delivery"), "event_id", "?"));
	assert_string_equal(doc_str(json_object_get(first, "data"), "status", ""), "raised");
	_cleanup_(doc_unrefp) json_t *cleared = delivery_body(a, DELIVERY_CLEARED);
	assert_string_equal(doc_str(cleared, "type", ""), "resource.alert.cleared");
	assert_string_equal(doc_str(cleared, "timestamp", ""), "2025-11-30T09:00:00.000Z");
	assert_string_not_equal(doc_str(cleared, "id", ""), doc_str(first, "id", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signature_is_that_of_stripe),
		cmocka_unit_test(test_signature_depends_on_secret_time_and_body),
		cmocka_unit_test(test_wait_doubles_up_to_its_bound),
		cmocka_unit_test(test_new_delivery_is_due_at_once),
		cmocka_unit_test(test_raised_is_delivered_before_cleared),
		cmocka_unit_test(test_claim_is_due_again_when_its_attempt_must_have_ended),
		cmocka_unit_test(test_wait_counts_from_the_failure),
		cmocka_unit_test(test_success_ends_the_delivery),
		cmocka_unit_test(test_delivery_is_given_up_after_a_day),
		cmocka_unit_test(test_body_is_the_same_in_each_attempt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
