/* Instances with the real xrdp: start, answer, list, limits, deaths, adoption, stop. As root; the host's own xrdp may run at the same time or
 * not. */
#include "test/lib/host_rig.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "host/kernel/reserve.h"
#include "host/xrdp_config/programs.h"
#include "sys/child/child.h"
#include "sys/child/spawn.h"
#include "sys/files.h"
#include "test/lib/cgroup_rig.h"

/* Excused is a read-only /sys/fs/cgroup, as in a plain container. */
static void no_group(void)
{
	assert_int_not_equal(access("/sys/fs/cgroup/cgroup.procs", W_OK), 0);
	assert_int_not_equal(access("/sys/fs/cgroup/pids", W_OK), 0);
	skip();
}

static struct answer start_spec(json_t *spec, bool replace)
{
	return ask("host.instance.start", json_pack("{s:o,s:b}", "spec", spec, "replace", replace));
}

static struct answer start(const char *id, int port, bool replace)
{
	return start_spec(spec_of(id, port), replace);
}

static struct answer stop(const char *id, bool remove)
{
	return ask("host.instance.stop", json_pack("{s:s,s:b,s:b}", "server_id", id, "force", 0, "remove", remove));
}

/* Sends a client's first packet and reads the connection confirm; the socket, or -1. */
static int rdp_open(int port)
{
	static const unsigned char hello[] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0 };
	unsigned char answer[32];
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval tv = { .tv_sec = 5 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0 && send(fd, hello, sizeof hello, MSG_NOSIGNAL) > 0 &&
	    recv(fd, answer, sizeof answer, 0) >= 11 && answer[5] == 0xd0)
		return TAKE_FD(fd);
	return -1;
}

static bool speaks_rdp(int port)
{
	_cleanup_(closep) int fd = rdp_open(port);
	return fd >= 0;
}

static bool answers_now(void *arg)
{
	return speaks_rdp(*(int *)arg);
}

/* The peer has not closed. */
static bool is_open(int fd)
{
	char c;
	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static pid_t pid_in(const json_t *doc, const char *which)
{
	return (pid_t)json_integer_value(json_object_get(json_object_get(doc, "pids"), which));
}

static size_t mounts_of_ours(void)
{
	_cleanup_(xfreep) char *text = file_read("/proc/self/mountinfo", 1 << 20, NULL);
	size_t n = 0;
	for (const char *p = text; p && (p = strstr(p, dir)); p++)
		n++;
	return n;
}

/* --- */

static void test_life(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	int port = free_port();
	unsigned before = started_events, gone = exited_events;
	struct answer a = start(id, port, false);
	must_run(&a);
	assert_string_equal(doc_str(a.out, "isolation", ""), "private");
	assert_int_equal(strlen(doc_str(a.out, "certificate_fingerprint", "")), 64);
	assert_true(speaks_rdp(port));
	assert_int_equal(started_events, before + 1);
	pid_t xrdp = pid_in(a.out, "xrdp"), sesman = pid_in(a.out, "sesman");
	struct instance *i = instance_find(host, id);
	assert_true(ns_inode_of(xrdp) == i->ns_inode && ns_inode_of(sesman) == i->ns_inode);
	assert_true(i->ns_inode != ns_inode_of(getpid()));
	assert_ptr_equal(instance_of_pid(host, sesman), i);
	assert_null(instance_of_pid(host, getpid()));
	struct stat st;
	char proc[64];
	snprintf(proc, sizeof proc, "/proc/%d", xrdp);
	assert_int_equal(stat(proc, &st), 0);
	assert_int_equal(st.st_uid, i->uid);
	snprintf(proc, sizeof proc, "/proc/%d/root/run/xrdp", xrdp);
	struct stat seen;
	_cleanup_(xfreep) char *anchor = xasprintf("/proc/%d/root%s", xrdp, i->run);
	assert_int_equal(stat(proc, &seen) | stat(anchor, &st), 0);
	assert_true(seen.st_ino == st.st_ino && seen.st_dev == st.st_dev);
	assert_int_equal(mounts_of_ours(), 0); /* none is visible on the host */
	done_with(&a);

	/* again: the same one */
	a = start(id, port, false);
	assert_int_equal(pid_in(a.out, "xrdp"), xrdp);
	done_with(&a);

	_cleanup_(xfreep) char *log = xstrdup(i->log), *own = xstrdup(i->dir);
	_cleanup_(doc_unrefp) json_t *groups = cgroup_record(i->cgroup);
	int display = i->display_first;
	a = stop(id, true);
	assert_int_equal(a.err, 0);
	done_with(&a);
	a = ask("host.instance.get", json_pack("{s:s}", "server_id", id));
	assert_int_equal(a.err, ERR_INSTANCE_NOT_FOUND);
	assert_int_equal(proc_start(xrdp), 0);
	assert_int_equal(proc_start(sesman), 0);
	assert_true(port_is_free(port));
	assert_int_equal(access(own, F_OK), -1);
	assert_int_equal(access(log, F_OK), -1);
	assert_true(display >= 1000);
	assert_int_equal(exited_events, gone + 1);
	const char *key;
	json_t *group;
	json_object_foreach (groups, key, group)
		assert_int_equal(access(json_string_value(group), F_OK), -1);
	a = stop(id, true); /* a second time is no error */
	assert_int_equal(a.err, 0);
	done_with(&a);
}

static bool holds(const char *group, const char *file, const char *text)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/%s", group, file), *is = file_read(path, 4096, NULL);
	return is && strncmp(is, text, strlen(text)) == 0;
}

