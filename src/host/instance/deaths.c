#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/instance/instance.h"
#include "host/instance/launch.h"
#include "host/instance/run.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/child.h"

/* What the end of xrdp or sesman means to its instance. daemon_verdict decides whether it is restarted; sys/child decides when. */

#define LAST_LINES 10

/* --- obituaries */

/* Appends the last lines of a file; lines that are not UTF-8 are left out. */
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

static void daemon_obituary(struct instance *i, const char *process, const struct obituary *o)
{
	char now[CLOCK_ISO_SIZE];
	json_t *d = json_object(), *lines = json_array();
	doc_set_str(d, "process", process);
	doc_set_int(d, "pid", o->pid);
	doc_set_str(d, "at", clock_iso(now, clock_wall_ms()));
	doc_set(d, "code", o->known && o->code >= 0 ? json_integer(o->code) : NULL);
	doc_set(d, "signal", o->known && o->signal ? json_integer(o->signal) : NULL);
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
	doc_set(d, "pid", of->pid ? json_integer(of->pid) : NULL); /* NULL: it died and will be restarted */
	doc_set_int(d, "restarts", i->restarts);
	doc_set(d, "obituary", json_incref(i->last_exit ? i->last_exit : json_null()));
	host_tell(i->host, "xrdp.instance.status", i, d);
}

/* --- ends */

static bool is_xrdp(const struct daemon *d)
{
	return d == &d->of->xrdp;
}

/* A missing program is not retried: the server fails at once, and is to be started when the program is installed again. */
static bool lacks_program(const struct child_end *e)
{
	return e->obituary.known && e->obituary.code == CHILD_NO_PROGRAM;
}

static bool policy_allows(const struct instance *i, const struct obituary *o)
{
	const char *policy = doc_str(i->spec, "restart_policy", "on-failure");
	bool clean = o->known && o->code == 0;
	return str_eq(policy, "always") || (str_eq(policy, "on-failure") && !clean);
}

/* xrdp is always restarted, because connections and desktops depend on it; sesman according to the server's restart_policy. */
enum child_verdict daemon_verdict(void *arg, const struct child_end *e)
{
	const struct daemon *d = arg;
	const struct instance *i = d->of;
	if (i->state != INSTANCE_RUNNING || i->replacing)
		return CHILD_NO_MORE;
	if (e->cause == CHILD_HELD)
		return CHILD_AGAIN;
	if (e->cause == CHILD_NOT_BORN || lacks_program(e))
		return CHILD_GIVE_UP;
	return is_xrdp(d) || policy_allows(i, &e->obituary) ? CHILD_AGAIN : CHILD_GIVE_UP;
}

static const char *reason_of_end(const struct daemon *d, const struct child_end *e)
{
	if (e->cause == CHILD_NOT_BORN)
		return "fork";
	if (e->cause == CHILD_HELD)
		return "port_in_use";
	if (!lacks_program(e))
		return is_xrdp(d) ? "xrdp_exited" : "sesman_exited";
	const struct host_settings *s = &d->of->host->set;
	log_error("host", "server %s: %s cannot be run; install it again, then start the server", d->of->id, is_xrdp(d) ? s->xrdp : s->sesman);
	return is_xrdp(d) ? "no_xrdp" : "no_sesman";
}

static void instance_fail(struct instance *i, const char *static_reason)
{
	/* without its sesman, xrdp would send passwords to any program that binds sesman's port; connections stay */
	if (i->xrdp.pid && !i->sesman.pid && !i->shared)
		child_signal(i->xrdp.child, SIGTERM);
	if (i->state == INSTANCE_RUNNING)
		instance_enter(i, INSTANCE_FAILED, static_reason);
	else
		record_write(i);
	daemon_call_off(&i->xrdp);
	daemon_call_off(&i->sesman);
}

static void ended_while_running(struct daemon *d, enum child_state now, const struct child_end *e)
{
	struct instance *i = d->of;
	if (now != CHILD_BACKING_OFF) {
		const char *reason = reason_of_end(d, e);
		if (str_ends(reason, "_exited"))
			log_warn("host", "server %s: %s exited and is not started again", i->id, d->name);
		instance_fail(i, reason);
		return;
	}
	if (e->cause == CHILD_HELD)
		return; /* its end was published before; its port is still in use */
	record_write(i);
	tell_restart(i, d);
}

