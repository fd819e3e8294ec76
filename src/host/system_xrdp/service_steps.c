#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/kernel/fs.h"
#include "host/system_xrdp/config_files.h"
#include "host/system_xrdp/service.h"
#include "host/kernel/ns.h"
#include "host/kernel/port.h"
#include "host/system_xrdp/listener_wait.h"
#include "host/system_xrdp/units.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"
#include "sys/child/process.h"

/* xrdp sleeps for two seconds before it listens; init gives a daemon half a minute to stop. Twice the sum (a change and its rollback) stays
 * below the deadline of the calls. */
#define POLL_MS 25
#define TERM_MS 5000
#define KILL_MS 7000
#define LAUNCH_MS 5000
#define PID_FILE_MS 6000
#define XRDP_LISTEN_MS 8000
#define LISTEN_MS 4000
#define RELOAD_MS 300 /* for a signal to take effect */
#define UNIT_MS 12000 /* for a job of systemd … */
#define UNITS_MS 27000 /* … and for all of them */

struct service_run {
	struct host *host;
	enum service_step step[STEPS_MAX];
	size_t at;
	service_done done;
	void *arg;
	struct loop_timer *timer;
	struct job *job;
	struct listener_wait *listener_wait;
	struct units *units; /* NULL: without systemd */
	struct unit_ask *ask;
	int64_t run_began_ms;
	int64_t began_ms; /* the present step */
	bool begun, killed;
	pid_t pid; /* being stopped */
	uint64_t start;
	char fault[512];
};

static const char *const names[] = { [SERVICE_XRDP] = "xrdp", [SERVICE_SESMAN] = "xrdp-sesman" };
static const char *const pid_files[] = { [SERVICE_XRDP] = SERVICE_RUN "/xrdp.pid",
					 [SERVICE_SESMAN] = SERVICE_RUN "/xrdp-sesman.pid" };

int service_cannot(const struct host *h, const char **ret_why)
{
	if (access(h->set.xrdp, X_OK) != 0 || access(h->set.sesman, X_OK) != 0) {
		*ret_why = NULL;
		return ERR_NO_XRDP;
	}
	*ret_why = h->is_root ? NULL : "this program does not run as root; only root may start and stop the host's xrdp";
	return *ret_why ? ERR_XRDP_SERVICE : 0;
}

static void run_finish(struct service_run *r)
{
	r->host->service_run = NULL;
	loop_timer_free(r->timer);
	job_cancel(r->job);
	listener_wait_cancel(r->listener_wait);
	units_cancel(r->ask);
	r->done(r->arg, r->fault[0] ? r->fault : NULL);
	free(r);
}

void service_free(struct host *h)
{
	while (h->service_run) { /* `done` may start another operation */
		str_copy(h->service_run->fault, sizeof h->service_run->fault, "the program is stopping");
		run_finish(h->service_run);
	}
}

static void next(struct service_run *r)
{
	r->at++;
	r->begun = false;
	loop_timer_set(r->timer, 0);
}

static void run_fail(struct service_run *r, const char *fmt, ...) PRINTF(2, 3);
static void run_fail(struct service_run *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(r->fault, sizeof r->fault, fmt, ap);
	va_end(ap);
	log_warn("host", "the host's xrdp: %s", r->fault);
	r->step[r->at] = STEP_END;
	loop_timer_set(r->timer, 0);
}

static int64_t spent(const struct service_run *r)
{
	return clock_mono_ms() - r->began_ms;
}

/* The host's process of that part, if it runs and is nobody else's. What systemd runs may be hidden from us in other ways. */
static bool part_runs(const struct service_run *r, enum service_part p, struct proc_stat *ret)
{
	char why[256];
	return service_look(r->host, p, ret, why, sizeof why) == SERVICE_RUNNING &&
	       (r->units || ns_inode_of(ret->pid) == ns_inode_of(getpid()));
}

/* --- by systemd */

static void on_unit(void *arg, const char *fault)
{
	struct service_run *r = arg;
	r->ask = NULL;
	if (fault)
		run_fail(r, "%s", fault);
	else if (r->step[r->at] == STEP_RELOAD_SESMAN)
		loop_timer_set(r->timer, RELOAD_MS);
	else
		next(r);
}

static void unit_step(struct service_run *r, enum service_part p, enum unit_verb verb)
{
	static const char *const units[] = { [SERVICE_XRDP] = "xrdp.service", [SERVICE_SESMAN] = "xrdp-sesman.service" };
	int64_t left = UNITS_MS - (clock_mono_ms() - r->run_began_ms);
	if (r->begun) { /* the signal has taken effect */
		next(r);
		return;
	}
	r->begun = true;
	r->ask = units_do(r->units, units[p], verb, (unsigned)MIN(MAX(left, 1000), UNIT_MS), on_unit, r);
}

/* --- stop */