static void test_two_and_limits(void **state)
{
	char id[2][ID_UUID_SIZE];
	int port[2];
	for (int n = 0; n < 2; n++) {
		id_uuid(id[n]);
		port[n] = free_port();
		struct answer a = start(id[n], port[n], false);
		must_run(&a);
		done_with(&a);
	}
	struct instance *i = instance_find(host, id[0]), *j = instance_find(host, id[1]);
	assert_true(i->sesman_port != j->sesman_port);
	assert_true(i->display_first + i->display_count <= j->display_first ||
		    j->display_first + j->display_count <= i->display_first);
	assert_true(i->ns_inode != j->ns_inode);
	struct answer a = ask("host.instance.list", json_object());
	assert_int_equal(json_array_size(json_object_get(a.out, "instances")), 2);
	done_with(&a);
	_cleanup_(doc_unrefp) json_t *g = cgroup_record(i->desktops);
	if (i->enforced.memory)
		assert_true(holds(doc_str(g, "memory", doc_str(g, "unified", "")),
				  doc_str(g, "memory", NULL) ? "memory.limit_in_bytes" : "memory.max", "268435456"));
	if (i->enforced.tasks)
		assert_true(holds(doc_str(g, "pids", doc_str(g, "unified", "")), "pids.max", "64"));
	if (strcmp(cgroups_mode(host->cgroups), "none") != 0)
		assert_true(i->enforced.cpu && i->enforced.memory && i->enforced.tasks);

	/* given to another user while it runs: only the owner changes */
	json_t *given = spec_of(id[0], port[0]);
	doc_set_str(given, "user_id", "bob");
	doc_set_str(given, "restart_policy", "never");
	pid_t was = i->sesman.pid;
	a = start_spec(given, false);
	must_run(&a);
	done_with(&a);
	assert_string_equal(i->user_id, "bob");
	assert_string_equal(doc_str(i->spec, "restart_policy", ""), "on-failure");
	assert_int_equal(i->sesman.pid, was);

	/* another server cannot have the port; a port of another process fails with its reason */
	char third[ID_UUID_SIZE];
	id_uuid(third);
	a = start(third, port[0], false);
	assert_int_equal(a.err, ERR_CONFLICT);
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sa;
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa) | listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	a = start(third, ntohs(sa.sin_port), false);
	assert_int_equal(a.err, 0);
	assert_string_equal(doc_str(a.out, "status", ""), "failed");
	assert_string_equal(doc_str(a.out, "reason", ""), "port_in_use");
	done_with(&a);
	a = ask("host.ports.check", json_pack("{s:[i]}", "ports", (int)ntohs(sa.sin_port)));
	assert_int_equal(json_array_size(json_object_get(a.out, "blocked")), 1);
	done_with(&a);
	fd_close(&fd);
	a = start(third, ntohs(sa.sin_port), false); /* the other process has ended */
	must_run(&a);
	done_with(&a);
	a = stop(third, true);
	done_with(&a);
	for (int n = 0; n < 2; n++) {
		a = stop(id[n], true);
		assert_int_equal(a.err, 0);
		done_with(&a);
	}
}

struct new_pid {
	struct daemon *d;
	pid_t old;
};
static bool is_new(void *arg)
{
	const struct new_pid *p = arg;
	return p->d->pid && p->d->pid != p->old;
}

static bool is_inside(void *arg)
{
	const struct daemon *d = arg;
	return ns_inode_of(d->pid) == d->of->ns_inode;
}

static bool listens(void *arg)
{
	const struct daemon *d = arg;
	return port_is_of(d->of->sesman_port, d->pid);
}

struct chosen {
	int sesman_port, display;
};

/* Whether no other supervisor chooses these. */
static bool is_reserved(const struct chosen *c)
{
	int port = reserve("sesman-port", c->sesman_port), displays = reserve("displays", c->display);
	bool both = port == -EADDRINUSE && displays == -EADDRINUSE;
	fd_close(&port);
	fd_close(&displays);
	return both;
}

static bool is_given_up(void *arg)
{
	return !is_reserved(arg);
}