static void ended_while_starting(struct daemon *d, UNUSED enum child_state now, const struct child_end *e)
{
	start_daemon_died(d->of, reason_of_end(d, e));
}

static void ended_while_failed(struct daemon *d, UNUSED enum child_state now, UNUSED const struct child_end *e)
{
	record_write(d->of);
}

static void ended_to_be_replaced(struct daemon *d, UNUSED enum child_state now, UNUSED const struct child_end *e)
{
	if (is_xrdp(d))
		replace_listener_gone(d->of);
	else
		replace_sesman_gone(d->of);
}

/* What the instance was doing when the daemon ended. */
enum situation { LEAVING, STARTS, RUNS, HAS_FAILED, FILES_PENDING, LISTENER_MAKES_ROOM, OLD_SESMAN, SITUATIONS };

static enum situation situation_of(const struct daemon *d, const struct child_end *e)
{
	static const enum situation of_state[] = { [INSTANCE_STARTING] = STARTS, [INSTANCE_RUNNING] = RUNS, [INSTANCE_FAILED] = HAS_FAILED,
						   [INSTANCE_STOPPING] = LEAVING, [INSTANCE_GONE] = LEAVING };
	const struct instance *i = d->of;
	if (!i->replacing || of_state[i->state] == LEAVING)
		return of_state[i->state];
	if (i->job)
		return FILES_PENDING;
	if (is_xrdp(d))
		return i->awaits_ready ? STARTS : LISTENER_MAKES_ROOM;
	/* a sesman that could not be started is a new one */
	return e->cause != CHILD_NOT_BORN && child_since_boot_ms(d->child) < i->replaced_boot_ms ? OLD_SESMAN : STARTS;
}

static const struct death_rule {
	bool tells; /* last_exit is set from its obituary */
	void (*act)(struct daemon *d, enum child_state now, const struct child_end *e); /* NULL: nothing to do */
} deaths[SITUATIONS] = {
	[LEAVING] = { false, NULL },
	[STARTS] = { true, ended_while_starting },
	[RUNS] = { true, ended_while_running },
	/* last_exit keeps the cause of the failure, not the end of what was killed after it */
	[HAS_FAILED] = { false, ended_while_failed },
	/* both are started when the files are in place */
	[FILES_PENDING] = { true, NULL },
	[LISTENER_MAKES_ROOM] = { false, ended_to_be_replaced },
	[OLD_SESMAN] = { true, ended_to_be_replaced },
};

static void daemon_ended(struct daemon *d, enum child_state now, const struct child_end *e)
{
	struct instance *i = d->of;
	enum situation was = situation_of(d, e);
	const struct death_rule *rule = &deaths[was];
	bool lived = e->cause != CHILD_NOT_BORN && e->cause != CHILD_HELD;
	if (rule->tells && lived)
		daemon_obituary(i, d->name, &e->obituary);
	if (was != LEAVING && lived && !is_xrdp(d) && i->host->hooks.sesman_lost)
		i->host->hooks.sesman_lost(i);
	if (rule->act)
		rule->act(d, now, e);
	if (was != LEAVING)
		start_when_dead(i);
}

/* A daemon was restarted after its death, not by a start or restart of the instance. */
static void daemon_came_again(struct daemon *d)
{
	struct instance *i = d->of;
	i->restarts++;
	log_info("host", "server %s: %s was started again as pid %d", i->id, d->name, d->pid);
	record_write(i);
	tell_restart(i, d);
}

void daemon_entered(void *arg, enum child_state now, const struct child_end *e)
{
	struct daemon *d = arg;
	d->pid = child_pid(d->child);
	if (e) {
		daemon_ended(d, now, e);
		return;
	}
	if (now == CHILD_READY)
		start_daemon_ready(d->of);
	if (now != CHILD_STARTING)
		return;
	daemon_tag(d);
	if (d->of->state == INSTANCE_RUNNING && !d->of->replacing)
		daemon_came_again(d);
}