static void stop(struct service_run *r, enum service_part p)
{
	struct proc_stat s;
	if (!r->begun) {
		r->begun = true;
		r->killed = false;
		r->began_ms = clock_mono_ms();
		r->pid = 0;
		if (part_runs(r, p, &s)) {
			r->pid = s.pid;
			r->start = s.start_ticks;
			process_signal(s.pid, s.start_ticks, SIGTERM);
		}
	}
	if (!r->pid || !proc_alive(r->pid, r->start)) {
		/* a stale pid file prevents the next start */
		if (!part_runs(r, p, &s))
			unlink(pid_files[p]);
		next(r);
	} else if (spent(r) > KILL_MS) {
		run_fail(r, "%s (process %d) does not end even after SIGKILL", names[p], r->pid);
	} else {
		if (spent(r) > TERM_MS && !r->killed) {
			r->killed = true;
			process_signal(r->pid, r->start, SIGKILL);
		}
		loop_timer_set(r->timer, POLL_MS);
	}
}

static void reload(struct service_run *r)
{
	struct proc_stat s;
	if (!r->begun) {
		r->begun = true;
		if (!part_runs(r, SERVICE_SESMAN, &s)) {
			run_fail(r, "xrdp-sesman is not running");
			return;
		}
		process_signal(s.pid, s.start_ticks, SIGHUP);
		loop_timer_set(r->timer, RELOAD_MS);
		return;
	}
	next(r);
}

/* --- start */

struct launch {
	const struct host *host;
	enum service_part part;
};

/* As /usr/share/xrdp/socksetup. */
static bool make_run(const struct host *h)
{
	static const char *const dirs[] = { SERVICE_RUN, SERVICE_RUN "/sockdir" };
	static const mode_t modes[] = { 02775, 03777 };
	for (size_t k = 0; k < ARRAY_LEN(dirs); k++)
		if ((mkdir(dirs[k], 0755) < 0 && errno != EEXIST) || lchown(dirs[k], 0, h->xrdp_gid) < 0 ||
		    chmod(dirs[k], modes[k]) < 0)
			return false;
	return true;
}

static int launch_run(void *arg, int out)
{
	const struct launch *l = arg;
	const struct host *h = l->host;
	bool xrdp = l->part == SERVICE_XRDP;
	static char *const environment[] = { (char *)"PATH=/sbin:/usr/sbin:/bin:/usr/bin", (char *)"LC_ALL=C", NULL };
	_cleanup_(xfreep) char *ini = hostcfg_path(h, xrdp ? HOSTCFG_XRDP : HOSTCFG_SESMAN);
	_cleanup_(xfreep) char *log = xasprintf("%s/xrdp/host-%s.out", h->set.log_dir, names[l->part]);
	_cleanup_(xfreep) char *dir = xasprintf("%s/xrdp", h->set.log_dir);
	char *argv[] = { (char *)(xrdp ? h->set.xrdp : h->set.sesman), (char *)"-c", ini, NULL };
	if (str_eq(h->set.xrdp_config, "/etc/xrdp"))
		argv[1] = NULL;
	umask(022);
	if (!make_run(h)) {
		dprintf(out, "%s: %s", SERVICE_RUN, strerror(errno));
		return 1;
	}
	/* a file and no pipe, because desktops inherit it */
	fs_mkdirs(dir, 0755);
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || chdir("/") < 0)
		return 1;
	fcntl(out, F_SETFD, FD_CLOEXEC);
	umask(022);
	if (xrdp && (initgroups("xrdp", h->xrdp_gid) < 0 || setgid(h->xrdp_gid) < 0 || setuid(h->xrdp_uid) < 0)) {
		dprintf(out, "user xrdp: %s", strerror(errno));
		return 1;
	}
	execve(argv[0], argv, environment);
	dprintf(out, "%s: %s", argv[0], strerror(errno));
	return 127;
}

static void on_launched(void *arg, int code, const char *text, size_t len)
{
	struct service_run *r = arg;
	enum service_part p = r->step[r->at] == STEP_START_XRDP ? SERVICE_XRDP : SERVICE_SESMAN;
	r->job = NULL;
	if (code == 0) {
		loop_timer_set(r->timer, POLL_MS);
		return;
	}
	run_fail(r, "%s did not start%s%.*s: its port may be in use or its file invalid; GET /api/v1/xrdp/logs?source=%s has its log",
	     names[p], len ? ": " : "", (int)MIN(len, (size_t)200), len ? text : "", p == SERVICE_XRDP ? "xrdp" : "sesman");
}

static void start_part(struct service_run *r, enum service_part p)
{
	struct proc_stat s;
	if (part_runs(r, p, &s)) {
		next(r);
		return;
	}
	if (!r->begun) {
		struct launch l = { r->host, p };
		r->begun = true;
		r->began_ms = clock_mono_ms();
		unlink(pid_files[p]);
		r->job = job_start(r->host->children, launch_run, &l, LAUNCH_MS, on_launched, r);
	} else if (spent(r) > PID_FILE_MS) {
		run_fail(r, "%s did not start: it wrote no %s", names[p], pid_files[p]);
	} else {
		loop_timer_set(r->timer, POLL_MS);
	}
}