static void test_deaths(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	int port = free_port();
	struct answer a = start(id, port, false);
	must_run(&a);
	done_with(&a);
	struct instance *i = instance_find(host, id);
	_cleanup_(closep) int client = rdp_open(port);
	assert_true(client >= 0);
	struct new_pid p = { &i->xrdp, i->xrdp.pid };
	kill(i->xrdp.pid, SIGKILL);
	assert_true(wait_for(is_new, &p));
	assert_true(wait_for(answers_now, &port));
	assert_true(is_open(client)); /* existing connections stay open */
	assert_int_equal(i->state, INSTANCE_RUNNING);
	assert_int_equal(json_integer_value(json_object_get(i->last_exit, "signal")), SIGKILL);
	assert_true(ns_inode_of(i->xrdp.pid) == i->ns_inode);

	struct new_pid s = { &i->sesman, i->sesman.pid };
	struct chosen chosen = { i->sesman_port, i->display_first };
	kill(i->sesman.pid, SIGKILL);
	assert_true(is_reserved(&chosen)); /* its port is free until the next sesman listens */
	assert_true(wait_for(is_new, &s));
	assert_true(wait_for(is_inside, &i->sesman)); /* the new pid is known before it has entered the namespace */
	assert_int_equal(i->state, INSTANCE_RUNNING);
	assert_int_equal(i->restarts, 2);

	assert_true(wait_for(listens, &i->sesman)); /* before that, SIGHUP would end it */
	/* replaced: sesman keeps running, the listener is new, existing connections stay open */
	pid_t xrdp = i->xrdp.pid, sesman = i->sesman.pid;
	json_t *spec = spec_of(id, port);
	json_object_set_new(json_object_get(spec, "display"), "color_depth", json_integer(16));
	a = start_spec(spec, true);
	must_run(&a);
	assert_true(pid_in(a.out, "xrdp") != xrdp);
	assert_int_equal(pid_in(a.out, "sesman"), sesman);
	done_with(&a);
	assert_true(is_open(client));
	assert_true(speaks_rdp(port));
	_cleanup_(xfreep) char *path = xasprintf("%s/xrdp.ini", i->etc), *ini = file_read(path, 65536, NULL);
	assert_non_null(strstr(ini, "max_bpp=16\n"));

	/* killed while the files are being written: the new one starts nevertheless, existing connections stay open */
	xrdp = i->xrdp.pid;
	json_t *in = json_pack("{s:o,s:b}", "spec", spec_of(id, port), "replace", 1);
	a = (struct answer){ 0 };
	entry("host.instance.start")(host, in, on_done, &a);
	json_decref(in);
	assert_true(i->replacing && i->job);
	s.old = i->sesman.pid;
	kill(i->sesman.pid, SIGKILL);
	kill(i->xrdp.pid, SIGKILL);
	ino_t ns = i->ns_inode;
	assert_true(wait_for(has_come, &a));
	must_run(&a);
	assert_true(pid_in(a.out, "xrdp") != xrdp);
	done_with(&a);
	assert_true(wait_for(is_new, &s)); /* it may take longer to die than the new xrdp to start */
	assert_true(i->ns_inode == ns);
	assert_true(wait_for(answers_now, &port));
	a = stop(id, true);
	assert_int_equal(a.err, 0);
	done_with(&a);
	assert_false(is_open(client));
	assert_true(wait_for(is_given_up, &chosen)); /* a job that removes files may have a copy of the descriptors */
}

static bool has_failed(void *arg)
{
	const struct instance *i = arg;
	return i->state == INSTANCE_FAILED && !i->xrdp.pid;
}

/* With this policy sesman is not restarted: the server fails, its listener ends, and a start recovers it. */
static void test_restart_policy(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	int port = free_port();
	json_t *spec = spec_of(id, port);
	json_object_set_new(spec, "restart_policy", json_string("never"));
	struct answer a = start_spec(spec, false);
	must_run(&a);
	done_with(&a);
	struct instance *i = instance_find(host, id);
	assert_true(port_is_of(i->sesman_port, i->sesman.pid));
	assert_false(port_is_of(i->sesman_port, getpid()));
	ino_t ns = i->ns_inode;
	kill(i->sesman.pid, SIGKILL);
	assert_true(wait_for(has_failed, i));
	assert_string_equal(i->reason, "sesman_exited");
	a = start(id, port, false);
	must_run(&a);
	assert_true(pid_in(a.out, "sesman") > 0);
	done_with(&a);
	assert_true(i->ns_inode == ns); /* existing desktops are still in it */
	assert_true(speaks_rdp(port));
	a = stop(id, true);
	assert_int_equal(a.err, 0);
	done_with(&a);
}

/* --- programs that do not run */

static const char broken[] = "#!/bin/sh\necho broken as ordered\nexit 3\n";

static void put_program(const char *path, const char *real)
{
	unlink(path);
	if (real)
		assert_int_equal(symlink(real, path), 0);
	else
		assert_int_equal(fs_write(path, broken, 0755, 0), 0);
}

/* Back-off would take a minute: this makes each restart immediate. */
static bool has_given_up(void *arg)
{
	struct daemon *d = arg;
	child_start_now(d->child);
	return d->of->state == INSTANCE_FAILED;
}

static void assert_obituary(const json_t *o, const char *process)
{
	assert_string_equal(doc_str(o, "process", ""), process);
	assert_int_equal(doc_int(o, "code", -1), 3);
	bool said = false;
	const json_t *line;
	size_t n;
	json_array_foreach (json_object_get(o, "lines"), n, line)
		said |= str_eq(json_string_value(line), "broken as ordered");
	assert_true(said);
}

