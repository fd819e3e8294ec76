/* child: a program that sleeps, supervised: its lives, its ends, and what it is given; adopted by the next process that supervises it. Also the
 * watches and jobs of the same room when there is too little of something: descriptors, room for what a job says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lucid/backoff.h"
#include "lucid/clock.h"
#include "lucid/errs.h"
#include "lucid/str.h"
#include "sys/child/child.h"
#include "sys/child/job.h"
#include "sys/child/process.h"
#include "sys/files.h"

#define GIVE_UP_MS 20000

static struct loop *loop;
static struct children *all;

/* The program: says on descriptor 3 that it runs, then sleeps. */
#define SLEEPER "echo >&3; exec sleep 1000"

struct sleeper {
	struct child *child;
	struct child_desc desc;
	const char *script;
	int give_fd, give_to;	/* a descriptor it gets; -1: none */
	int hold;		/* so many starts are held back */
	int unborn;		/* errno of starts that fail */
	enum child_verdict says;
	unsigned account;	/* 0: ours */
	enum child_state seen[64]; /* states that were told */
	size_t nseen;
	struct child_end end; /* the last one */
	int64_t waits[64];    /* of all ends */
	unsigned ends;
};

static int sleeper_plan(void *arg, struct child_plan *p)
{
	struct sleeper *s = arg;
	if (s->hold-- > 0)
		return 1;
	if (s->unborn)
		return -s->unborn;
	child_plan_arg(p, "/bin/sh");
	child_plan_arg(p, "-c");
	child_plan_arg(p, s->script);
	child_plan_env(p, "PATH=/usr/bin:/bin");
	child_plan_env(p, "NUMBER=%d", 7);
	child_plan_limit(p, RLIMIT_CORE, 0);
	p->directory = "/";
	if (s->give_fd >= 0)
		child_plan_fd(p, s->give_fd, s->give_to);
	if (s->account) {
		p->switch_account = true;
		p->uid = p->gid = s->account;
		p->groups[p->ngroups++] = s->account + 1;
	}
	return 0;
}

static enum child_verdict sleeper_verdict(void *arg, UNUSED const struct child_end *e)
{
	return ((struct sleeper *)arg)->says;
}

static void on_state(void *arg, enum child_state now, const struct child_end *e)
{
	struct sleeper *s = arg;
	assert_true(s->nseen < ARRAY_LEN(s->seen));
	s->seen[s->nseen++] = now;
	if (e) {
		s->end = *e;
		s->waits[s->ends++] = e->wait_ms;
	}
}

static void sleeper_init(struct sleeper *s, const char *script)
{
	*s = (struct sleeper){ .script = script, .give_fd = -1 };
	s->desc = (struct child_desc){
		.name = "sleeper", .plan = sleeper_plan, .verdict = sleeper_verdict, .on_state = on_state, .readiness = CHILD_READY_BYTE, .ready_to = 3,
		.start_ms = GIVE_UP_MS, .stop_ms = GIVE_UP_MS, .healthy_ms = 3600000, .back_off_ms = 4, .back_off_most_ms = 16,
	};
	s->child = child_new(all, &s->desc, s);
}

static int set_up(UNUSED void **state)
{
	loop = loop_new();
	all = children_new(loop);
	return 0;
}

static int tear_down(UNUSED void **state)
{
	jobs_cancel_all(all);
	children_free(all);
	loop_free(loop);
	return 0;
}

/* --- waiting */

static void on_time(UNUSED void *arg)
{
	loop_stop(loop);
}

#define spin_until(condition)                                                                                          \
	do {                                                                                                           \
		struct loop_timer *t_ = loop_timer_new(loop, on_time, NULL);                                           \
		int64_t end_ = clock_mono_ms() + GIVE_UP_MS;                                                           \
		while (!(condition) && clock_mono_ms() < end_) {                                                       \
			loop_timer_set(t_, 2);                                                                         \
			loop_run(loop);                                                                                \
		}                                                                                                      \
		loop_timer_free(t_);                                                                                   \
		assert_true(condition);                                                                                \
	} while (0)

static bool no_children(void)
{
	char text[64] = "";
	FILE *f = fopen("/proc/thread-self/children", "re");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 1;
	if (f)
		fclose(f);
	return n == 0;
}

static void start_ready(struct sleeper *s)
{
	assert_true(child_start(s->child));
	spin_until(child_state(s->child) == CHILD_READY);
}

static void end_and_free(struct sleeper *s)
{
	child_kill(s->child);
	spin_until(child_state(s->child) == CHILD_GONE);
	child_free(s->child);
}

