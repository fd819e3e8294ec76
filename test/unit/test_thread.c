/* The start of a thread: its name, its signals, its stack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>

#include "sys/thread.h"

struct seen {
	char name[16];
	sigset_t blocked;
	size_t stack_bytes;
};

static void *look_at_itself(void *arg)
{
	struct seen *s = arg;
	pthread_attr_t attr;
	void *at;
	pthread_getname_np(pthread_self(), s->name, sizeof s->name);
	pthread_sigmask(SIG_BLOCK, NULL, &s->blocked);
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &at, &s->stack_bytes);
	pthread_attr_destroy(&attr);
	return arg;
}

static struct seen seen_of(const char *name, size_t stack_bytes)
{
	struct seen s = { 0 };
	pthread_t t;
	void *ret = NULL;
	assert_int_equal(thread_start(&t, name, stack_bytes, look_at_itself, &s), 0);
	assert_int_equal(pthread_join(t, &ret), 0);
	assert_ptr_equal(ret, &s);
	return s;
}

static void test_a_thread_has_its_name(UNUSED void **state)
{
	assert_string_equal(seen_of("store-read", 0).name, "store-read");
	assert_string_equal(seen_of("longer than the kernel keeps", 0).name, "longer than the");
}

static void test_signals_stay_with_the_loop(UNUSED void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGALRM, SIGPIPE };
	struct seen s = seen_of("a", 0);
	sigset_t own;
	pthread_sigmask(SIG_BLOCK, NULL, &own);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		assert_true(sigismember(&s.blocked, signals[i]));
		assert_false(sigismember(&own, signals[i])); /* the signal mask of the calling thread is unchanged */
	}
}

static void test_the_stack_has_its_size(UNUSED void **state)
{
	const size_t mib = 1024 * 1024;
	size_t one = seen_of("a", mib).stack_bytes;
	assert_in_range(one, mib / 2, 3 * mib); /* a sanitizer adds to it */
	assert_true(seen_of("a", 0).stack_bytes > one);
}

static void test_thread_that_cannot_start_is_an_error(UNUSED void **state)
{
	pthread_t t;
	assert_int_not_equal(thread_start(&t, "a", (size_t)1 << 62, look_at_itself, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_thread_has_its_name),
		cmocka_unit_test(test_signals_stay_with_the_loop),
		cmocka_unit_test(test_the_stack_has_its_size),
		cmocka_unit_test(test_thread_that_cannot_start_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