static void give_up_on(const char *which, const char *program, const char *real)
{
	char id[ID_UUID_SIZE];
	bool is_xrdp = str_eq(which, "xrdp");
	const char *reason = is_xrdp ? "xrdp_exited" : "sesman_exited";
	id_uuid(id);
	int port = free_port();
	/* at the first start: it fails at once, and nothing of it runs on */
	put_program(program, NULL);
	struct answer a = start(id, port, false);
	assert_int_equal(a.err, 0);
	assert_string_equal(doc_str(a.out, "status", ""), "failed");
	assert_string_equal(doc_str(a.out, "reason", ""), reason);
	assert_obituary(json_object_get(a.out, "last_exit"), which);
	done_with(&a);
	/* repaired, it starts; broken again while it runs, it is tried five more times */
	put_program(program, real);
	a = start(id, port, false);
	must_run(&a);
	done_with(&a);
	struct instance *i = instance_find(host, id);
	struct daemon *d = is_xrdp ? &i->xrdp : &i->sesman;
	unsigned before = i->restarts;
	/* a restart uses the instance's own copy */
	_cleanup_(xfreep) char *copy = xasprintf("%s/%s", i->bin, is_xrdp ? PROGRAM_XRDP : PROGRAM_SESMAN);
	unlink(copy);
	put_program(copy, NULL);
	kill(d->pid, SIGKILL);
	assert_true(wait_for(has_given_up, d));
	assert_string_equal(i->reason, reason);
	assert_int_equal(i->restarts - before, 5);
	assert_obituary(i->last_exit, which);
	struct answer got = ask("host.instance.get", json_pack("{s:s}", "server_id", id));
	assert_string_equal(doc_str(got.out, "reason", ""), reason);
	done_with(&got);
	/* and a start, once the program is repaired, makes it run again */
	put_program(program, real);
	a = start(id, port, false);
	must_run(&a);
	assert_int_equal(child_failures(d->child), 0);
	done_with(&a);
	assert_true(speaks_rdp(port));
	a = stop(id, true);
	assert_int_equal(a.err, 0);
	done_with(&a);
}

static void test_given_up(void **state)
{
	_cleanup_(xfreep) char *x = xasprintf("%s/xrdp", dir), *s = xasprintf("%s/xrdp-sesman", dir);
	_cleanup_(xfreep) char *real_x = xstrdup(host->set.xrdp), *real_s = xstrdup(host->set.sesman);
	host_free(host);
	xrdp_program = x;
	sesman_program = s;
	put_program(x, real_x);
	put_program(s, real_s);
	host = open_host("data");
	give_up_on("xrdp-sesman", s, real_s);
	put_program(s, real_s);
	give_up_on("xrdp", x, real_x);
}

static size_t outdated(const char *id)
{
	struct answer got = ask("host.instance.get", json_pack("{s:s}", "server_id", id));
	size_t n = json_array_size(json_object_get(got.out, "outdated"));
	done_with(&got);
	return n;
}

/* As in an upgrade of the package: other files replace the programs. Running processes continue, and are reported as older. */
static void test_programs_replaced(void **state)
{
	char id[ID_UUID_SIZE];
	_cleanup_(xfreep) char *x = xasprintf("%s/xrdp-upgraded", dir), *s = xasprintf("%s/sesman-upgraded", dir);
	_cleanup_(xfreep) char *real_x = xstrdup(host->set.xrdp), *real_s = xstrdup(host->set.sesman);
	host_free(host);
	xrdp_program = x;
	sesman_program = s;
	assert_int_equal(fs_copy(real_x, x, 0755, 0) | fs_copy(real_s, s, 0755, 0), 0);
	host = open_host("data");
	id_uuid(id);
	int port = free_port();
	struct answer a = start(id, port, false);
	must_run(&a);
	pid_t xrdp = pid_in(a.out, "xrdp"), sesman = pid_in(a.out, "sesman");
	done_with(&a);
	assert_int_equal(outdated(id), 0);
	assert_int_equal(fs_copy(real_x, x, 0755, 0) | fs_copy(real_s, s, 0755, 0), 0);
	assert_int_equal(outdated(id), 2);
	assert_true(proc_start(xrdp) && proc_start(sesman));
	/* a restart uses the new listener; sesman keeps running, because it has desktops */
	a = start(id, port, true);
	must_run(&a);
	assert_int_equal(pid_in(a.out, "sesman"), sesman);
	assert_true(pid_in(a.out, "xrdp") != xrdp);
	done_with(&a);
	assert_int_equal(outdated(id), 1);
	a = stop(id, true);
	done_with(&a);
}

static int own_programs_again(void **state)
{
	host_free(host);
	xrdp_program = sesman_program = NULL;
	host = open_host("data");
	return 0;
}

static void test_adoption(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	int port = free_port();
	struct answer a = start(id, port, false);
	must_run(&a);
	pid_t xrdp = pid_in(a.out, "xrdp"), sesman = pid_in(a.out, "sesman");
	done_with(&a);
	ino_t ns = instance_find(host, id)->ns_inode;
	int display = instance_find(host, id)->display_first;

	host_free(host);
	host = open_host("data");
	a = ask("host.instance.get", json_pack("{s:s}", "server_id", id));
	must_run(&a);
	assert_int_equal(pid_in(a.out, "xrdp"), xrdp);
	assert_int_equal(pid_in(a.out, "sesman"), sesman);
	done_with(&a);
	struct instance *i = instance_find(host, id);
	assert_true(i->ns_inode == ns && i->ns_fd >= 0 && i->display_first == display);
	assert_true(is_reserved(&(struct chosen){ i->sesman_port, display }));
	a = start(id, port, false);
	assert_int_equal(pid_in(a.out, "xrdp"), xrdp);
	done_with(&a);

	/* an adopted instance is still restarted when it dies */
	struct new_pid p = { &i->xrdp, xrdp };
	kill(xrdp, SIGKILL);
	assert_true(wait_for(is_new, &p));
	assert_true(wait_for(answers_now, &port));

	/* the listener dies while no supervisor runs */
	xrdp = i->xrdp.pid;
	host_free(host);
	kill(xrdp, SIGKILL);
	while (proc_start(xrdp))
		usleep(1000);
	host = open_host("data");
	i = instance_find(host, id);
	assert_non_null(i);
	assert_int_equal(i->sesman.pid, sesman);
	assert_true(wait_for(answers_now, &port));

	/* a record of an earlier boot is not adopted */
	_cleanup_(xfreep) char *path = xasprintf("%s/instance.json", i->dir), *text = file_read(path, 65536, NULL);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	a = stop(id, false);
	assert_int_equal(a.err, 0);
	done_with(&a);
	_cleanup_(doc_unrefp) json_t *record = doc_parse(text, strlen(text), NULL, 0);
	doc_set_str(record, "boot_id", "00000000-0000-4000-8000-000000000000");
	_cleanup_(xfreep) char *stale = doc_text(record), *own = xstrdup(path);
	*strrchr(own, '/') = '\0';
	assert_int_equal(fs_mkdirs(own, 0755) | fs_write(path, stale, 0600, 0), 0);
	host_free(host);
	host = open_host("data");
	assert_null(instance_find(host, id));
	a = stop(id, true);
	assert_int_equal(a.err, 0);
	done_with(&a);
	assert_int_equal(access(own, F_OK), -1);
}