static void seen_is(const struct sleeper *s, const enum child_state *want, size_t n)
{
	assert_int_equal(s->nseen, n);
	for (size_t k = 0; k < n; k++)
		assert_string_equal(child_state_to_string(s->seen[k]), child_state_to_string(want[k]));
}
#define SEEN(s, ...) seen_is(s, (const enum child_state[]){ __VA_ARGS__ }, sizeof((enum child_state[]){ __VA_ARGS__ }) / sizeof(enum child_state))

/* --- lives */

static void test_a_killed_child_comes_again_after_its_back_off(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, SLEEPER);
	start_ready(&s);
	pid_t first = child_pid(s.child);
	child_signal(s.child, SIGKILL);
	spin_until(s.ends == 1 && child_state(s.child) == CHILD_READY);
	SEEN(&s, CHILD_STARTING, CHILD_READY, CHILD_BACKING_OFF, CHILD_STARTING, CHILD_READY);
	assert_int_not_equal(child_pid(s.child), first);
	assert_int_equal(s.end.obituary.pid, first);
	assert_int_equal(s.end.cause, CHILD_ENDED);
	assert_int_equal(s.end.failures, 1);
	assert_int_equal(s.end.wait_ms, 4);
	assert_true(s.end.was_ready);
	end_and_free(&s);
}

static void test_a_child_that_always_fails_is_given_up(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, "exit 3");
	s.desc.give_up = 4;
	s.desc.free_failures = 1;
	assert_true(child_start(s.child));
	spin_until(child_state(s.child) == CHILD_GAVE_UP);
	static const int waits[] = { 0, 4, 8, 16 };
	for (unsigned n = 0; n < ARRAY_LEN(waits); n++)
		assert_int_equal(s.waits[n], waits[n]);
	assert_int_equal(s.ends, 5);
	assert_int_equal(s.end.failures, 5);
	assert_int_equal(s.end.obituary.code, 3);
	assert_false(s.end.was_ready);
	/* a start that is asked for begins anew */
	s.script = SLEEPER;
	start_ready(&s);
	assert_int_equal(child_failures(s.child), 0);
	end_and_free(&s);
}

static void test_a_healthy_life_makes_failures_forgotten(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, SLEEPER);
	start_ready(&s);
	child_signal(s.child, SIGKILL);
	spin_until(s.ends == 1 && child_state(s.child) == CHILD_READY);
	assert_int_equal(child_failures(s.child), 1);
	s.desc.healthy_ms = 1000;
	clock_shift_ms(5000);
	child_signal(s.child, SIGKILL);
	spin_until(s.ends == 2);
	assert_true(s.end.obituary.lived_ms >= 5000);
	assert_int_equal(s.end.failures, 0);
	assert_int_equal(s.end.wait_ms, 0);
	spin_until(child_state(s.child) == CHILD_READY);
	end_and_free(&s);
}

static void test_a_child_that_is_not_ready_in_time_is_ended(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, "exec sleep 1000");
	s.desc.start_ms = 20;
	s.desc.give_up = 1;
	assert_true(child_start(s.child));
	spin_until(child_state(s.child) == CHILD_GAVE_UP);
	SEEN(&s, CHILD_STARTING, CHILD_BROKEN, CHILD_BACKING_OFF, CHILD_STARTING, CHILD_BROKEN, CHILD_GAVE_UP);
	assert_int_equal(s.end.cause, CHILD_LATE);
	assert_true(s.end.obituary.known);
	assert_int_equal(s.end.obituary.signal, SIGKILL);
	assert_false(s.end.was_ready);
	child_free(s.child);
}

static void test_a_child_whose_heartbeat_stops_is_ended(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, SLEEPER);
	s.desc.beat_ms = 20;
	s.says = CHILD_NO_MORE;
	assert_true(child_start(s.child));
	spin_until(s.ends == 1);
	SEEN(&s, CHILD_STARTING, CHILD_READY, CHILD_BROKEN, CHILD_GONE);
	assert_int_equal(s.end.cause, CHILD_MUTE);
	assert_int_equal(s.end.obituary.signal, SIGKILL);
	child_free(s.child);
}

static void test_heartbeats_keep_a_child(UNUSED void **state)
{
	struct sleeper s;
	int stop[2];
	assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
	/* it ends by itself when the other end of 4 is closed */
	sleeper_init(&s, "i=0; while [ $i -lt 200 ]; do echo >&3; i=$((i+1)); done; read x <&4; exit 5");
	s.desc.beat_ms = GIVE_UP_MS;
	s.give_fd = stop[0];
	s.give_to = 4;
	s.says = CHILD_NO_MORE;
	start_ready(&s);
	close(stop[1]);
	spin_until(s.ends == 1);
	assert_int_equal(s.end.cause, CHILD_ENDED);
	assert_int_equal(s.end.obituary.code, 5);
	SEEN(&s, CHILD_STARTING, CHILD_READY, CHILD_GONE);
	close(stop[0]);
	child_free(s.child);
}

