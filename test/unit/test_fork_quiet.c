/* fork_quiet: this process must not act on a signal that was sent to a child right after the fork. */
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
#include "test/lib/loop_rig.h"

static unsigned heard;

static void on_signal(UNUSED int signo, UNUSED void *arg)
{
	heard++;
}

static void spin(struct loop *l)
{
	loop_rig_run_ms(l, 5);
}

static void test_signal_of_a_child_does_not_reach_the_parent(UNUSED void **state)
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
	kill(getpid(), SIGTERM); /* and signals to this process still arrive */
	spin(l);
	assert_int_equal(heard, 1);
	loop_signal_free(s);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_signal_of_a_child_does_not_reach_the_parent) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
