/* Faults on the host under a running supervisor: directories and programs that are removed, records that cannot be read. */
#include "test/lib/host_rig.h"

#include <dirent.h>
#include <sched.h>
#include <sys/pidfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "host/xrdp_config/programs.h"
#include "host/instance/run.h"
#include "host/kernel/trash.h"
#include "sys/files.h"

static bool hook_answers(UNUSED void *arg)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	str_copy(sa.sun_path, sizeof sa.sun_path, host->hook_socket);
	return connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0;
}

static void test_removed_runtime_dir_is_made_again(UNUSED void **state)
{
	_cleanup_(xfreep) char *run = xasprintf("%s/run", dir);
	assert_true(hook_answers(NULL));
	fs_remove_tree(run);
	assert_false(hook_answers(NULL));
	assert_true(wait_for(hook_answers, NULL));
	unlink(host->hook_socket);
	assert_true(wait_for(hook_answers, NULL));
	struct stat st;
	assert_int_equal(stat(host->hook_socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* --- records */

static char *record_path(const char *id)
{
	return xasprintf("%s/data/xrdp/servers/%s/instance.json", dir, id);
}

static char *copy_path(const char *id)
{
	return xasprintf("%s/run/xrdp/records/%s.json", dir, id);
}

static void put(const char *path, const char *data, size_t len)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
}

/* Kinds of damage to a record. */
enum damage { REMOVED, EMPTY, CUT, OTHER_VERSION, BINARY, LARGE, OF_ANOTHER, DAMAGES };
static void damage_file(const char *path, enum damage how)
{
	_cleanup_(xfreep) char *text = file_read(path, 1 << 20, NULL), *large = xcalloc(1, 400000);
	assert_non_null(text);
	memset(large, ' ', 399999);
	static const char binary[] = "\x7f" "ELF\0\0\1\2\3\xff\xfe{}";
	char *version = strstr(text, "\"record\":1");
	switch (how) {
	case REMOVED:
		unlink(path);
		break;
	case EMPTY:
		put(path, "", 0);
		break;
	case CUT:
		put(path, text, strlen(text) / 2);
		break;
	case OTHER_VERSION:
		assert_non_null(version);
		version[9] = '7';
		put(path, text, strlen(text));
		break;
	case BINARY:
		put(path, binary, sizeof binary);
		break;
	case LARGE:
		put(path, large, 399999);
		break;
	default:
		put(path, "{\"record\":1,\"spec\":{\"server_id\":\"x\"}}", 37);
	}
}

static bool is_forgotten(void *arg)
{
	return !instance_find(host, arg);
}

/* The copy contains everything that the damaged record did: nothing of the server changes. */
static void test_damaged_record_is_adopted_from_its_copy(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	int port;
	struct instance *i = start_one(id, &port);
	pid_t xrdp = i->xrdp.pid, sesman = i->sesman.pid;
	_cleanup_(xfreep) char *path = record_path(id), *copy = copy_path(id);
	for (int how = 0; how < DAMAGES; how++) {
		damage_file(path, (enum damage)how);
		reopen_host();
		i = instance_find(host, id);
		assert_non_null(i);
		assert_int_equal(i->state, INSTANCE_RUNNING);
		assert_int_equal(i->xrdp.pid, xrdp);
		assert_int_equal(i->sesman.pid, sesman);
		assert_int_equal(i->port, port);
	}
	/* and in reverse */
	unlink(copy);
	reopen_host();
	assert_int_equal(instance_find(host, id)->state, INSTANCE_RUNNING);
	stop_one(id);
	assert_int_equal(access(copy, F_OK), -1);
}

/* With both damaged: the running processes are found by their group and ended, the port is free, and the server starts again. */
static void test_unreadable_records_end_running_processes(UNUSED void **state)
{
	for (int how = 0; how < DAMAGES; how++) {
		char id[ID_UUID_SIZE];
		int port;
		struct instance *i = start_one(id, &port);
		pid_t xrdp = i->xrdp.pid, sesman = i->sesman.pid;
		_cleanup_(xfreep) char *path = record_path(id), *copy = copy_path(id);
		damage_file(path, (enum damage)how);
		damage_file(copy, (enum damage)how);
		reopen_host();
		i = instance_find(host, id);
		assert_non_null(i);
		assert_int_equal(i->state, INSTANCE_STOPPING);
		assert_true(wait_for(is_forgotten, id));
		assert_true(is_gone(&xrdp) && is_gone(&sesman));
		struct answer a = ask("host.instance.start", start_doc(id, port));
		must_run(&a);
		done_with(&a);
		stop_one(id);
	}
}

/* DELETE of a server that this supervisor does not know: its processes are ended, and the answer follows. */
static void test_delete_ends_processes_without_a_record(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	int port;
	struct instance *i = start_one(id, &port);
	pid_t xrdp = i->xrdp.pid, sesman = i->sesman.pid;
	host->hooks.closed(i);
	instance_free(i); /* forgotten, as by a supervisor that never knew it */
	assert_null(instance_find(host, id));
	assert_false(port_is_free(port));
	stop_one(id);
	assert_true(is_gone(&xrdp) && is_gone(&sesman));
	assert_true(port_is_free(port));
	_cleanup_(xfreep) char *own = xasprintf("%s/data/xrdp/servers/%s", dir, id);
	assert_int_equal(access(own, F_OK), -1);
}

/* A start while files of a deleted server are being removed waits; it does not run at the same time. */
static void test_start_waits_for_the_removal_of_files(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	int port;
	start_one(id, &port);
	struct answer a = ask("host.instance.stop", stop_doc(id, false));
	done_with(&a);
	struct answer gone, up;
	ask_begin("host.instance.stop", stop_doc(id, true), &gone);
	assert_non_null(instance_find(host, id));
	ask_begin("host.instance.start", start_doc(id, port), &up);
	assert_true(wait_for(has_come, &gone));
	assert_int_equal(gone.err, 0);
	assert_true(wait_for(has_come, &up));
	must_run(&up);
	struct instance *i = instance_find(host, id);
	assert_int_equal(access(i->etc, F_OK), 0);
	done_with(&gone);
	done_with(&up);
	stop_one(id);
}

/* --- processes that do not end */

static void test_delete_names_processes_that_do_not_end(UNUSED void **state)
{
	char id[ID_UUID_SIZE], frozen[512];
	int port, status;
	struct instance *i = start_one(id, &port);
	_cleanup_(doc_unrefp) json_t *groups = cgroup_record(i->cgroup);
	const char *freezer = doc_str(groups, "freezer", NULL);
	if (!freezer) {
		/* only the freezer of version 1 keeps a process from SIGKILL; a group of version 2 lets it through (cgroup-v2.rst, cgroup.freeze) */
		stop_one(id);
		skip();
	}
	/* in a frozen group of its own, a process does not react to signals, like one in uninterruptible sleep */
	pid_t stuck = fork();
	if (stuck == 0) {
		cgroup_attach(i->daemons, getpid());
		for (;;)
			pause();
	}
	snprintf(frozen, sizeof frozen, "%s/daemons/stuck", freezer);
	assert_int_equal(mkdir(frozen, 0755), 0);
	_cleanup_(xfreep) char *procs = xasprintf("%s/cgroup.procs", frozen), *state_file = xasprintf("%s/freezer.state", frozen),
			       *number = xasprintf("%d", stuck);
	char path[4096];
	while (!cgroup_path_of(host->cgroups, stuck, path, sizeof path) || !strstr(path, id))
		usleep(1000);
	put(procs, number, strlen(number));
	put(state_file, "FROZEN", 6);
	struct answer a;
	ask_begin("host.instance.stop", stop_doc(id, true), &a);
	for (int n = 0; n < 3; n++) {
		struct loop_timer *t = loop_timer_new(loop, on_time, NULL);
		loop_timer_set(t, 100);
		loop_run(loop);
		loop_timer_free(t);
		clock_shift_ms(6000);
	}
	assert_true(wait_for(has_come, &a));
	assert_int_equal(a.err, ERR_XRDP_SERVICE);
	assert_non_null(strstr(a.message, number));
	done_with(&a);
	i = instance_find(host, id);
	assert_non_null(i);
	assert_int_equal(i->state, INSTANCE_FAILED);
	assert_string_equal(i->reason, "processes_left");
	/* the next supervisor knows it too */
	reopen_host();
	assert_non_null(instance_find(host, id));
	put(state_file, "THAWED", 6);
	assert_int_equal(waitpid(stuck, &status, 0), stuck);
	stop_one(id);
	assert_null(instance_find(host, id));
}

/* --- programs */

static bool has_failed(void *arg)
{
	return ((struct instance *)arg)->state == INSTANCE_FAILED;
}

static void copy_program(const char *from, const char *to)
{
	assert_int_equal(fs_copy(from, to, 0755, 0), 0);
}

static void test_missing_program_shows_at_once(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	int port;
	_cleanup_(xfreep) char *programs = xasprintf("%s/programs", dir), *xrdp = xasprintf("%s/programs/xrdp", dir);
	assert_int_equal(fs_mkdirs(programs, 0755), 0);
	copy_program(host->set.xrdp, xrdp);
	host_free(host);
	xrdp_program = xrdp;
	host = open_host("data");
	struct instance *i = start_one(id, &port);
	/* the host's program, and the copy that the instance runs */
	_cleanup_(xfreep) char *own = xasprintf("%s/" PROGRAM_XRDP, i->bin);
	assert_int_equal(unlink(xrdp) | unlink(own), 0);
	unsigned tries = i->restarts;
	kill(i->xrdp.pid, SIGKILL);
	assert_true(wait_for(has_failed, i));
	assert_string_equal(i->reason, "no_xrdp");
	assert_true(i->restarts <= tries + 1);
	_cleanup_(xfreep) char *last = doc_text(i->last_exit);
	assert_non_null(strstr(last, PROGRAM_XRDP)); /* it names the program */
	struct answer a = ask("host.instance.start", start_doc(id, port));
	assert_int_equal(a.err, ERR_NO_XRDP);
	done_with(&a);
	/* after reinstallation, a start works */
	host_free(host);
	xrdp_program = NULL;
	host = open_host("data");
	copy_program(host->set.xrdp, xrdp);
	a = ask("host.instance.start", start_doc(id, port));
	must_run(&a);
	done_with(&a);
	stop_one(id);
}

/* --- files that users leave */

static bool is_away(void *arg)
{
	return access(arg, F_OK) < 0;
}

static void test_files_of_users_are_removed_in_the_background(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	int port;
	struct instance *i = start_one(id, &port);
	_cleanup_(xfreep) char *deep = xasprintf("%s/deep", i->run), *own = xstrdup(i->dir), *run = xstrdup(i->run),
			       *trash = trash_of_data(host);
	int fd = open(i->run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int n = 0; n < 400; n++) {
		assert_int_equal(mkdirat(fd, "deep", 0777), 0);
		int next = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
		assert_true(fd >= 0);
	}
	close(fd);
	assert_int_equal(access(deep, F_OK), 0);
	struct answer a = ask("host.instance.stop", stop_doc(id, false));
	assert_int_equal(a.err, 0);
	done_with(&a);
	assert_int_equal(access(run, F_OK), -1);
	assert_true(wait_for(is_away, trash));
	stop_one(id);
	assert_int_equal(access(own, F_OK), -1);
	assert_true(wait_for(is_away, trash));
	/* files that an earlier supervisor left there are removed at the next start */
	_cleanup_(xfreep) char *old = xasprintf("%s/old/tree", trash);
	assert_int_equal(fs_mkdirs(old, 0755), 0);
	reopen_host();
	assert_true(wait_for(is_away, trash));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_removed_runtime_dir_is_made_again),
		cmocka_unit_test(test_damaged_record_is_adopted_from_its_copy),
		cmocka_unit_test(test_unreadable_records_end_running_processes),
		cmocka_unit_test(test_delete_ends_processes_without_a_record),
		cmocka_unit_test(test_start_waits_for_the_removal_of_files),
		cmocka_unit_test(test_delete_names_processes_that_do_not_end),
		cmocka_unit_test(test_missing_program_shows_at_once),
		cmocka_unit_test(test_files_of_users_are_removed_in_the_background),
	};
	return host_rig_run(tests, ARRAY_LEN(tests));
}
