#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/hostcfg_files.h"
#include "host/hostcfg_service.h"
#include "host/ns.h"
#include "host/ports.h"
#include "host/ready.h"
#include "host/units.h"
#include "host/watch.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* xrdp sleeps for two seconds between its fork and its listening; init gives a daemon half a minute to go. Twice all of it (a
 * change and the way back) stays below the calls' deadline. */
#define POLL_MS 25
#define TERM_MS 5000
#define KILL_MS 7000
#define LAUNCH_MS 5000
#define PID_FILE_MS 6000
#define ANSWER_MS 8000
#define LISTEN_MS 4000
#define RELOAD_MS 300 /* until a signal was acted on */
#define UNIT_MS 12000 /* for a job of systemd's … */
#define UNITS_MS 27000 /* … and for all of them */

struct service_run {
	struct host *host;
	enum service_step step[STEPS_MAX];
	size_t at;
	service_done done;
	void *arg;
	struct loop_timer *timer;
	struct job *job;
	struct ready *ready;
	struct units *units; /* systemd does it; NULL: we do */
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
	*ret_why = h->is_root ? NULL : "this program does not run as root, and only root may start and stop the host's xrdp";
	return *ret_why ? ERR_XRDP_SERVICE : 0;
}

static void finish(struct service_run *r)
{
	r->host->service_run = NULL;
	loop_timer_free(r->timer);
	job_cancel(r->job);
	ready_cancel(r->ready);
	units_cancel(r->ask);
	r->done(r->arg, r->fault[0] ? r->fault : NULL);
	free(r);
}

void service_free(struct host *h)
{
	while (h->service_run) { /* whoever is told may go on with something else */
		str_copy(h->service_run->fault, sizeof h->service_run->fault, "this program is ending");
		finish(h->service_run);
	}
}

static void next(struct service_run *r)
{
	r->at++;
	r->begun = false;
	loop_timer_set(r->timer, 0);
}

static void fail(struct service_run *r, const char *fmt, ...) PRINTF(2, 3);
static void fail(struct service_run *r, const char *fmt, ...)
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
static bool find(const struct service_run *r, enum service_part p, struct proc_stat *ret)
{
	char why[256];
	return service_look(r->host, p, ret, why, sizeof why) == SERVICE_RUNNING &&
	       (r->units || ns_inode_of(ret->pid) == ns_inode_of(getpid()));
}

static void signal_pid(pid_t pid, uint64_t start, int signo)
{
	_cleanup_(closep) int fd = pidfd_open(pid, 0);
	if (fd >= 0 && proc_alive(pid, start))
		pidfd_send_signal(fd, signo, NULL, 0);
}

/* --- by systemd */

static void on_unit(void *arg, const char *fault)
{
	struct service_run *r = arg;
	r->ask = NULL;
	if (fault)
		fail(r, "%s", fault);
	else if (r->step[r->at] == STEP_RELOAD_SESMAN)
		loop_timer_set(r->timer, RELOAD_MS);
	else
		next(r);
}

static void unit_step(struct service_run *r, enum service_part p, enum unit_verb verb)
{
	static const char *const units[] = { [SERVICE_XRDP] = "xrdp.service", [SERVICE_SESMAN] = "xrdp-sesman.service" };
	int64_t left = UNITS_MS - (clock_mono_ms() - r->run_began_ms);
	if (r->begun) { /* a signal has had its time */
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
		if (find(r, p, &s)) {
			r->pid = s.pid;
			r->start = s.start_ticks;
			signal_pid(s.pid, s.start_ticks, SIGTERM);
		}
	}
	if (!r->pid || !proc_alive(r->pid, r->start)) {
		/* one that names nobody keeps the next one from starting */
		if (!find(r, p, &s))
			unlink(pid_files[p]);
		next(r);
	} else if (spent(r) > KILL_MS) {
		fail(r, "%s (process %d) does not end, not even when killed", names[p], r->pid);
	} else {
		if (spent(r) > TERM_MS && !r->killed) {
			r->killed = true;
			signal_pid(r->pid, r->start, SIGKILL);
		}
		loop_timer_set(r->timer, POLL_MS);
	}
}

