#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include "lucid/errs.h"
#include "lucid/pool.h"

/* Jobs run on workers and return to the loop, each once; a full pool refuses at once; closing runs the queued jobs. */
struct sum {
	struct pool_job job;
	int in, out;
};

static struct loop *loop;
static pthread_t loop_thread;
static int done_count, made, unmade;
static long total;
static int want;

static void *worker_new(void *arg)
{
	__atomic_add_fetch(&made, 1, __ATOMIC_SEQ_CST);
	return arg;
}

static void worker_free(void *worker)
{
	__atomic_add_fetch(&unmade, 1, __ATOMIC_SEQ_CST);
}

static void run(struct pool_job *j, void *worker)
{
	struct sum *s = CONTAINER_OF(j, struct sum, job);
	assert_ptr_equal(worker, &want);
	assert_false(pthread_equal(pthread_self(), loop_thread));
	s->out = s->in * 2;
}

static void done(struct pool_job *j)
{
	struct sum *s = CONTAINER_OF(j, struct sum, job);
	assert_true(pthread_equal(pthread_self(), loop_thread));
	total += s->out;
	free(s);
	if (++done_count == want)
		loop_stop(loop);
}

static int begin(void **state)
{
	loop = loop_new();
	loop_thread = pthread_self();
	done_count = made = unmade = 0;
	total = 0;
	return 0;
}

static int end(void **state)
{
	loop_free(loop);
	return 0;
}

static struct sum *job(int in)
{
	struct sum *s = XNEW(struct sum);
	s->in = in;
	s->job.run = run;
	s->job.done = done;
	return s;
}

static void test_every_job_returns_once(void **state)
{
	struct pool *p = pool_new(loop, "test", 3, 2000, worker_new, worker_free, &want);
	want = 1000;
	for (int i = 0; i < want; i++)
		assert_int_equal(pool_submit(p, &job(i)->job), 0);
	loop_run(loop);
	assert_int_equal(total, 999L * 1000);
	pool_free(p);
	assert_in_range(made, 1, 3);
	assert_int_equal(made, unmade);
}

static void slow(struct pool_job *j, void *worker)
{
	usleep(20000);
}

static void test_a_full_pool_refuses(void **state)
{
	struct pool *p = pool_new(loop, "test", 1, 4, NULL, NULL, NULL);
	int taken = 0, refused = 0;
	for (int i = 0; i < 20; i++) {
		struct sum *s = job(0);
		s->job.run = slow;
		if (pool_submit(p, &s->job) == 0) {
			taken++;
		} else {
			refused++;
			free(s); /* still owned by the caller */
		}
	}
	assert_in_range(taken, 4, 6);
	assert_int_equal(taken + refused, 20);
	/* accepted jobs run before the threads end, and return to the loop */
	pool_free(p);
	want = taken;
	loop_run(loop);
	assert_int_equal(done_count, taken);
}

static void burst(struct pool *p, int jobs)
{
	done_count = 0;
	want = jobs;
	for (int i = 0; i < jobs; i++) {
		struct sum *s = job(0);
		s->job.run = slow;
		assert_int_equal(pool_submit(p, &s->job), 0);
	}
	loop_run(loop);
}

/* The threads of a burst end, while one continues with the little work there is; later work is done as before. */
static void test_idle_threads_end(void **state)
{
	struct pool *p = pool_new(loop, "test", 8, 100, worker_new, worker_free, &want);
	pool_let_end(p, 1, 100);
	for (int round = 0; round < 3; round++) {
		int before = __atomic_load_n(&made, __ATOMIC_SEQ_CST);
		burst(p, 40);
		assert_true(__atomic_load_n(&made, __ATOMIC_SEQ_CST) > before + 1);
		for (int i = 0; i < 500 && made - __atomic_load_n(&unmade, __ATOMIC_SEQ_CST) > 1; i++)
			burst(p, 1);
		assert_int_equal(made - unmade, 1);
	}
	usleep(300000); /* the one that is kept continues */
	assert_int_equal(made - unmade, 1);
	pool_free(p);
	assert_int_equal(made, unmade);
}

/* Threads end and start at all times relative to each other, and the pool is freed meanwhile. */
static void test_threads_end_while_work_arrives(void **state)
{
	for (int round = 0; round < 20; round++) {
		struct pool *p = pool_new(loop, "test", 6, 1000, worker_new, worker_free, &want);
		pool_let_end(p, 0, 1);
		for (int i = 0; i < 20; i++) {
			int jobs = 1 + i % 7;
			done_count = 0;
			want = jobs;
			for (int j = 0; j < jobs; j++)
				assert_int_equal(pool_submit(p, &job(j)->job), 0);
			loop_run(loop);
			usleep((useconds_t)(i * 150));
		}
		pool_free(p);
		assert_int_equal(made, unmade);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_job_returns_once, begin, end),
		cmocka_unit_test_setup_teardown(test_a_full_pool_refuses, begin, end),
		cmocka_unit_test_setup_teardown(test_idle_threads_end, begin, end),
		cmocka_unit_test_setup_teardown(test_threads_end_while_work_arrives, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