static bool is_bound(void *arg)
{
	const struct instance *i = arg;
	char path[64];
	struct stat own, seen;
	snprintf(path, sizeof path, "/proc/%d/root/run/xrdp", i->xrdp.pid);
	_cleanup_(xfreep) char *anchor = xasprintf("/proc/%d/root%s", i->xrdp.pid, i->run);
	return stat(path, &seen) == 0 && stat(anchor, &own) == 0 && seen.st_ino == own.st_ino &&
	       seen.st_dev == own.st_dev;
}

/* A /run in a mount namespace of its own: the directory of the host's own service and of other tests must not be removed. */
struct own_run {
	int ns, cwd;
};
static struct own_run own_run_enter(void)
{
	struct own_run r = { open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC), open(".", O_PATH | O_CLOEXEC) };
	assert_true(r.ns >= 0 && r.cwd >= 0);
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("run", "/run", "tmpfs", 0, NULL), 0);
	return r;
}
static void own_run_leave(struct own_run r)
{
	assert_int_equal(setns(r.ns, CLONE_NEWNS), 0);
	assert_int_equal(fchdir(r.cwd), 0);
	close(r.ns);
	close(r.cwd);
}

/* The effect of `systemctl stop xrdp`: the bind mount is removed with its directory. */
static void test_heal(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	struct own_run run = own_run_enter();
	struct answer a = start(id, free_port(), false);
	must_run(&a);
	done_with(&a);
	struct instance *i = instance_find(host, id);
	assert_true(is_bound(i));
	rmdir("/run/xrdp/sockdir");
	assert_int_equal(rmdir("/run/xrdp"), 0);
	assert_false(is_bound(i));
	assert_true(wait_for(is_bound, i));
	a = stop(id, true);
	assert_int_equal(a.err, 0);
	done_with(&a);
	own_run_leave(run);
}

/* Desktops as src/host/observe would report them. */
static size_t fake_live;
static size_t live(struct instance *i)
{
	return fake_live;
}
static json_t *list(struct instance *i)
{
	return json_pack("[{s:i,s:s}]", "display", i->display_first, "server_id", i->id);
}
static struct {
	void (*done)(void *arg, json_t *consume_ended);
	void *arg;
	struct instance *i;
	struct loop_timer *timer;
} ending;
static void on_ended(void *arg)
{
	fake_live = 0;
	ending.done(ending.arg, list(ending.i));
}
static void end_all(struct instance *i, void (*done)(void *arg, json_t *consume_ended), void *arg)
{
	ending.done = done;
	ending.arg = arg;
	ending.i = i;
	loop_timer_set(ending.timer, 20);
}

static void test_live_desktops(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	struct instance_hooks kept = host->hooks;
	host->hooks =
	    (struct instance_hooks){ .desktops_live = live, .desktops_list = list, .desktops_end_all = end_all };
	ending.timer = loop_timer_new(loop, on_ended, NULL);
	struct answer a = start(id, free_port(), false);
	must_run(&a);
	done_with(&a);
	fake_live = 1;
	a = stop(id, false);
	assert_int_equal(a.err, ERR_CONFLICT);
	assert_string_equal(doc_str(json_array_get(a.out, 0), "server_id", ""), id);
	done_with(&a);
	assert_int_equal(instance_find(host, id)->state, INSTANCE_RUNNING);
	a = ask("host.instance.stop", json_pack("{s:s,s:b,s:b}", "server_id", id, "force", 1, "remove", 1));
	assert_int_equal(a.err, 0);
	assert_int_equal(json_array_size(json_object_get(a.out, "ended")), 1);
	done_with(&a);
	loop_timer_free(ending.timer);
	host->hooks = kept;
}

static bool is_cut(void *arg)
{
	struct stat st;
	return stat(arg, &st) == 0 && st.st_size == 0;
}