static void test_a_closed_descriptor_says_ready_while_the_child_lives(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, "exec 3>&-; exec sleep 1000");
	s.desc.readiness = CHILD_READY_EOF;
	start_ready(&s);
	end_and_free(&s);
	sleeper_init(&s, "exit 4");
	s.desc.readiness = CHILD_READY_EOF;
	s.says = CHILD_GIVE_UP;
	assert_true(child_start(s.child));
	spin_until(s.ends == 1);
	SEEN(&s, CHILD_STARTING, CHILD_GAVE_UP);
	assert_int_equal(s.end.obituary.code, 4);
	child_free(s.child);
}

static unsigned probes;
static bool third_probe(UNUSED void *arg)
{
	return ++probes == 3;
}

static void test_a_probe_is_asked_until_it_says_yes(UNUSED void **state)
{
	struct sleeper s;
	probes = 0;
	sleeper_init(&s, "exec sleep 1000");
	s.desc.readiness = CHILD_READY_PROBE;
	s.desc.probe = third_probe;
	start_ready(&s);
	assert_int_equal(probes, 3);
	end_and_free(&s);
}

static void test_a_child_is_stopped_gently(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, SLEEPER);
	start_ready(&s);
	child_stop(s.child);
	assert_false(child_start(s.child));
	spin_until(child_state(s.child) == CHILD_GONE);
	SEEN(&s, CHILD_STARTING, CHILD_READY, CHILD_STOPPING, CHILD_GONE);
	assert_int_equal(s.end.obituary.signal, SIGTERM);
	assert_int_equal(s.end.obituary.code, -1);
	child_free(s.child);
}

static void test_a_child_that_ignores_its_stop_is_killed(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, "trap '' TERM; " SLEEPER);
	s.desc.stop_ms = 20;
	start_ready(&s);
	child_stop(s.child);
	spin_until(child_state(s.child) == CHILD_GONE);
	SEEN(&s, CHILD_STARTING, CHILD_READY, CHILD_STOPPING, CHILD_KILLED, CHILD_GONE);
	assert_int_equal(s.end.obituary.signal, SIGKILL);
	child_free(s.child);
}

static void test_a_stop_ends_the_wait_for_a_new_life(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, "exit 1");
	s.desc.back_off_ms = s.desc.back_off_most_ms = 3600000;
	assert_true(child_start(s.child));
	spin_until(child_state(s.child) == CHILD_BACKING_OFF);
	child_start_now(s.child);
	assert_int_equal(child_state(s.child), CHILD_STARTING);
	spin_until(s.ends == 2);
	assert_int_equal(s.end.failures, 2);
	child_stop(s.child);
	SEEN(&s, CHILD_STARTING, CHILD_BACKING_OFF, CHILD_STARTING, CHILD_BACKING_OFF, CHILD_GONE);
	child_free(s.child);
}

static void test_one_that_closed_its_connection_has_to_end(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, SLEEPER);
	start_ready(&s);
	child_expect_end(s.child, 10);
	spin_until(s.ends == 1);
	assert_int_equal(s.end.obituary.signal, SIGKILL);
	spin_until(child_state(s.child) == CHILD_READY);
	end_and_free(&s);
}

static void test_starts_are_spread_over_the_burst(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, "exit 1");
	s.desc.free_failures = 1000;
	s.desc.burst = 3;
	s.desc.burst_ms = 3600000;
	assert_true(child_start(s.child));
	spin_until(s.ends == 3);
	assert_true(s.end.wait_ms > 3000000 && s.end.wait_ms <= 3600000);
	assert_int_equal(child_state(s.child), CHILD_BACKING_OFF);
	child_stop(s.child);
	child_free(s.child);
}

static void test_a_plan_can_hold_a_start_back(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, SLEEPER);
	s.hold = 2;
	start_ready(&s);
	SEEN(&s, CHILD_BACKING_OFF, CHILD_BACKING_OFF, CHILD_STARTING, CHILD_READY);
	assert_int_equal(s.end.cause, CHILD_HELD);
	assert_int_equal(s.end.failures, 2);
	end_and_free(&s);
	sleeper_init(&s, SLEEPER);
	s.hold = 1000;
	s.desc.give_up = 3;
	assert_true(child_start(s.child));
	spin_until(child_state(s.child) == CHILD_GAVE_UP);
	assert_int_equal(s.ends, 4);
	assert_int_equal(s.end.cause, CHILD_HELD);
	child_free(s.child);
}

static void test_a_start_that_fails_is_told_later(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, SLEEPER);
	s.unborn = EMFILE;
	assert_true(child_start(s.child));
	assert_int_equal(s.nseen, 0);
	spin_until(s.ends == 1);
	SEEN(&s, CHILD_BACKING_OFF);
	assert_int_equal(s.end.cause, CHILD_NOT_BORN);
	assert_int_equal(s.end.err, EMFILE);
	s.unborn = 0;
	spin_until(child_state(s.child) == CHILD_READY);
	end_and_free(&s);
}

