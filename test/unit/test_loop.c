/* The loop: tasks posted by other threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "lucid/loop.h"

static struct loop *loop;
static struct loop_task one, two;
static int ran_one, ran_two, again;

static void on_one(struct loop_task *t)
{
	ran_one++;
	if (again > 0) {
		again--;
		loop_post(loop, t); /* it has run: it may be posted again */
	} else {
		loop_stop(loop);
	}
}

static void on_two(UNUSED struct loop_task *t)
{
	ran_two++;
	loop_stop(loop);
}

static void *post(UNUSED void *arg)
{
	for (int n = 0; n < 1000; n++) {
		loop_post(loop, &one);
		loop_post(loop, &two);
	}
	return NULL;
}

static void test_a_task_posted_twice_runs_once(UNUSED void **state)
{
	loop_post(loop, &one);
	loop_post(loop, &two);
	loop_post(loop, &one); /* its node was linked twice: the list lost the other task, or had no end */
	loop_post(loop, &one);
	loop_run(loop);
	assert_int_equal(ran_one, 1);
	assert_int_equal(ran_two, 1);
}

static void test_a_task_may_post_itself(UNUSED void **state)
{
	again = 5;
	loop_post(loop, &one);
	loop_run(loop);
	assert_int_equal(ran_one, 6);
}

static void test_threads_post_the_same_task(UNUSED void **state)
{
	pthread_t thread[4];
	for (size_t n = 0; n < ARRAY_LEN(thread); n++)
		assert_int_equal(pthread_create(&thread[n], NULL, post, NULL), 0);
	for (size_t n = 0; n < ARRAY_LEN(thread); n++)
		pthread_join(thread[n], NULL);
	loop_run(loop);
	assert_int_equal(ran_one, 1);
	assert_int_equal(ran_two, 1);
}

static int set_up(UNUSED void **state)
{
	loop = loop_new();
	loop_task_init(&one, on_one);
	loop_task_init(&two, on_two);
	ran_one = ran_two = again = 0;
	return 0;
}

static int tear_down(UNUSED void **state)
{
	loop_free(loop);
	return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(test_a_task_posted_twice_runs_once), T(test_a_task_may_post_itself), T(test_threads_post_the_same_task) };
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