static void reload(struct service_run *r)
{
	struct proc_stat s;
	if (!r->begun) {
		r->begun = true;
		if (!find(r, SERVICE_SESMAN, &s)) {
			fail(r, "xrdp-sesman does not run");
			return;
		}
		signal_pid(s.pid, s.start_ticks, SIGHUP);
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
	/* a file, never a pipe of ours: desktops inherit it */
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
	fail(r, "%s did not start%s%.*s: its port may be taken or its file wrong; GET /api/v1/xrdp/logs?source=%s has its log",
	     names[p], len ? ": " : "", (int)MIN(len, (size_t)200), len ? text : "", p == SERVICE_XRDP ? "xrdp" : "sesman");
}

static void start(struct service_run *r, enum service_part p)
{
	struct proc_stat s;
	if (find(r, p, &s)) {
		next(r);
		return;
	}
	if (!r->begun) {
		struct launch l = { r->host, p };
		r->begun = true;
		r->began_ms = clock_mono_ms();
		unlink(pid_files[p]);
		r->job = job_start(r->host, launch_run, &l, LAUNCH_MS, on_launched, r);
	} else if (spent(r) > PID_FILE_MS) {
		fail(r, "%s did not come up: it wrote no %s", names[p], pid_files[p]);
	} else {
		loop_timer_set(r->timer, POLL_MS);
	}
}

/* --- does it answer? */

static int port_of(const struct host *h, enum hostcfg_file w)
{
	int err;
	const char *why;
	_cleanup_(xfreep) char *text = hostcfg_read(h, w, &err, &why);
	_cleanup_(inifile_freep) struct inifile *f = text ? inifile_parse(text) : NULL;
	return !f ? 0 : w == HOSTCFG_XRDP ? hostcfg_xrdp_port(f) : hostcfg_sesman_port(f);
}

static void on_answers(void *arg, bool answers)
{
	struct service_run *r = arg;
	struct proc_stat s;
	int port = port_of(r->host, HOSTCFG_XRDP);
	r->ready = NULL;
	if (!find(r, SERVICE_XRDP, &s))
		fail(r, "xrdp left after it was started; GET /api/v1/xrdp/logs has its log");
	else if (!answers || !port_is_of(port, s.pid))
		fail(r, "xrdp does not answer an RDP negotiation on port %d; GET /api/v1/xrdp/logs has its log", port);
	else
		next(r);
}

static void xrdp_answers(struct service_run *r)
{
	int port = port_of(r->host, HOSTCFG_XRDP);
	if (port && !r->ready) {
		r->ready = ready_start(r->host, port, ANSWER_MS, on_answers, r);
		return;
	}
	/* no port that can be asked from here: it must at least live, past its two seconds of sleep */
	struct proc_stat s;
	if (!r->begun) {
		r->begun = true;
		r->began_ms = clock_mono_ms();
	}
	if (!find(r, SERVICE_XRDP, &s))
		fail(r, "xrdp left after it was started; GET /api/v1/xrdp/logs has its log");
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
	if (port && find(r, SERVICE_SESMAN, &s) && port_is_of(port, s.pid))
		next(r);
	else if (spent(r) > LISTEN_MS)
		fail(r, "xrdp-sesman does not listen on port %d; GET /api/v1/xrdp/logs?source=sesman has its log", port);
	else
		loop_timer_set(r->timer, POLL_MS);
}

static void on_timer(void *arg)
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
		finish(r);
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
		start(r, step == STEP_START_XRDP ? SERVICE_XRDP : SERVICE_SESMAN);
		return;
	case STEP_SESMAN_LISTENS:
		sesman_listens(r);
		return;
	case STEP_XRDP_ANSWERS:
		xrdp_answers(r);
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
	r->timer = loop_timer_new(h->loop, on_timer, r);
	loop_timer_set(r->timer, 0);
	return true;
}