static int missing_plan(UNUSED void *arg, struct child_plan *p)
{
	child_plan_arg(p, "/nonexistent/program");
	return 0;
}

static void test_a_missing_program_has_its_exit_code(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, "");
	s.desc.plan = missing_plan;
	s.says = CHILD_GIVE_UP;
	assert_true(child_start(s.child));
	spin_until(child_state(s.child) == CHILD_GAVE_UP);
	assert_int_equal(s.end.obituary.code, CHILD_NO_PROGRAM);
	child_free(s.child);
}

static int wide_plan(UNUSED void *arg, struct child_plan *p)
{
	for (int n = 0; n <= CHILD_ARGS_MAX; n++)
		child_plan_arg(p, "/bin/true");
	return 0;
}

static void test_a_plan_beyond_its_bound_is_refused(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, "");
	s.desc.plan = wide_plan;
	s.says = CHILD_GIVE_UP;
	assert_true(child_start(s.child));
	spin_until(child_state(s.child) == CHILD_GAVE_UP);
	assert_int_equal(s.end.cause, CHILD_NOT_BORN);
	assert_int_equal(s.end.err, E2BIG);
	child_free(s.child);
}

/* --- what it is given */

static void read_proc(char *dst, size_t size, pid_t pid, const char *file)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	size_t n = fread(dst, 1, size - 1, f);
	fclose(f);
	dst[n] = '\0';
	for (size_t k = 0; k + 1 < n; k++)
		if (!dst[k])
			dst[k] = '\n';
}

/* The program sleeps, and has these descriptors only. The shell moves some while it redirects; so does the loader of the program. */
static bool sleeps_with(pid_t pid, const char *want)
{
	struct proc_stat st;
	char have[96] = "";
	for (int fd = 0; fd < 32; fd++) {
		char path[64], target[256];
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
		if (readlink(path, target, sizeof target) >= 0)
			snprintf(have + strlen(have), sizeof have - strlen(have), "%d ", fd);
	}
	return proc_stat(pid, &st) && str_eq(st.comm, "sleep") && str_eq(have, want);
}

static void test_a_descriptor_handed_over_is_usable(UNUSED void **state)
{
	struct sleeper s;
	int ends[2];
	char said[16] = "";
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	/* the pipe of readiness may have any number here, also the one that the descriptor gets there */
	sleeper_init(&s, "printf hello >&5; " SLEEPER);
	s.give_fd = ends[1];
	s.give_to = 5;
	start_ready(&s);
	assert_int_equal(read(ends[0], said, sizeof said - 1), 5);
	assert_string_equal(said, "hello");
	/* and there is no other */
	spin_until(sleeps_with(child_pid(s.child), "0 1 2 3 5 "));
	end_and_free(&s);
	close(ends[0]);
	close(ends[1]);
}

/* The C library's own signals apart: it keeps a program from touching them, and whoever started the tests may have them ignored. */
static uint64_t ignored_signals(const char *status)
{
	const char *line = strstr(status, "SigIgn:\t");
	assert_non_null(line);
	return strtoull(line + strlen("SigIgn:\t"), NULL, 16) & ~(3ULL << 31);
}

static void test_environment_limits_and_account_are_the_plans(UNUSED void **state)
{
	struct sleeper s;
	char text[8192];
	sleeper_init(&s, SLEEPER);
	s.account = geteuid() == 0 ? 64242 : 0;
	start_ready(&s);
	pid_t pid = child_pid(s.child);
	read_proc(text, sizeof text, pid, "environ");
	assert_non_null(strstr(text, "NUMBER=7"));
	assert_null(strstr(text, "HOME="));
	read_proc(text, sizeof text, pid, "limits");
	assert_non_null(strstr(text, "Max core file size        0                    0 "));
	read_proc(text, sizeof text, pid, "status");
	assert_int_equal(ignored_signals(text), 0);
	if (s.account) {
		assert_non_null(strstr(text, "Uid:\t64242\t64242\t64242\t64242"));
		assert_non_null(strstr(text, "Gid:\t64242\t64242\t64242\t64242"));
		assert_non_null(strstr(text, "Groups:\t64243"));
	}
	assert_int_equal(getsid(pid), pid);
	end_and_free(&s);
}

/* --- over the death of a supervisor */