/* However much a desktop writes to the log, the size of the kept part is bounded. */
static void test_log_flooded(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	struct answer a = start(id, free_port(), false);
	must_run(&a);
	done_with(&a);
	struct instance *i = instance_find(host, id);
	_cleanup_(xfreep) char *path = xasprintf("%s/xrdp-sesman.out", i->log), *kept = xasprintf("%s.1", path);
	assert_int_equal(truncate(path, (off_t)40 << 30), 0); /* sparse */
	assert_true(wait_for(is_cut, path));
	struct stat st;
	assert_int_equal(stat(kept, &st), 0);
	assert_true(st.st_size > 0 && st.st_size <= 10 * 1024 * 1024);
	a = stop(id, true);
	assert_int_equal(a.err, 0);
	done_with(&a);
}

/* Files that any account can create where X servers have their locks: none is followed or waited for, and none stops the sweep. */
static void test_foreign_locks(void **state)
{
	char id[ID_UUID_SIZE], path[2][64];
	id_uuid(id);
	struct answer a = start(id, free_port(), false);
	must_run(&a);
	done_with(&a);
	struct instance *i = instance_find(host, id);
	for (int n = 0; n < 2; n++)
		snprintf(path[n], sizeof path[n], "/tmp/.X%d-lock", i->display_first + n);
	_cleanup_(xfreep) char *aim = xasprintf("%s/aim", dir), *live = xasprintf("%d\n", getpid());
	assert_int_equal(fs_write(aim, live, 0644, 0), 0);
	assert_int_equal(mkfifo(path[0], 0666) | symlink(aim, path[1]), 0);
	a = stop(id, true);
	assert_int_equal(a.err, 0);
	done_with(&a);
	struct stat st;
	/* other accounts' files in /tmp do not reserve displays, and are not removed */
	assert_int_equal(lstat(path[0], &st) | lstat(path[1], &st), 0);
	unlink(path[0]);
	unlink(path[1]);
	assert_int_equal(access(aim, F_OK), 0);
}

/* Until its daemons have been forked. */
static struct instance *half_started(const char *id)
{
	struct instance *i = instance_find(host, id);
	while (!i->xrdp.pid) {
		struct loop_timer *t = loop_timer_new(loop, on_time, NULL);
		loop_timer_set(t, 1);
		loop_run(loop);
		loop_timer_free(t);
	}
	return i;
}

/* An interrupted start and an interrupted stop are cleaned up by the next supervisor. */
static void test_interrupted_start_and_stop(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	int port = free_port();
	json_t *in = json_pack("{s:o,s:b}", "spec", spec_of(id, port), "replace", 0);
	struct answer a = { 0 };
	entry("host.instance.start")(host, in, on_done, &a);
	struct instance *i = half_started(id);
	json_decref(in);
	pid_t xrdp = i->xrdp.pid, sesman = i->sesman.pid;
	host_free(host);
	host = open_host("data");
	struct answer got = ask("host.instance.list", json_object());
	done_with(&got);
	got = stop(id, true);
	assert_int_equal(got.err, 0);
	done_with(&got);
	assert_int_equal(proc_start(xrdp), 0);
	assert_int_equal(proc_start(sesman), 0);
	assert_true(port_is_free(port));
}

/* A start during a stop, or during the clean-up of an interrupted start, begins once when that is over; a stop that follows it cancels
 * it. */
static void test_start_while_stopping(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	int port = free_port();
	json_t *in = json_pack("{s:o,s:b}", "spec", spec_of(id, port), "replace", 0);
	struct answer half = { 0 }, stopped = { 0 }, a = { 0 }, b = { 0 };
	/* interrupted: found by the next supervisor, which is called at once */
	entry("host.instance.start")(host, in, on_done, &half);
	half_started(id);
	host_free(host);
	host = open_host("data");
	assert_int_equal(instance_find(host, id)->state, INSTANCE_STOPPING);
	started_events = 0;
	entry("host.instance.start")(host, in, on_done, &a);
	entry("host.instance.start")(host, in, on_done, &b);
	assert_true(wait_for(has_come, &a) && wait_for(has_come, &b));
	must_run(&a);
	must_run(&b);
	assert_int_equal(pid_in(a.out, "xrdp"), pid_in(b.out, "xrdp"));
	assert_int_equal(started_events, 1);
	assert_true(speaks_rdp(port));
	done_with(&a);
	done_with(&b);
	/* a stop, and a start right after it */
	json_t *out = json_pack("{s:s,s:b,s:b}", "server_id", id, "force", 0, "remove", 1);
	a = b = (struct answer){ 0 };
	entry("host.instance.stop")(host, out, on_done, &stopped);
	entry("host.instance.start")(host, in, on_done, &a);
	assert_true(wait_for(has_come, &stopped) && wait_for(has_come, &a));
	assert_int_equal(stopped.err, 0);
	must_run(&a);
	assert_true(speaks_rdp(port));
	done_with(&a);
	done_with(&stopped);
	/* the same with the port of another server */
	char next[ID_UUID_SIZE];
	id_uuid(next);
	a = stopped = (struct answer){ 0 };
	json_t *other = json_pack("{s:o,s:b}", "spec", spec_of(next, port), "replace", 0);
	entry("host.instance.stop")(host, out, on_done, &stopped);
	entry("host.instance.start")(host, other, on_done, &a);
	json_decref(other);
	assert_true(wait_for(has_come, &stopped) && wait_for(has_come, &a));
	must_run(&a);
	assert_string_equal(doc_str(a.out, "server_id", ""), next);
	done_with(&a);
	done_with(&stopped);
	a = stop(next, true);
	done_with(&a);
	a = start(id, port, false);
	must_run(&a);
	done_with(&a);
	/* and another stop after both */
	a = stopped = (struct answer){ 0 };
	entry("host.instance.stop")(host, out, on_done, &stopped);
	entry("host.instance.start")(host, in, on_done, &a);
	entry("host.instance.stop")(host, out, on_done, &b);
	assert_true(wait_for(has_come, &stopped) && wait_for(has_come, &a) && wait_for(has_come, &b));
	assert_int_equal(a.err, ERR_CONFLICT);
	assert_int_equal(stopped.err, 0);
	assert_int_equal(b.err, 0);
	done_with(&stopped);
	done_with(&b);
	json_decref(in);
	json_decref(out);
	stopped = ask("host.instance.list", json_object());
	assert_int_equal(json_array_size(json_object_get(stopped.out, "instances")), 0);
	done_with(&stopped);
	assert_true(port_is_free(port));
}

