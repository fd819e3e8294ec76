/* Messages to desktops: how many are allowed, and which texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>

#include "host/message/messages.h"
#include "lucid/base.h"

static void test_burst_is_allowed_and_then_one_each_interval(UNUSED void **state)
{
	struct message_rate r = { 0 };
	int64_t now = 1000000;
	for (int n = 0; n < MESSAGES_BURST; n++)
		assert_int_equal(message_rate_take(&r, now), 0);
	assert_int_equal(message_rate_take(&r, now), MESSAGES_EACH_MS);
	assert_int_equal(message_rate_take(&r, now + 4000), MESSAGES_EACH_MS - 4000);
	assert_int_equal(message_rate_take(&r, now + MESSAGES_EACH_MS), 0);
	assert_true(message_rate_take(&r, now + MESSAGES_EACH_MS) > 0);
}

static void test_refused_messages_do_not_count(UNUSED void **state)
{
	struct message_rate r = { 0 };
	for (int n = 0; n < MESSAGES_BURST; n++)
		message_rate_take(&r, 5000);
	for (int n = 0; n < 100; n++)
		assert_true(message_rate_take(&r, 5001) > 0);
	assert_int_equal(message_rate_take(&r, 5000 + MESSAGES_EACH_MS), 0);
}

static void test_allowance_does_not_grow_beyond_the_burst(UNUSED void **state)
{
	struct message_rate r = { 0 };
	int64_t now = 1;
	int allowed = 0;
	message_rate_take(&r, now);
	now += 1000LL * MESSAGES_EACH_MS;
	while (message_rate_take(&r, now) == 0)
		allowed++;
	assert_int_equal(allowed, MESSAGES_BURST);
}

static void test_blank_texts_are_refused(UNUSED void **state)
{
	static const char *const blank[] = { "", " ", "\n", " \t\n ", "\xe3\x80\x80", "\xc2\xa0 " };
	static const char *const shown[] = { "x", " x ", "\n\nx", "\xc3\x9f", "\xe3\x80\x80\xe6\x97\xa5", "\xf0\x9f\x98\x80" };
	for (size_t n = 0; n < ARRAY_LEN(blank); n++)
		assert_false(message_text_ok(blank[n]));
	for (size_t n = 0; n < ARRAY_LEN(shown); n++)
		assert_true(message_text_ok(shown[n]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_is_allowed_and_then_one_each_interval), cmocka_unit_test(test_refused_messages_do_not_count),
		cmocka_unit_test(test_allowance_does_not_grow_beyond_the_burst), cmocka_unit_test(test_blank_texts_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
