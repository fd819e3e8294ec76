/* Control groups of this host: created, limited, filled, killed, removed. If none can be written, the tests only check that all functions
 * accept NULL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/cgroup/cgroup.h"
#include "lucid/str.h"
#include "test/lib/cgroup_rig.h"

static struct cgroups *all;
static char name[64];

static void test_none(void **state)
{
	struct cgroup_enforced e;
	struct cgroup_usage u;
	const struct cgroup_limits l = { .cpu_percent = 50 };
	cgroup_limit(NULL, &l, &e);
	assert_false(e.cpu || e.memory || e.tasks);
	assert_int_equal(cgroup_kill(NULL), 0);
	assert_int_equal(cgroup_pids(NULL, NULL, 0), 0);
	assert_false(cgroup_populated(NULL));
	assert_true(cgroup_remove(NULL));
	assert_string_equal(cgroup_path(NULL), "");
	assert_null(cgroup_sub(NULL, "x"));
	assert_true(cgroup_attach(NULL, getpid()) < 0);
	cgroup_usage(NULL, &u);
	assert_int_equal(u.tasks, -1);
	cgroup_free(NULL);
}

/* Excused are other accounts than root, and a read-only /sys/fs/cgroup, as in a plain container. */
static void no_group(void)
{
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 && access("/sys/fs/cgroup", W_OK) == 0)
		fail_msg("no group can be created, although /sys/fs/cgroup is writable");
	if (access("/sys/fs/cgroup/pids", W_OK) == 0)
		fail_msg("no group can be created, although /sys/fs/cgroup/pids is writable");
	skip();
}

static struct cgroup *group_made(void)
{
	struct cgroup *c = cgroup_make(all, name);
	if (!c)
		no_group();
	return c;
}

static void test_limits(void **state)
{
	struct cgroup *c = group_made();
	struct cgroup_enforced e;
	struct cgroup_limits l = { .cpu_percent = 50, .memory_mb = 128, .tasks = 40 };
	cgroup_limit(c, &l, &e);
	assert_true(e.cpu && e.memory && e.tasks);
	l = (struct cgroup_limits){ .tasks = 50 };
	cgroup_limit(c, &l, &e); /* limits removed again, one raised */
	assert_true(!e.cpu && !e.memory && e.tasks);
	json_t *record = cgroup_record(c);
	struct cgroup *again = cgroup_reopen(all, record, "?");
	assert_non_null(again);
	assert_string_equal(strrchr(cgroup_path(again), '/') + 1, name);
	cgroup_free(again);
	assert_true(cgroup_remove(c));
	assert_null(cgroup_reopen(all, record, name));
	json_decref(record);
	cgroup_free(c);
}

/* A process that forks another one, which leaves the session and ignores all signals that can be ignored. */
static pid_t escaper(struct cgroup *c)
{
	pid_t pid = fork();
	if (pid == 0) {
		cgroup_attach(c, getpid());
		if (fork() == 0) {
			setsid();
			signal(SIGTERM, SIG_IGN);
		}
		for (;;)
			pause();
	}
	return pid;
}

static void settle(const struct cgroup *c, bool populated, size_t processes)
{
	for (int n = 0; n < 2000; n++) {
		if (cgroup_populated(c) == populated && cgroup_pids(c, NULL, 0) == processes)
			return;
		usleep(1000);
	}
	fail_msg("timed out waiting for %zu processes in the group, which has %zu", processes, cgroup_pids(c, NULL, 0));
}

static void test_kill(void **state)
{
	struct cgroup *c = group_made();
	struct cgroup *leaf = cgroup_sub(c, "daemons"), *other = cgroup_sub(c, "desktop-7");
	assert_non_null(leaf);
	assert_false(cgroup_populated(c));
	pid_t a = escaper(leaf), b = escaper(other);
	settle(c, true, 4);
	settle(other, true, 2);
	char path[4096];
	assert_true(cgroup_path_of(all, b, path, sizeof path));
	assert_string_equal(path, cgroup_path(other));
	pid_t pids[4];
	assert_int_equal(cgroup_pids(c, pids, 4), 4);
	assert_false(cgroup_remove(c)); /* it contains processes */
	struct cgroup_usage u;
	cgroup_usage(c, &u);
	assert_true(u.tasks == -1 || u.tasks == 4);

	assert_true(cgroup_kill(other) >= 2);
	settle(other, false, 0);
	assert_int_equal(cgroup_pids(leaf, NULL, 0), 2); /* the sibling group is not affected */
	assert_true(cgroup_kill(c) >= 2);
	settle(c, false, 0);
	waitpid(a, NULL, 0);
	waitpid(b, NULL, 0);
	struct cgroup *found = cgroup_sub_open(c, "desktop-7");
	assert_non_null(found);
	cgroup_free(found);
	assert_null(cgroup_sub_open(c, "desktop-8"));
	assert_true(cgroup_remove(c));
	cgroup_free(leaf);
	cgroup_free(other);
	cgroup_free(c);
}