/* The child that writes an instance's files dies with its parent, because a start of the next supervisor writes the same ones. */
static bool is_dead(void *pid)
{
	return proc_start(*(pid_t *)pid) == 0;
}

static void test_tied_child(void **state)
{
	pid_t child = 0;
	int way[2];
	assert_int_equal(pipe(way), 0);
	pid_t parent = fork();
	if (parent == 0) {
		pid_t self = getpid();
		child = fork();
		if (child == 0) {
			child_tie(self);
			child = getpid();
			if (write(way[1], &child, sizeof child) > 0)
				pause();
			_exit(0);
		}
		pause();
		_exit(0);
	}
	assert_int_equal(read(way[0], &child, sizeof child), sizeof child);
	assert_false(is_dead(&child));
	kill(parent, SIGKILL);
	assert_true(wait_for(is_dead, &child));
	waitpid(parent, NULL, 0);
	close(way[0]);
	close(way[1]);
}

/* The supervisor dies after the group was created and before the record says so: nothing of it is left. */
static void test_group_before_record(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	json_t *in = json_pack("{s:o,s:b}", "spec", spec_of(id, free_port()), "replace", 0);
	struct answer a = { 0 };
	entry("host.instance.start")(host, in, on_done, &a);
	json_decref(in);
	struct instance *i = instance_find(host, id);
	if (!i->cgroup)
		no_group();
	struct cgroup *group = cgroup_make(host->cgroups, id);
	_cleanup_(doc_unrefp) json_t *record = cgroup_record(group);
	cgroup_free(group);
	_cleanup_(xfreep) char *path = xasprintf("%s/instance.json", i->dir), *text = file_read(path, 65536, NULL);
	_cleanup_(doc_unrefp) json_t *early = doc_parse(text, strlen(text), NULL, 0);
	assert_string_equal(doc_str(early, "state", ""), "starting");
	host_free(host);
	host = open_host("data");
	struct answer got = stop(id, true);
	assert_int_equal(got.err, 0);
	done_with(&got);
	const char *key;
	json_t *dir_of;
	assert_true(json_object_size(record) > 0);
	json_object_foreach (record, key, dir_of)
		assert_int_equal(access(json_string_value(dir_of), F_OK), -1);
}

static bool group_goes(void *arg)
{
	return cgroup_remove(((struct instance *)arg)->cgroup);
}

/* The empty group was removed while the daemons were dead: what is restarted is in a group again, with limits. */
static void test_group_lost(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	json_t *spec = spec_of(id, free_port());
	json_object_set_new(spec, "restart_policy", json_string("never"));
	struct answer a = start_spec(spec, false);
	must_run(&a);
	done_with(&a);
	struct instance *i = instance_find(host, id);
	if (!i->cgroup)
		no_group();
	kill(i->sesman.pid, SIGKILL);
	assert_true(wait_for(has_failed, i));
	assert_true(wait_for(group_goes, i)); /* the listener is ended because sesman is, which takes a moment */
	a = start(id, i->port, false);
	must_run(&a);
	done_with(&a);
	char path[4096];
	assert_true(cgroup_path_of(host->cgroups, i->xrdp.pid, path, sizeof path));
	assert_string_equal(path, cgroup_path(i->connections));
	assert_true(cgroup_path_of(host->cgroups, i->sesman.pid, path, sizeof path));
	assert_string_equal(path, cgroup_path(i->daemons));
	assert_true(i->enforced.tasks);
	a = stop(id, true);
	assert_int_equal(a.err, 0);
	done_with(&a);
}

static bool is_true(void *arg)
{
	return *(bool *)arg;
}
static void on_stopped(void *arg)
{
	*(bool *)arg = true;
}

static void test_stop_all(void **state)
{
	char id[2][ID_UUID_SIZE];
	bool stopped = false;
	host_stop_all(host, on_stopped, &stopped); /* nothing runs: still called later, and once */
	assert_false(stopped);
	assert_true(wait_for(is_true, &stopped));
	for (int n = 0; n < 2; n++) {
		id_uuid(id[n]);
		struct answer a = start(id[n], free_port(), false);
		must_run(&a);
		done_with(&a);
	}
	stopped = false;
	host_stop_all(host, on_stopped, &stopped);
	assert_true(wait_for(is_true, &stopped));
	assert_null(instance_find(host, id[0]));
	assert_null(instance_find(host, id[1]));
}