/* The next one is a process of its own that starts the sleeper, says its record, and is killed. */
static json_t *record_of_a_dead_supervisor(void)
{
	int ends[2];
	char text[512] = "";
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct sleeper s;
		loop = loop_new();
		all = children_new(loop);
		sleeper_init(&s, SLEEPER);
		start_ready(&s);
		_cleanup_(doc_unrefp) json_t *d = child_record(s.child);
		_cleanup_(xfreep) char *said = doc_text(d);
		_exit(write(ends[1], said, strlen(said)) > 0 ? (int)pause() : 1);
	}
	close(ends[1]);
	assert_true(read(ends[0], text, sizeof text - 1) > 0);
	close(ends[0]);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	json_t *d = doc_parse(text, strlen(text), NULL, 0);
	assert_non_null(d);
	return d;
}

static void test_a_child_is_adopted_after_its_supervisor_was_killed(UNUSED void **state)
{
	struct sleeper s;
	_cleanup_(doc_unrefp) json_t *d = record_of_a_dead_supervisor();
	pid_t pid = (pid_t)doc_int(d, "pid", 0);
	assert_true(proc_alive(pid, (uint64_t)doc_int(d, "start", 0)));
	sleeper_init(&s, SLEEPER);
	assert_int_equal(child_adopt(s.child, d), CHILD_FOUND_ALIVE);
	assert_int_equal(child_state(s.child), CHILD_READY);
	assert_int_equal(child_pid(s.child), pid);
	/* its end is seen, though not how; a new life follows, which is a child of ours */
	assert_int_equal(kill(pid, SIGKILL), 0);
	spin_until(s.ends == 1);
	assert_int_equal(s.end.obituary.pid, pid);
	assert_false(s.end.obituary.known);
	assert_int_equal(s.end.obituary.code, -1);
	assert_int_equal(s.end.obituary.signal, 0);
	spin_until(child_state(s.child) == CHILD_READY);
	end_and_free(&s);
}

static void test_an_adopted_child_is_stopped(UNUSED void **state)
{
	struct sleeper s;
	_cleanup_(doc_unrefp) json_t *d = record_of_a_dead_supervisor();
	sleeper_init(&s, SLEEPER);
	assert_int_equal(child_adopt(s.child, d), CHILD_FOUND_ALIVE);
	child_stop(s.child);
	spin_until(child_state(s.child) == CHILD_GONE);
	assert_false(proc_alive((pid_t)doc_int(d, "pid", 0), (uint64_t)doc_int(d, "start", 0)));
	child_free(s.child);
}

static void test_a_child_that_died_unseen_is_mourned(UNUSED void **state)
{
	struct sleeper s;
	_cleanup_(doc_unrefp) json_t *d = record_of_a_dead_supervisor();
	pid_t pid = (pid_t)doc_int(d, "pid", 0);
	uint64_t start = (uint64_t)doc_int(d, "start", 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	spin_until(!proc_alive(pid, start));
	sleeper_init(&s, SLEEPER);
	assert_int_equal(child_adopt(s.child, d), CHILD_FOUND_DEAD);
	assert_int_equal(child_pid(s.child), 0);
	assert_int_equal(s.nseen, 0);
	child_mourn(s.child);
	assert_int_equal(s.ends, 1);
	assert_int_equal(s.end.cause, CHILD_UNSEEN);
	assert_false(s.end.obituary.known);
	spin_until(child_state(s.child) == CHILD_READY);
	assert_int_not_equal(child_pid(s.child), pid);
	end_and_free(&s);
}

static void test_another_process_with_that_number_is_not_adopted(UNUSED void **state)
{
	struct sleeper s, other;
	sleeper_init(&s, SLEEPER);
	sleeper_init(&other, SLEEPER);
	start_ready(&s);
	_cleanup_(doc_unrefp) json_t *d = child_record(s.child);
	doc_set_int(d, "start", doc_int(d, "start", 0) - 1);
	assert_int_equal(child_adopt(other.child, d), CHILD_FOUND_DEAD);
	child_free(other.child);
	sleeper_init(&other, SLEEPER);
	doc_set_int(d, "start", doc_int(d, "start", 0) + 1);
	doc_set_str(d, "boot_id", "another boot");
	assert_int_equal(child_adopt(other.child, d), CHILD_FOUND_NONE);
	assert_int_equal(child_state(other.child), CHILD_GONE);
	child_free(other.child);
	end_and_free(&s);
}

/* Its record is of the time between two lives: the wait goes on, and counts no further failure. */
static void test_a_back_off_is_taken_up_again(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, "exit 1");
	s.desc.back_off_ms = s.desc.back_off_most_ms = 3600000;
	assert_true(child_start(s.child));
	spin_until(child_state(s.child) == CHILD_BACKING_OFF);
	_cleanup_(doc_unrefp) json_t *d = child_record(s.child);
	child_free(s.child);
	sleeper_init(&s, "exit 1");
	s.desc.back_off_ms = s.desc.back_off_most_ms = 3600000;
	assert_int_equal(child_adopt(s.child, d), CHILD_FOUND_DEAD);
	child_mourn(s.child);
	assert_int_equal(child_state(s.child), CHILD_BACKING_OFF);
	assert_int_equal(child_failures(s.child), 1);
	child_free(s.child);
}

