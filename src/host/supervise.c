#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/launch.h"
#include "host/ports.h"
#include "host/run.h"
#include "host/watch.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

#define HEALTHY_MS 10000 /* a life this long makes earlier deaths forgotten */
#define BACK_OFF_MS 2000
#define BACK_OFF_MAX_MS 60000
#define FAILURES_MAX 5
#define LAST_LINES 10
#define HEAL_MS 5000
#define HEAL_EVERY_TICKS 5
#define ROTATE_EVERY_TICKS 5
#define GROUPS_EVERY_TICKS 3600
#define GROUPS_FIRST_TICK 120 /* those a dead supervisor left just now are old enough by then */
#define LOG_MAX_BYTES (10 * 1024 * 1024)

/* --- obituaries */

/* The end of a file as lines; what is not UTF-8 is left out. */
static void last_lines(json_t *list, const char *path)
{
	char buf[4096];
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	off_t from = MAX(st.st_size - (off_t)sizeof buf + 1, 0);
	ssize_t n = pread(fd, buf, sizeof buf - 1, from);
	if (n <= 0)
		return;
	buf[n] = '\0';
	char *line[LAST_LINES], *save = NULL;
	size_t count = 0;
	for (char *l = strtok_r(buf, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		line[count++ % LAST_LINES] = l;
	for (size_t k = count > LAST_LINES ? count - LAST_LINES : 0; k < count; k++) {
		json_t *text = json_string(line[k % LAST_LINES]);
		if (text)
			json_array_append_new(list, text);
	}
}

void supervise_obituary(struct instance *i, const char *process, pid_t pid, bool known, int status)
{
	char now[CLOCK_ISO_SIZE];
	json_t *d = json_object(), *lines = json_array();
	doc_set_str(d, "process", process);
	doc_set_int(d, "pid", pid);
	doc_set_str(d, "at", clock_iso(now, clock_wall_ms()));
	doc_set(d, "code", known && WIFEXITED(status) ? json_integer(WEXITSTATUS(status)) : NULL);
	doc_set(d, "signal", known && WIFSIGNALED(status) ? json_integer(WTERMSIG(status)) : NULL);
	bool is_xrdp = str_eq(process, "xrdp");
	_cleanup_(xfreep) char *log = xasprintf("%s/%s.log", i->log, is_xrdp ? "xrdp" : "sesman");
	_cleanup_(xfreep) char *out = xasprintf("%s/%s.out", i->log, process);
	last_lines(lines, log);
	last_lines(lines, out);
	doc_set(d, "lines", lines);
	json_decref(i->last_exit);
	i->last_exit = d;
}

static void tell_restart(struct instance *i, const struct daemon *of)
{
	json_t *d = json_object();
	doc_set_str(d, "status", instance_state_to_string(i->state));
	doc_set_str(d, "process", of->name);
	doc_set(d, "pid", of->pid ? json_integer(of->pid) : NULL); /* NULL: it died, and shall come again */
	doc_set_int(d, "restarts", i->restarts);
	doc_set(d, "obituary", json_incref(i->last_exit ? i->last_exit : json_null()));
	host_tell(i->host, "xrdp.instance.status", i, d);
}

/* --- deaths and new lives */

static void fail(struct instance *i, const char *static_reason)
{
	/* a listener without its sesman would hand passwords to whoever sits on that port; connections stay */
	if (i->xrdp.watch && !i->sesman.watch && !i->shared)
		watch_signal(i->xrdp.watch, SIGTERM);
	if (i->state == INSTANCE_RUNNING)
		instance_enter(i, INSTANCE_FAILED, static_reason);
	else
		record_write(i);
}

static void start_again(void *arg)
{
	struct daemon *d = arg;
	struct instance *i = d->of;
	loop_timer_free(d->again);
	d->again = NULL;
	if (d->watch || i->state != INSTANCE_RUNNING)
		return;
	bool is_xrdp = d == &i->xrdp;
	if (is_xrdp ? !port_is_free(i->port) : !port_is_free_local(i->sesman_port)) {
		/* what we hold was taken while nobody listened; an old listener may also still be on its way out */
		d->failures++;
		if (d->failures > FAILURES_MAX) {
			fail(i, "port_in_use");
			return;
		}
		d->again = loop_timer_new(i->host->loop, start_again, d);
		loop_timer_set(d->again, 200);
		return;
	}
	if (launch(i, d) < 0) {
		fail(i, "fork");
		return;
	}
	i->restarts++;
	log_info("host", "server %s: %s was started again as pid %d", i->id, d->name, d->pid);
	record_write(i);
	tell_restart(i, d);
}

static int64_t back_off(unsigned failures)
{
	int64_t ms = BACK_OFF_MS;
	while (failures-- > 1 && ms < BACK_OFF_MAX_MS)
		ms *= 2;
	return MIN(ms, BACK_OFF_MAX_MS);
}

static bool policy_allows(const struct instance *i, bool known, int status)
{
	const char *policy = doc_str(i->spec, "restart_policy", "on-failure");
	bool clean = known && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return str_eq(policy, "always") || (str_eq(policy, "on-failure") && !clean);
}

static void daemon_died_running(struct instance *i, struct daemon *d, bool known, int status, int64_t lived_ms)
{
	bool is_xrdp = d == &i->xrdp, healthy = lived_ms >= HEALTHY_MS;
	const char *reason = is_xrdp ? "xrdp_exited" : "sesman_exited";
	d->failures = healthy ? 0 : d->failures + 1;
	/* the listener is always started anew: connections and desktops wait for it; sesman as the server's policy says */
	if ((!is_xrdp && !policy_allows(i, known, status)) || d->failures > FAILURES_MAX) {
		log_warn("host", "server %s: %s exited and is not started again", i->id, d->name);
		fail(i, reason);
		return;
	}
	bool at_once = is_xrdp ? d->failures <= 1 : d->failures == 0;
	d->again = loop_timer_new(i->host->loop, start_again, d);
	loop_timer_set(d->again, at_once ? 0 : back_off(d->failures - (is_xrdp ? 1 : 0)));
	record_write(i);
	tell_restart(i, d);
}

void daemon_died(void *arg, pid_t pid, bool known, int status)
{
	struct daemon *d = arg;
	struct instance *i = d->of;
	bool is_xrdp = d == &i->xrdp;
	int64_t lived = clock_wall_ms() - d->since_ms;
	d->watch = NULL;
	d->pid = 0;
	d->start = 0;
	if (i->state == INSTANCE_STOPPING || i->state == INSTANCE_GONE)
		return;
	if (i->replacing && is_xrdp && !i->ready && !i->job) {
		replace_listener_gone(i);
		return;
	}
	/* of one that has failed: what it failed of is to be read, not who had to go after that */
	if (i->state != INSTANCE_FAILED || i->replacing)
		supervise_obituary(i, d->name, pid, known, status);
	if (!is_xrdp && i->host->hooks.sesman_lost)
		i->host->hooks.sesman_lost(i);
	if (i->replacing && i->job)
		return; /* its files are still being written; both are started after that */
	if (i->replacing && !is_xrdp && d->since_ms < i->replaced_ms) {
		replace_sesman_gone(i);
		return;
	}
	if (i->state == INSTANCE_STARTING || i->replacing)
		start_daemon_died(i, is_xrdp ? "xrdp_exited" : "sesman_exited");
	else if (i->state == INSTANCE_RUNNING)
		daemon_died_running(i, d, known, status, lived);
	else
		record_write(i);
	start_when_dead(i);
}

/* --- binds that were detached */

struct heal_in {
	const struct instance *i;
};

static int heal_run(void *arg, UNUSED int out)
{
	const struct instance *i = ((struct heal_in *)arg)->i;
	const struct ns_plan plan = { i->etc, i->run, i->pam };
	/* child_clean has closed the namespace's descriptor: any live member has it */
	pid_t pid = i->xrdp.pid ? i->xrdp.pid : i->sesman.pid;
	_cleanup_(closep) int fd = pid ? ns_open(pid) : -1;
	if (fd < 0 || ns_inode(fd) != i->ns_inode || ns_enter(fd) < 0)
		return 2;
	/* paths of ours are reached from here too: only /etc/xrdp, /run/xrdp and one file differ */
	int r = ns_heal(&plan);
	return r < 0 ? 2 : r;
}

static void on_healed(void *arg, int code, UNUSED const char *text, UNUSED size_t len)
{
	struct instance *i = arg;
	i->heal = NULL;
	if (code == 1)
		log_info("host", "server %s: its /run/xrdp had been detached and is back", i->id);
	else if (code != 0)
		log_warn("host", "server %s: its /run/xrdp is detached and could not be bound again", i->id);
}

static void look_at_binds(struct instance *i)
{
	char path[64];
	struct stat own, seen;
	pid_t pid = i->xrdp.pid ? i->xrdp.pid : i->sesman.pid;
	if (i->shared || i->heal || !pid || i->ns_fd < 0)
		return;
	snprintf(path, sizeof path, "/proc/%d/root/run/xrdp", pid);
	if (stat(i->run, &own) < 0 ||
	    (stat(path, &seen) == 0 && own.st_ino == seen.st_ino && own.st_dev == seen.st_dev))
		return;
	struct heal_in in = { i };
	i->heal = job_start(i->host, heal_run, &in, HEAL_MS, on_healed, i);
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
	look_at_binds(i);
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

/* Keep three of 10 MB. The daemons append, so cutting the file under them is safe; what they wrote between copy and cut
 * is lost, a line at most. */
static int rotate_run(void *arg, UNUSED int out)
{
	const char *path = arg;
	_cleanup_(xfreep) char *one = xasprintf("%s.1", path), *two = xasprintf("%s.2", path);
	rename(one, two);
	_cleanup_(closep) int from = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(closep) int to = open(one, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	char buf[65536];
	ssize_t n;
	/* desktops write here too, as much as they like: the end of it is what is kept */
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

static void rotate(struct instance *i)
{
	static const char *const files[] = { "xrdp.log", "sesman.log", "xrdp.out", "xrdp-sesman.out" };
	for (size_t n = 0; n < ARRAY_LEN(files); n++) {
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", i->log, files[n]);
		struct stat st;
		if (stat(path, &st) == 0 && st.st_size > LOG_MAX_BYTES)
			job_start(i->host, rotate_run, path, HEAL_MS, on_rotated, NULL);
	}
}

void supervise_tick(void *host)
{
	struct host *h = host;
	struct instance *i;
	if (++h->ticks % GROUPS_EVERY_TICKS == GROUPS_FIRST_TICK)
		record_sweep_groups(h);
	INSTANCE_FOREACH(i, h)
	{
		if (i->state == INSTANCE_RUNNING && h->ticks % HEAL_EVERY_TICKS == 0)
			look_at_binds(i);
		if (h->ticks % ROTATE_EVERY_TICKS == 0)
			rotate(i);
		/* a start that failed killed what it had; whatever escaped goes now */
		if (i->state == INSTANCE_FAILED && i->ns_fd < 0 && cgroup_populated(i->cgroup))
			stop_kill(i);
	}
	loop_timer_set(h->tick, 1000);
}