static void test_task_limit_holds(void **state)
{
	struct cgroup *c = group_made();
	struct cgroup *leaf = cgroup_sub(c, "daemons");
	struct cgroup_enforced e;
	const struct cgroup_limits l = { .tasks = 10 };
	cgroup_limit(c, &l, &e);
	assert_true(e.tasks);
	int p[2];
	assert_int_equal(pipe(p), 0);
	pid_t pid = fork();
	if (pid == 0) {
		unsigned char made = 0;
		cgroup_attach(leaf, getpid());
		while (made < 50) {
			pid_t child = fork();
			if (child < 0)
				break;
			if (child == 0)
				for (;;)
					pause();
			made++;
		}
		if (write(p[1], &made, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	unsigned char made = 0;
	assert_int_equal(read(p[0], &made, 1), 1);
	assert_int_equal(made, 9);
	cgroup_kill(c);
	settle(c, false, 0);
	waitpid(pid, NULL, 0);
	close(p[0]);
	close(p[1]);
	assert_true(cgroup_remove(c));
	cgroup_free(leaf);
	cgroup_free(c);
}

static bool is_kept(const char *group, void *arg)
{
	return str_eq(group, arg);
}

/* Unowned groups are removed; groups that are used, new, kept, or not of an instance stay. */
static void test_sweep(void **state)
{
	static const char kept[] = "f0000000-0000-4000-8000-000000000001", idle[] = "f0000000-0000-4000-8000-000000000002",
			  used[] = "f0000000-0000-4000-8000-000000000003";
	struct cgroup *k = cgroup_make(all, kept), *i = cgroup_make(all, idle), *u = cgroup_make(all, used),
		      *other = cgroup_make(all, name);
	if (!k)
		no_group();
	struct cgroup *leaf = cgroup_sub(i, "desktop-1"), *busy = cgroup_sub(u, "desktop-2");
	pid_t pid = escaper(busy);
	settle(u, true, 2);
	cgroups_sweep(all, 60000, is_kept, (void *)(uintptr_t)kept);
	assert_true(cgroup_there(i) && cgroup_there(leaf)); /* too new */
	json_t *record = cgroup_record(i);
	const char *key;
	json_t *dir;
	const struct timespec then[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	struct cgroup *const old[] = { k, i, u, other };
	for (size_t n = 0; n < ARRAY_LEN(old); n++) {
		json_decref(record);
		record = cgroup_record(old[n]);
		json_object_foreach (record, key, dir)
			assert_int_equal(utimensat(AT_FDCWD, json_string_value(dir), then, 0), 0);
	}
	assert_true(cgroups_sweep(all, 60000, is_kept, (void *)(uintptr_t)kept) >= 1);
	assert_true(cgroup_there(k) && cgroup_there(u) && cgroup_there(other));
	assert_false(cgroup_there(i));
	struct cgroup *again = cgroup_reopen(all, NULL, used); /* by its name */
	assert_string_equal(cgroup_path(again), cgroup_path(u));
	cgroup_free(again);
	cgroup_kill(u);
	settle(u, false, 0);
	waitpid(pid, NULL, 0);
	/* reopened, it counts as new again */
	again = cgroup_make(all, used);
	cgroups_sweep(all, 60000, is_kept, (void *)(uintptr_t)kept);
	assert_true(cgroup_there(u));
	cgroup_free(again);
	cgroup_free(leaf);
	cgroup_free(busy);
	json_decref(record);
	for (size_t n = 0; n < ARRAY_LEN(old); n++) {
		assert_true(cgroup_remove(old[n]));
		cgroup_free(old[n]);
	}
}

/* Only a v2 tree; all controllers may belong to v1: then limits are not enforced, and that is reported. */
static void test_v2(void **state)
{
	assert_string_equal(cgroups_mode(all), "v2");
	struct cgroup *c = cgroup_make(all, name);
	assert_non_null(c);
	const struct cgroup_limits l = { .cpu_percent = 50, .memory_mb = 128, .tasks = 40 };
	struct cgroup_enforced e;
	struct cgroup_usage u;
	cgroup_limit(c, &l, &e);
	assert_true(e.cpu == (access("/sys/fs/cgroup/lucid-rdp/cpu.max", F_OK) == 0));
	assert_true(e.memory == (access("/sys/fs/cgroup/lucid-rdp/memory.max", F_OK) == 0));
	assert_true(e.tasks == (access("/sys/fs/cgroup/lucid-rdp/pids.max", F_OK) == 0));
	cgroup_usage(c, &u);
	assert_true(u.cpu_us >= 0); /* counted without any controller */
	assert_true(cgroup_remove(c));
	cgroup_free(c);
}

static void test_nothing_mounted(void **state)
{
	assert_string_equal(cgroups_mode(all), "none");
	assert_null(cgroup_make(all, name));
	assert_null(cgroup_reopen(all, NULL, name));
	assert_int_equal(cgroups_sweep(all, 0, is_kept, name), 0);
	char path[64];
	assert_false(cgroup_path_of(all, getpid(), path, sizeof path));
}

static int run_other(const char *kind)
{
	const struct CMUnitTest v2[] = {
		cmocka_unit_test(test_v2),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_sweep),
	};
	const struct CMUnitTest none[] = { cmocka_unit_test(test_nothing_mounted), cmocka_unit_test(test_none) };
	all = cgroups_new();
	int r = str_eq(kind, "v2") ? cmocka_run_group_tests_name("v2", v2, NULL, NULL)
				   : cmocka_run_group_tests_name("none", none, NULL, NULL);
	cgroups_free(all);
	return r;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_task_limit_holds),
		cmocka_unit_test(test_sweep),
	};
	snprintf(name, sizeof name, "lrdp-test-%d", getpid());
	int other = cgroup_rig_run("v2", run_other) | cgroup_rig_run("none", run_other);
	all = cgroups_new();
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	cgroups_free(all);
	return r | other;
}