/* --- a record in a file */

static char record_dir[64], record_path[96];

static void record_dir_make(void)
{
	snprintf(record_dir, sizeof record_dir, "/tmp/lrdp-child-XXXXXX");
	assert_non_null(mkdtemp(record_dir));
	snprintf(record_path, sizeof record_path, "%s/sleeper.json", record_dir);
}

/* Nothing else was left there. */
static void record_dir_remove(void)
{
	unlink(record_path);
	assert_int_equal(rmdir(record_dir), 0);
}

static pid_t recorded_pid(void)
{
	_cleanup_(xfreep) char *text = file_read(record_path, 4096, NULL);
	_cleanup_(doc_unrefp) json_t *d = text ? doc_parse(text, strlen(text), NULL, 0) : NULL;
	return (pid_t)doc_int(d, "pid", -1);
}

/* Another supervisor starts the sleeper and is killed. The child's pid. */
static pid_t resumed_by_a_dead_supervisor(void)
{
	int ends[2];
	pid_t child = 0;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct sleeper s;
		loop = loop_new();
		all = children_new(loop);
		sleeper_init(&s, SLEEPER);
		assert_int_equal(child_resume(s.child, record_path), CHILD_FOUND_NONE);
		spin_until(child_state(s.child) == CHILD_READY);
		child = child_pid(s.child);
		_exit(write(ends[1], &child, sizeof child) > 0 ? (int)pause() : 1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &child, sizeof child), sizeof child);
	close(ends[0]);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return child;
}

static void test_a_child_is_resumed_from_its_file(UNUSED void **state)
{
	struct sleeper s;
	record_dir_make();
	pid_t pid = resumed_by_a_dead_supervisor();
	sleeper_init(&s, SLEEPER);
	assert_int_equal(child_resume(s.child, record_path), CHILD_FOUND_ALIVE);
	assert_int_equal(child_pid(s.child), pid);
	/* the file follows its lives */
	assert_int_equal(kill(pid, SIGKILL), 0);
	spin_until(s.ends == 1 && child_state(s.child) == CHILD_READY);
	assert_int_equal(recorded_pid(), child_pid(s.child));
	assert_int_not_equal(recorded_pid(), pid);
	end_and_free(&s);
	assert_int_equal(access(record_path, F_OK), -1);
	record_dir_remove();
}

static void test_a_child_that_died_unseen_is_resumed_as_a_failure(UNUSED void **state)
{
	struct sleeper s;
	record_dir_make();
	pid_t pid = resumed_by_a_dead_supervisor();
	uint64_t start = proc_start(pid);
	assert_int_equal(kill(pid, SIGKILL), 0);
	spin_until(!proc_alive(pid, start));
	sleeper_init(&s, SLEEPER);
	assert_int_equal(child_resume(s.child, record_path), CHILD_FOUND_DEAD);
	assert_int_equal(s.ends, 1);
	assert_int_equal(s.end.cause, CHILD_UNSEEN);
	spin_until(child_state(s.child) == CHILD_READY);
	assert_int_equal(child_failures(s.child), 1);
	end_and_free(&s);
	record_dir_remove();
}

/* child_free and children_free leave process and file to the next supervisor; child_abandon ends both. */
static void test_the_file_of_a_child_is_kept_or_removed_with_its_process(UNUSED void **state)
{
	struct sleeper s;
	record_dir_make();
	FILE *f = fopen(record_path, "we");
	assert_non_null(f);
	fputs("{\"pid\": ", f); /* damaged: none */
	fclose(f);
	sleeper_init(&s, SLEEPER);
	assert_int_equal(child_resume(s.child, record_path), CHILD_FOUND_NONE);
	spin_until(child_state(s.child) == CHILD_READY);
	pid_t pid = child_pid(s.child);
	children_free(all);
	all = children_new(loop);
	assert_int_equal(recorded_pid(), pid);
	sleeper_init(&s, SLEEPER);
	assert_int_equal(child_resume(s.child, record_path), CHILD_FOUND_ALIVE);
	assert_int_equal(child_pid(s.child), pid);
	child_abandon(s.child);
	spin_until(no_children());
	record_dir_remove();
}

static void test_a_child_that_gave_up_leaves_no_file(UNUSED void **state)
{
	struct sleeper s;
	record_dir_make();
	sleeper_init(&s, "exit 1");
	s.desc.give_up = 2;
	child_resume(s.child, record_path);
	spin_until(child_state(s.child) == CHILD_GAVE_UP);
	assert_int_equal(access(record_path, F_OK), -1);
	child_free(s.child);
	record_dir_remove();
}

static int tied_sleep(UNUSED void *arg)
{
	return (int)sleep(1000);
}

