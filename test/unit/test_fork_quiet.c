/* fork_quiet: what is sent to a child that has hardly begun is not obeyed by us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lucid/loop.h"
#include "sys/fork_quiet.h"

static unsigned heard;

static void on_signal(UNUSED int signo, UNUSED void *arg)
{
	heard++;
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void spin(struct loop *l)
{
	struct loop_timer *t = loop_timer_new(l, stop, l);
	loop_timer_set(t, 5);
	loop_run(l);
	loop_timer_free(t);
}

static void test_a_child_keeps_its_signals_to_itself(UNUSED void **state)
{
	struct loop *l = loop_new();
	struct loop_signal *s = loop_signal_new(l, SIGTERM, on_signal, NULL);
	for (int i = 0; i < 300; i++) {
		int status;
		pid_t pid = fork_quiet();
		if (pid == 0) {
			pause();
			_exit(0);
		}
		assert_int_equal(kill(pid, SIGTERM), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
		if (i % 50 == 0)
			spin(l);
	}
	spin(l);
	assert_int_equal(heard, 0);
	kill(getpid(), SIGTERM); /* and ours still reach us */
	spin(l);
	assert_int_equal(heard, 1);
	loop_signal_free(s);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_child_keeps_its_signals_to_itself) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
