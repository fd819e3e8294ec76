/* rate: buckets drain, fill, keep callers and classes apart, and are bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "auth/rate.h"
#include "lucid/clock.h"

static const struct rate_limit usual[RATE_CLASSES] = {
	[RATE_ORDINARY] = { .per_minute = 100, .burst = 200 },
	[RATE_SESSIONS] = { .per_minute = 10, .burst = 10 },
};

static unsigned take_all(struct rate *r, enum rate_class class, const char *who, bool is_user)
{
	struct rate_answer a;
	unsigned n = 0;
	for (rate_take(r, class, who, is_user, &a); a.allowed && n < 100000; rate_take(r, class, who, is_user, &a))
		n++;
	assert_true(a.retry_s >= 1);
	assert_int_equal(a.remaining, 0);
	return n;
}

static void test_burst(UNUSED void **state)
{
	struct rate *r = rate_new(usual);
	struct rate_answer a;
	rate_take(r, RATE_ORDINARY, "ann", true, &a);
	assert_true(a.allowed);
	assert_int_equal(a.limit, 200);
	assert_int_equal(a.remaining, 199);
	assert_int_equal(a.reset_s, 1);
	assert_in_range(take_all(r, RATE_ORDINARY, "ann", true), 199, 201); /* one more may have been refilled meanwhile */
	/* others, the same name as an address, and the other class have their own buckets */
	assert_in_range(take_all(r, RATE_ORDINARY, "bob", true), 200, 201);
	assert_in_range(take_all(r, RATE_ORDINARY, "ann", false), 200, 201);
	assert_in_range(take_all(r, RATE_SESSIONS, "ann", true), 10, 11);
	rate_free(r);
}

static void test_refill(UNUSED void **state)
{
	struct rate *r = rate_new(usual);
	struct rate_answer a;
	take_all(r, RATE_SESSIONS, "ann", true);
	rate_take(r, RATE_SESSIONS, "ann", true, &a);
	assert_false(a.allowed);
	assert_in_range(a.retry_s, 5, 6);
	assert_in_range(a.reset_s, 59, 60);
	clock_shift_ms(a.retry_s * 1000);
	assert_in_range(take_all(r, RATE_SESSIONS, "ann", true), 1, 2);
	clock_shift_ms(30000);
	assert_in_range(take_all(r, RATE_SESSIONS, "ann", true), 5, 6);
	clock_shift_ms(3600000); /* no more than the burst accumulates */
	assert_in_range(take_all(r, RATE_SESSIONS, "ann", true), 10, 11);
	rate_free(r);
}

static void test_limits(UNUSED void **state)
{
	struct rate *r = rate_new((const struct rate_limit[RATE_CLASSES]){ { .per_minute = 0 }, { 10, 10 } });
	struct rate_answer a;
	for (int i = 0; i < 1000; i++) {
		rate_take(r, RATE_ORDINARY, "ann", true, &a);
		assert_true(a.allowed);
		assert_int_equal(a.limit, 0);
	}
	rate_set(r, usual);
	assert_in_range(take_all(r, RATE_ORDINARY, "ann", true), 200, 201);
	/* lowered: the debt is at most the new capacity */
	rate_set(r, (const struct rate_limit[RATE_CLASSES]){ { .per_minute = 60, .burst = 2 }, { 10, 10 } });
	rate_take(r, RATE_ORDINARY, "ann", true, &a);
	assert_false(a.allowed);
	assert_in_range(a.reset_s, 1, 2);
	rate_free(r);
}

static void test_bounded(UNUSED void **state)
{
	struct rate *r = rate_new(usual);
	struct rate_answer a;
	assert_int_equal(take_all(r, RATE_SESSIONS, "hog", true), 10);
	/* many new callers replace each other, not the empty bucket */
	for (int i = 0; i < 60000; i++) {
		char who[32];
		snprintf(who, sizeof who, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		rate_take(r, RATE_ORDINARY, who, false, &a);
		assert_true(a.allowed);
	}
	rate_take(r, RATE_SESSIONS, "hog", true, &a);
	assert_true(a.remaining < 5);
	rate_free(r);
}

static void test_addresses_of_one_network(UNUSED void **state)
{
	static const struct {
		const char *address, *group;
	} rows[] = {
		{ "10.1.2.3", "10.1.2.3" }, { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" }, { "2001:db8:1:2::", "2001:db8:1:2::/64" },
		{ "::1", "::/64" }, { "fe80::1%eth0", "fe80::/64" }, { "::ffff:10.1.2.3", "10.1.2.3" }, { "unix", "unix" }, { "", "" },
	};
	char group[RATE_GROUP_SIZE];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(rate_group(rows[i].address, group), rows[i].group);
	static const enum rate_class classes[] = { RATE_ORDINARY, RATE_SESSIONS };
	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		struct rate *r = rate_new(usual);
		struct rate_answer a;
		take_all(r, classes[i], "2001:db8::1", false);
		rate_take(r, classes[i], "2001:db8::ffff:1", false, &a);
		assert_true(a.remaining < 3); /* one may have been refilled meanwhile */
		rate_take(r, classes[i], "2001:db8:0:1::1", false, &a);
		assert_int_equal(a.remaining, usual[classes[i]].burst - 1);
		rate_take(r, classes[i], "2001:db8::1", true, &a); /* a user of that name has another bucket */
		assert_int_equal(a.remaining, usual[classes[i]].burst - 1);
		rate_free(r);
	}
}

/* The answer for a bucket in Redis is the same as for a local one. */
static void test_elsewhere(UNUSED void **state)
{
	struct rate *r = rate_new(usual);
	struct rate_answer a;
	int64_t step = 1, depth = 1;
	assert_false(rate_cost(r, RATE_BAD_TOKENS, &step, &depth)); /* no limit */
	assert_true(rate_cost(r, RATE_SESSIONS, &step, &depth));
	assert_int_equal(step, 6000000);
	assert_int_equal(depth, 60000000);
	rate_answer_of(r, RATE_SESSIONS, true, step, &a); /* the first request on a full bucket */
	assert_true(a.allowed);
	assert_int_equal(a.limit, 10);
	assert_int_equal(a.remaining, 9);
	assert_int_equal(a.reset_s, 6);
	assert_int_equal(a.retry_s, 0);
	rate_answer_of(r, RATE_SESSIONS, false, depth - 1000000, &a); /* empty; the next request is allowed in five seconds */
	assert_false(a.allowed);
	assert_int_equal(a.remaining, 0);
	assert_int_equal(a.retry_s, 5);
	assert_int_equal(a.reset_s, 59);
	rate_answer_of(r, RATE_SESSIONS, false, depth + 5, &a); /* the limits were lowered here, but not in Redis yet */
	assert_int_equal(a.remaining, 0);
	assert_int_equal(a.retry_s, 7);
	rate_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elsewhere), cmocka_unit_test(test_burst),
		cmocka_unit_test(test_refill),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_addresses_of_one_network),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