static int tied_plan(UNUSED void *arg, struct child_plan *p)
{
	p->run = tied_sleep;
	p->tie = CHILD_TIED;
	return 0;
}

static void test_a_tied_child_dies_with_its_supervisor(UNUSED void **state)
{
	int ends[2];
	pid_t tied = 0;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct sleeper s;
		loop = loop_new();
		all = children_new(loop);
		sleeper_init(&s, "");
		s.desc.plan = tied_plan;
		s.desc.readiness = CHILD_READY_AT_ONCE;
		child_start(s.child);
		pid_t child = child_pid(s.child);
		_exit(write(ends[1], &child, sizeof child) > 0 ? (int)pause() : 1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &tied, sizeof tied), sizeof tied);
	close(ends[0]);
	uint64_t start = proc_start(tied);
	assert_true(start != 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	spin_until(!proc_alive(tied, start));
}

/* --- ends in their order */

/* Whatever comes, in whatever state: a kill leads to GONE, and nothing is left. */
static void test_any_order_of_orders_ends_in_gone(UNUSED void **state)
{
	static void (*const orders[])(struct child *c) = { child_stop, child_kill, child_ready, child_beat };
	for (unsigned seed = 0; seed < 64; seed++) {
		struct sleeper s;
		sleeper_init(&s, seed & 1 ? SLEEPER : "exit 1");
		child_start(s.child);
		for (unsigned n = 0; n < 3; n++) {
			orders[seed >> (2 * n) & 3](s.child);
			struct loop_timer *t = loop_timer_new(loop, on_time, NULL);
			loop_timer_set(t, 0);
			loop_run(loop);
			loop_timer_free(t);
		}
		end_and_free(&s);
	}
}

static void test_an_abandoned_child_is_killed_and_reaped(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, SLEEPER);
	start_ready(&s);
	assert_false(no_children());
	child_abandon(s.child);
	spin_until(no_children());
}

/* The descriptors last for the fork and no further: a child that nobody would end or reap is killed. */
static void test_a_child_that_cannot_be_watched_is_ended(UNUSED void **state)
{
	struct rlimit was, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 3;
	pid_t pid = fork();
	if (pid == 0)
		_exit((int)sleep(1000));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	struct watch *w = watch_new(all, pid, 0, NULL, NULL);
	setrlimit(RLIMIT_NOFILE, &was);
	assert_null(w);
	assert_false(no_children());
	child_disown(all, pid);
	spin_until(no_children());
}