/* The files of a server that never ran, and the information about the host. */
static void test_config_and_info(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	struct answer a = ask("host.instance.config", json_pack("{s:o}", "spec", spec_of(id, 13999)));
	assert_int_equal(a.err, 0);
	assert_non_null(strstr(doc_str(a.out, "xrdp_ini", ""), "\nport=13999\n"));
	assert_non_null(strstr(doc_str(a.out, "sesman_ini", ""), "\nMaxSessions=5\n"));
	done_with(&a);
	assert_null(instance_find(host, id));
	a = ask("host.info", json_object());
	assert_string_equal(doc_str(a.out, "isolation", ""), "private");
	assert_true(doc_bool(a.out, "xrdp_installed", false));
	assert_true(doc_int(a.out, "cores", 0) > 0 && doc_int(a.out, "memory_mb", 0) > 0);
	done_with(&a);
}

static void test_refusals(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	int port = free_port();
	json_t *spec = spec_of(id, port);
	json_object_set_new(json_object_get(spec, "limits"), "cpu_percent", json_integer(102400));
	json_object_set_new(json_object_get(spec, "desktop"), "profile", json_string("nobody-has-this"));
	struct answer a = start_spec(spec, false);
	assert_int_equal(a.err, ERR_INVALID);
	assert_int_equal(json_array_size(a.out), 2);
	done_with(&a);
	assert_null(instance_find(host, id));

	/* values that the shapes would not let through */
	static const char evil[] = "x\n[Globals]\nport=1\n; $(touch /tmp/lrdp-evil)";
	spec = spec_of(id, port);
	json_object_set_new(spec, "name", json_string(evil));
	json_object_set_new(json_object_get(spec, "security"), "layer", json_string(evil));
	json_object_set_new(json_object_get(spec, "security"), "allowed_users", json_pack("[s,s]", evil, "alice"));
	a = start_spec(spec, false);
	must_run(&a);
	done_with(&a);
	struct instance *i = instance_find(host, id);
	_cleanup_(xfreep) char *names = xasprintf("%s/allowed_users", i->etc), *text = file_read(names, 4096, NULL);
	assert_string_equal(text, "alice\n");
	a = stop(id, true);
	done_with(&a);

	/* a data directory that cannot be written */
	host_free(host);
	_cleanup_(xfreep) char *file = xasprintf("%s/full", dir);
	assert_int_equal(fs_write(file, "", 0600, 0), 0);
	host = open_host("full/data");
	a = start(id, port, false);
	assert_int_equal(a.err, 0);
	assert_string_equal(doc_str(a.out, "reason", ""), "files_unwritable");
	assert_non_null(json_object_get(a.out, "last_exit"));
	done_with(&a);
	a = stop(id, false);
	done_with(&a);
	host_free(host);
	host = open_host("data");
}

/* The same with only a v2 tree, and without any groups. */
static void test_groups_are(void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	bool v2 = str_eq(cgroups_mode(host->cgroups), "v2");
	struct answer a = start(id, free_port(), false);
	must_run(&a);
	const json_t *e = json_object_get(a.out, "limits_enforced");
	if (!v2 || access("/sys/fs/cgroup/lucid-rdp/pids.max", F_OK) < 0)
		assert_false(doc_bool(e, "tasks", true));
	if (!v2)
		assert_false(doc_bool(e, "cpu_percent", true) || doc_bool(e, "memory_mb", true));
	done_with(&a);
	assert_int_equal(instance_find(host, id)->cgroup != NULL, v2);
	/* processes that left session and parents are ended too */
	pid_t escaper = fork();
	if (escaper == 0) {
		ns_enter(instance_find(host, id)->ns_fd);
		setsid();
		for (;;)
			pause();
	}
	while (ns_inode_of(escaper) != instance_find(host, id)->ns_inode)
		usleep(1000);
	a = stop(id, true);
	assert_int_equal(a.err, 0);
	done_with(&a);
	assert_int_equal(proc_start(escaper), 0);
}

static int run_other(const char *kind)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups_are), cmocka_unit_test(test_life),      cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_adoption),   cmocka_unit_test(test_interrupted_start_and_stop), cmocka_unit_test(test_stop_all),
	};
	return host_rig_group(kind, tests, ARRAY_LEN(tests));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_two_and_limits),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test_teardown(test_given_up, own_programs_again),
		cmocka_unit_test_teardown(test_programs_replaced, own_programs_again),
		cmocka_unit_test(test_adoption),
		cmocka_unit_test(test_heal),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_restart_policy),
		cmocka_unit_test(test_stop_all),
		cmocka_unit_test(test_config_and_info),
		cmocka_unit_test(test_live_desktops),
		cmocka_unit_test(test_log_flooded),
		cmocka_unit_test(test_foreign_locks),
		cmocka_unit_test(test_interrupted_start_and_stop),
		cmocka_unit_test(test_start_while_stopping),
		cmocka_unit_test(test_tied_child),
		cmocka_unit_test(test_group_before_record),
		cmocka_unit_test(test_group_lost),
	};
	if (!host_rig_dir())
		return 1;
	int other = cgroup_rig_run("v2", run_other) | cgroup_rig_run("none", run_other);
	int r = host_rig_group("host", tests, ARRAY_LEN(tests));
	fs_remove_tree(dir);
	return r | other;
}
