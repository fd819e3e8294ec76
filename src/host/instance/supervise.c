#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/instance/cert_watch.h"
#include "host/instance/instance.h"
#include "host/kernel/mounts.h"
#include "host/kernel/ns.h"
#include "host/instance/prepare.h"
#include "host/instance/recover.h"
#include "host/instance/run.h"
#include "host/observe/observe.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"

#define HEAL_MS 5000
#define HEAL_EVERY_TICKS 5
#define ROTATE_EVERY_TICKS 5
#define GROUPS_EVERY_TICKS 3600
#define GROUPS_FIRST_TICK 120 /* after which the groups that a dead supervisor left are old enough */
#define LOG_MAX_BYTES (10 * 1024 * 1024)

/* --- mounts that were detached */

struct heal_in {
	const struct instance *i;
};

static int heal_run(void *arg, UNUSED int out)
{
	const struct instance *i = ((struct heal_in *)arg)->i;
	struct ns_plan plan;
	prepare_ns_plan(i, &plan);
	/* a job does not inherit the descriptor of the namespace, so it is opened through a daemon */
	pid_t pid = i->xrdp.pid ? i->xrdp.pid : i->sesman.pid;
	_cleanup_(closep) int fd = pid ? ns_open(pid) : -1;
	if (fd < 0 || ns_inode(fd) != i->ns_inode || ns_enter(fd) < 0)
		return 2;
	/* DATA_DIR has the same paths in the namespace: only /etc/xrdp, /run/xrdp and one file differ */
	int r = ns_heal(&plan);
	return r < 0 ? 2 : r;
}

static void on_healed(void *arg, int code, UNUSED const char *text, UNUSED size_t len)
{
	struct instance *i = arg;
	i->heal = NULL;
	if (code == 1)
		log_info("host", "server %s: its /run/xrdp was detached and has been restored", i->id);
	else if (code != 0)
		log_warn("host", "server %s: its /run/xrdp is detached and could not be restored", i->id);
}

static void binds_check(struct instance *i)
{
	char path[64];
	struct stat own, seen;
	pid_t pid = i->xrdp.pid ? i->xrdp.pid : i->sesman.pid;
	if (i->shared || i->heal || !pid || i->ns_fd < 0)
		return;
	snprintf(path, sizeof path, "/proc/%d/root/run/xrdp", pid);
	/* the anchor in the daemon's namespace: its tmpfs is mounted there only */
	_cleanup_(xfreep) char *anchor = xasprintf("/proc/%d/root%s", pid, i->run);
	if (stat(anchor, &own) < 0 ||
	    (stat(path, &seen) == 0 && own.st_ino == seen.st_ino && own.st_dev == seen.st_dev))
		return;
	struct heal_in in = { i };
	i->heal = job_start(i->host->children, heal_run, &in, HEAL_MS, on_healed, i);
}

static void on_run_changed(UNUSED int events, void *arg)
{
	struct host *h = arg;
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool ours = false;
	ssize_t n;
	while ((n = read(h->run_inotify, buf, sizeof buf)) > 0)
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const void *)p;
			ours |= e->len && str_eq(e->name, "xrdp");
			p += sizeof *e + e->len;
		}
	struct instance *i;
	if (ours)
		INSTANCE_FOREACH(i, h)
	binds_check(i);
}

void supervise_start(struct host *h)
{
	h->run_inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (h->run_inotify >= 0 &&
	    inotify_add_watch(h->run_inotify, "/run", IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR) >= 0)
		h->run_io = loop_io_new(h->loop, h->run_inotify, LOOP_READ, on_run_changed, h);
	h->tick = loop_timer_new(h->loop, supervise_tick, h);
	loop_timer_set(h->tick, 1000);
}

void supervise_stop(struct host *h)
{
	loop_io_free(h->run_io);
	fd_close(&h->run_inotify);
	loop_timer_free(h->tick);
}

/* --- once a second */

/* Keeps three files of 10 MB. The daemons open their logs for appending, so the file can be truncated while they use it; a line written
 * between copy and truncation is lost. */
static int rotate_run(void *arg, UNUSED int out)
{
	const char *path = arg;
	_cleanup_(xfreep) char *one = xasprintf("%s.1", path), *two = xasprintf("%s.2", path);
	rename(one, two);
	_cleanup_(closep) int from = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(closep) int to = open(one, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	char buf[65536];
	ssize_t n;
	/* desktops write to it without a bound; its end is kept */
	off_t size = from >= 0 ? lseek(from, 0, SEEK_END) : 0, left = LOG_MAX_BYTES;
	if (from >= 0)
		lseek(from, MAX(size - left, 0), SEEK_SET);
	while (from >= 0 && to >= 0 && left > 0 && (n = read(from, buf, sizeof buf)) > 0)
		if ((left -= n) < 0 || write(to, buf, (size_t)n) != n)
			break;
	return from >= 0 ? ftruncate(from, 0) != 0 : 1;
}

static void on_rotated(UNUSED void *arg, int code, UNUSED const char *text, UNUSED size_t len)
{
	if (code != 0)
		log_warn("host", "a log of a server could not be rotated");
}

static void logs_rotate(struct instance *i)
{
	static const char *const files[] = { "xrdp.log", "sesman.log", "xrdp.out", "xrdp-sesman.out" };
	for (size_t n = 0; n < ARRAY_LEN(files); n++) {
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", i->log, files[n]);
		struct stat st;
		if (stat(path, &st) == 0 && st.st_size > LOG_MAX_BYTES)
			job_start(i->host->children, rotate_run, path, HEAL_MS, on_rotated, NULL);
	}
}

void supervise_tick(void *host)
{
	struct host *h = host;
	struct instance *i;
	hook_look(h);
	if (++h->ticks % GROUPS_EVERY_TICKS == GROUPS_FIRST_TICK)
		record_sweep_groups(h);
	cert_watch_tick(h->cert_watch);
	recover_tick(h->recover);
	mounts_tick(h->mounts);
	INSTANCE_FOREACH(i, h)
	{
		if (i->unrecorded && i->state != INSTANCE_GONE)
			record_write(i);
		if (i->state == INSTANCE_RUNNING && h->ticks % HEAL_EVERY_TICKS == 0)
			binds_check(i);
		if (h->ticks % ROTATE_EVERY_TICKS == 0)
			logs_rotate(i);
		/* a failed start killed its processes; this kills those that were forked meanwhile */
		if (i->state == INSTANCE_FAILED && i->ns_fd < 0 && cgroup_populated(i->cgroup))
			stop_kill(i);
	}
	loop_timer_set(h->tick, 1000);
}