/* Somebody else reaped it, as init does, and says so. */
static void test_an_end_that_another_saw_is_taken_over(UNUSED void **state)
{
	struct sleeper s;
	int status = 0;
	sleeper_init(&s, SLEEPER);
	s.says = CHILD_NO_MORE;
	start_ready(&s);
	pid_t pid = child_pid(s.child);
	kill(pid, SIGUSR1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(children_told(all, pid, status));
	assert_false(children_told(all, pid, status));
	assert_int_equal(s.ends, 1);
	assert_true(s.end.obituary.known);
	assert_int_equal(s.end.obituary.signal, SIGUSR1);
	child_free(s.child);
}

static void test_a_signal_reaches_only_the_process_that_was_meant(UNUSED void **state)
{
	struct sleeper s;
	sleeper_init(&s, SLEEPER);
	start_ready(&s);
	pid_t pid = child_pid(s.child);
	uint64_t start = proc_start(pid);
	assert_int_equal(process_signal(pid, start + 1, SIGKILL), -ESRCH);
	assert_true(proc_alive(pid, start));
	s.says = CHILD_NO_MORE;
	assert_int_equal(process_signal(pid, start, SIGKILL), 0);
	spin_until(s.ends == 1);
	assert_int_equal(process_signal(pid, start, SIGKILL), -ESRCH);
	child_free(s.child);
}

/* --- jobs */

static int done_n, last_code, last_passed;
static char last_text[64];

static void on_done(UNUSED void *arg, int code, const char *text, UNUSED size_t len)
{
	done_n++;
	last_code = code;
	last_passed = job_take_fd(all);
	str_copy(last_text, sizeof last_text, text ? text : "");
}

static int say_much(UNUSED void *in, int out)
{
	static char much[JOB_MAX_OUT + 100];
	memset(much, 'x', sizeof much);
	for (size_t at = 0; at < sizeof much;) {
		ssize_t n = write(out, much + at, sizeof much - at);
		if (n <= 0)
			return 1;
		at += (size_t)n;
	}
	return 0;
}

static int say_input(void *in, int out)
{
	return write(out, in, strlen(in)) > 0 && job_pass_fd(out, 0) ? 9 : 1;
}

static int never_ends(UNUSED void *in, UNUSED int out)
{
	return (int)pause();
}

static int job_code(job_fn fn, char *in, unsigned deadline_ms)
{
	done_n = 0;
	job_start(all, fn, in, deadline_ms, on_done, NULL);
	assert_int_equal(done_n, 0);
	spin_until(done_n > 0);
	assert_int_equal(done_n, 1);
	assert_int_equal(jobs_running(all), 0);
	return last_code;
}

static void test_a_job_answers_with_its_code_text_and_descriptor(UNUSED void **state)
{
	char in[] = "what was asked";
	assert_int_equal(job_code(say_input, in, GIVE_UP_MS), 9);
	assert_string_equal(last_text, "what was asked\n");
	assert_true(last_passed >= 0);
	close(last_passed);
}

static void test_a_cut_answer_is_an_error(UNUSED void **state)
{
	assert_int_equal(job_code(say_much, NULL, GIVE_UP_MS), -ERR_TOO_LARGE);
}

static void test_a_job_past_its_deadline_is_killed(UNUSED void **state)
{
	assert_int_equal(job_code(never_ends, NULL, 10), -ERR_DEADLINE);
	assert_true(no_children());
}

static void test_a_job_without_descriptors_fails_later(UNUSED void **state)
{
	struct rlimit was, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 3;
	done_n = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	job_start(all, never_ends, NULL, GIVE_UP_MS, on_done, NULL);
	setrlimit(RLIMIT_NOFILE, &was);
	assert_int_equal(done_n, 0);
	spin_until(done_n > 0);
	assert_int_equal(last_code, -ERR_INTERNAL);
}

static void test_a_cancelled_job_is_killed_and_says_nothing(UNUSED void **state)
{
	done_n = 0;
	job_cancel(job_start(all, never_ends, NULL, GIVE_UP_MS, on_done, NULL));
	spin_until(no_children());
	assert_int_equal(done_n, 0);
}

static void test_back_off_doubles_up_to_its_bound(UNUSED void **state)
{
	static const int64_t want[] = { 2000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
	for (unsigned n = 0; n < ARRAY_LEN(want); n++)
		assert_int_equal(backoff_ms(2000, 60000, n), want[n]);
	assert_int_equal(backoff_ms(2000, 60000, UINT32_MAX), 60000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_killed_child_comes_again_after_its_back_off),
		TEST(test_a_child_that_always_fails_is_given_up),
		TEST(test_a_healthy_life_makes_failures_forgotten),
		TEST(test_a_child_that_is_not_ready_in_time_is_ended),
		TEST(test_a_child_whose_heartbeat_stops_is_ended),
		TEST(test_heartbeats_keep_a_child),
		TEST(test_a_closed_descriptor_says_ready_while_the_child_lives),
		TEST(test_a_probe_is_asked_until_it_says_yes),
		TEST(test_a_child_is_stopped_gently),
		TEST(test_a_child_that_ignores_its_stop_is_killed),
		TEST(test_a_stop_ends_the_wait_for_a_new_life),
		TEST(test_one_that_closed_its_connection_has_to_end),
		TEST(test_starts_are_spread_over_the_burst),
		TEST(test_a_plan_can_hold_a_start_back),
		TEST(test_a_start_that_fails_is_told_later),
		TEST(test_a_missing_program_has_its_exit_code),
		TEST(test_a_plan_beyond_its_bound_is_refused),
		TEST(test_a_descriptor_handed_over_is_usable),
		TEST(test_environment_limits_and_account_are_the_plans),
		TEST(test_a_child_is_adopted_after_its_supervisor_was_killed),
		TEST(test_an_adopted_child_is_stopped),
		TEST(test_a_child_that_died_unseen_is_mourned),
		TEST(test_a_child_is_resumed_from_its_file),
		TEST(test_a_child_that_died_unseen_is_resumed_as_a_failure),
		TEST(test_the_file_of_a_child_is_kept_or_removed_with_its_process),
		TEST(test_a_child_that_gave_up_leaves_no_file),
		TEST(test_another_process_with_that_number_is_not_adopted),
		TEST(test_a_back_off_is_taken_up_again),
		TEST(test_a_tied_child_dies_with_its_supervisor),
		TEST(test_any_order_of_orders_ends_in_gone),
		TEST(test_an_abandoned_child_is_killed_and_reaped),
		TEST(test_a_child_that_cannot_be_watched_is_ended),
		TEST(test_an_end_that_another_saw_is_taken_over),
		TEST(test_a_signal_reaches_only_the_process_that_was_meant),
		TEST(test_a_job_answers_with_its_code_text_and_descriptor),
		TEST(test_a_cut_answer_is_an_error),
		TEST(test_a_job_past_its_deadline_is_killed),
		TEST(test_a_job_without_descriptors_fails_later),
		TEST(test_a_cancelled_job_is_killed_and_says_nothing),
		cmocka_unit_test(test_back_off_doubles_up_to_its_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