/* --- readiness */

static int port_of(const struct host *h, enum hostcfg_file w)
{
	int err;
	const char *why;
	_cleanup_(xfreep) char *text = hostcfg_read(h, w, &err, &why);
	_cleanup_(inifile_freep) struct inifile *f = text ? inifile_parse(text) : NULL;
	return !f ? 0 : w == HOSTCFG_XRDP ? hostcfg_xrdp_port(f) : hostcfg_sesman_port(f);
}

static pid_t xrdp_of(void *arg)
{
	struct proc_stat s;
	return part_runs(arg, SERVICE_XRDP, &s) ? s.pid : 0;
}

static void on_listens(void *arg, bool listens)
{
	struct service_run *r = arg;
	struct proc_stat s;
	int port = port_of(r->host, HOSTCFG_XRDP);
	r->listener_wait = NULL;
	if (!part_runs(r, SERVICE_XRDP, &s))
		run_fail(r, "xrdp exited after it was started; GET /api/v1/xrdp/logs has its log");
	else if (!listens)
		run_fail(r, "xrdp does not listen on port %d; GET /api/v1/xrdp/logs has its log", port);
	else
		next(r);
}

static void xrdp_listens(struct service_run *r)
{
	int port = port_of(r->host, HOSTCFG_XRDP);
	if (port && !r->listener_wait) {
		r->listener_wait = listener_wait_start(r->host->loop, port, XRDP_LISTEN_MS, xrdp_of, on_listens, r);
		return;
	}
	/* the port cannot be checked from here: the process must at least survive its two seconds of sleep */
	struct proc_stat s;
	if (!r->begun) {
		r->begun = true;
		r->began_ms = clock_mono_ms();
	}
	if (!part_runs(r, SERVICE_XRDP, &s))
		run_fail(r, "xrdp exited after it was started; GET /api/v1/xrdp/logs has its log");
	else if (spent(r) > 2500)
		next(r);
	else
		loop_timer_set(r->timer, POLL_MS);
}

static void sesman_listens(struct service_run *r)
{
	int port = port_of(r->host, HOSTCFG_SESMAN);
	struct proc_stat s;
	if (!r->begun) {
		r->begun = true;
		r->began_ms = clock_mono_ms();
	}
	if (port && part_runs(r, SERVICE_SESMAN, &s) && port_is_of(port, s.pid))
		next(r);
	else if (spent(r) > LISTEN_MS)
		run_fail(r, "xrdp-sesman does not listen on port %d; GET /api/v1/xrdp/logs?source=sesman has its log", port);
	else
		loop_timer_set(r->timer, POLL_MS);
}

static void on_step_timer(void *arg)
{
	static const struct {
		enum service_part part;
		enum unit_verb verb;
	} by_units[] = {
		[STEP_STOP_XRDP] = { SERVICE_XRDP, UNIT_STOP },		[STEP_STOP_SESMAN] = { SERVICE_SESMAN, UNIT_STOP },
		[STEP_RELOAD_SESMAN] = { SERVICE_SESMAN, UNIT_HANGUP }, [STEP_START_SESMAN] = { SERVICE_SESMAN, UNIT_START },
		[STEP_START_XRDP] = { SERVICE_XRDP, UNIT_START },
	};
	struct service_run *r = arg;
	enum service_step step = r->step[r->at];
	if (r->units && step != STEP_END && step < ARRAY_LEN(by_units)) {
		unit_step(r, by_units[step].part, by_units[step].verb);
		return;
	}
	switch (step) {
	case STEP_END:
		run_finish(r);
		return;
	case STEP_STOP_XRDP:
	case STEP_STOP_SESMAN:
		stop(r, step == STEP_STOP_XRDP ? SERVICE_XRDP : SERVICE_SESMAN);
		return;
	case STEP_RELOAD_SESMAN:
		reload(r);
		return;
	case STEP_START_SESMAN:
	case STEP_START_XRDP:
		start_part(r, step == STEP_START_XRDP ? SERVICE_XRDP : SERVICE_SESMAN);
		return;
	case STEP_SESMAN_LISTENS:
		sesman_listens(r);
		return;
	case STEP_XRDP_LISTENS:
		xrdp_listens(r);
		return;
	}
}

bool service_run(struct host *h, const enum service_step *steps, service_done done, void *arg)
{
	if (h->service_run)
		return false;
	struct service_run *r = h->service_run = XNEW(struct service_run);
	r->host = h;
	r->units = service_units(h);
	r->run_began_ms = clock_mono_ms();
	for (size_t k = 0; steps[k] != STEP_END; k++)
		r->step[k] = steps[k];
	r->done = done;
	r->arg = arg;
	r->timer = loop_timer_new(h->loop, on_step_timer, r);
	loop_timer_set(r->timer, 0);
	return true;
}
