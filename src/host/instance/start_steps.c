#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "host/instance/cert_watch.h"
#include "host/cgroup/groups.h"
#include "host/instance/instance.h"
#include "host/instance/launch.h"
#include "host/instance/displays.h"
#include "host/instance/sesman_port.h"
#include "host/kernel/port.h"
#include "host/instance/prepare.h"
#include "host/xrdp_config/profiles.h"
#include "host/reasons.h"
#include "host/instance/recover.h"
#include "host/instance/run.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"

/* Deadlines of the two steps: files, perhaps with key generation; readiness of the daemons. Their sum is below the deadline of the call. */
#define PREPARE_MS 10000
#define READY_MS 10000
#define READY_POLL_MS 20 /* a sesman that rereads its files does not listen for a moment */

/* Cancels everything that the start has begun. */
static void cancel_start_work(struct instance *i)
{
	loop_timer_free(i->timer);
	i->timer = NULL;
	i->awaits_ready = false;
	job_cancel(i->job);
	i->job = NULL;
	json_decref(i->next_spec);
	i->next_spec = NULL;
}

static void start_fail(struct instance *i, const char *static_reason)
{
	cancel_start_work(i);
	/* There can be no login before the first readiness, so all processes are killed. After a restart in place the desktops stay. */
	if (!i->replacing) {
		stop_kill(i);
		stop_kill_strays(i);
		fd_close(&i->ns_fd);
		i->ns_inode = 0;
	}
	i->replacing = false;
	log_warn("host", "server %s did not start: %s", i->id, static_reason);
	instance_enter(i, INSTANCE_FAILED, static_reason);
	_cleanup_(doc_unrefp) json_t *doc = instance_doc(i);
	waiters_answer(i, true, ERR_OK, NULL, doc);
}

void start_abandon(struct instance *i)
{
	cancel_start_work(i);
	i->replacing = i->begin_again = false;
	waiters_answer(i, true, ERR_CONFLICT, start_called_off, NULL);
}

/* last_exit for a start that failed before there was a daemon. */
static void obituary_of_prepare(struct instance *i, const char *text)
{
	char now[CLOCK_ISO_SIZE];
	json_decref(i->last_exit);
	i->last_exit = json_object();
	doc_set_str(i->last_exit, "process", "prepare");
	doc_set_str(i->last_exit, "at", clock_iso(now, clock_wall_ms()));
	json_t *lines = json_array();
	json_t *line = json_string(text);
	json_array_append_new(lines, line ? line : json_string("unreadable"));
	doc_set(i->last_exit, "lines", lines);
}

static void start_complete(struct instance *i)
{
	i->awaits_ready = false;
	loop_timer_free(i->timer);
	i->timer = NULL;
	if (i->replacing && i->state == INSTANCE_RUNNING)
		record_write(i);
	else
		instance_enter(i, INSTANCE_RUNNING, NULL);
	i->replacing = false;
	if (i->host->hooks.opened)
		i->host->hooks.opened(i);
	_cleanup_(doc_unrefp) json_t *doc = instance_doc(i);
	waiters_answer(i, true, ERR_OK, NULL, doc);
}

/* One that was ready may have been killed since, and its end not be known yet. */
static bool daemon_is_ready(struct daemon *d)
{
	return child_state(d->child) == CHILD_READY && daemon_listens(d);
}

/* Waits for sesman too: otherwise xrdp would send the first login to a closed port, or to another program. */
void start_daemon_ready(struct instance *i)
{
	if (i->awaits_ready && daemon_is_ready(&i->xrdp) && (i->shared || daemon_is_ready(&i->sesman)))
		start_complete(i);
}

static void on_ready_timer(void *arg)
{
	struct instance *i = arg;
	start_daemon_ready(i);
	if (!i->awaits_ready)
		return;
	if (clock_mono_ms() >= i->until_ms)
		start_fail(i, daemon_is_ready(&i->xrdp) ? "sesman_mute" : "xrdp_mute");
	else
		loop_timer_set(i->timer, READY_POLL_MS);
}

static void await_ready(struct instance *i)
{
	i->awaits_ready = true;
	i->until_ms = clock_mono_ms() + READY_MS;
	loop_timer_free(i->timer);
	i->timer = loop_timer_new(i->host->loop, on_ready_timer, i);
	loop_timer_set(i->timer, READY_POLL_MS);
}

void start_daemon_died(struct instance *i, const char *static_reason)
{
	/* another program bound the port after the check in start_begin */
	if (str_eq(static_reason, "xrdp_exited") && !port_is_free(i->port))
		static_reason = "port_in_use";
	start_fail(i, static_reason);
}

static void take_spec(struct instance *i)
{
	if (!i->next_spec)
		return;
	json_decref(i->spec);
	i->spec = TAKE_PTR(i->next_spec);
	i->port = (int)doc_int(i->spec, "port", 0);
	free(i->user_id);
	i->user_id = xstrdup(doc_str(i->spec, "user_id", ""));
}

/* The new files are in place: xrdp is restarted, sesman rereads its configuration. Connections stay. */
static void replace_daemons(struct instance *i)
{
	take_spec(i);
	groups_limit(i);
	if (i->sesman.pid)
		child_signal(i->sesman.child, SIGHUP);
	else if (!i->shared)
		child_start(i->sesman.child);
	if (i->xrdp.pid)
		child_signal(i->xrdp.child, SIGTERM);
	else
		replace_listener_gone(i);
}

void replace_sesman_gone(struct instance *i)
{
	child_start(i->sesman.child);
}

void replace_listener_gone(struct instance *i)
{
	if (!port_is_free(i->port)) {
		start_fail(i, "port_in_use");
		return;
	}
	child_start(i->xrdp.child);
	await_ready(i);
}

/* Logs the lines "note …" with which the output of the job begins: parts of the host's PAM configuration that were left out. */
static const char *log_notes(const struct instance *i, const char *text)
{
	static const char mark[] = "note ";
	while (str_starts(text, mark)) {
		int len = (int)strcspn(text, "\n");
		log_warn("host", "server %s: session part of PAM: %.*s", i->id, len - (int)strlen(mark), text + strlen(mark));
		text += len + (text[len] == '\n');
	}
	return text;
}

/* A running server keeps its previous files, unchanged. The request for the restart is answered with the reason. */
static void replace_refused(struct instance *i, const char *word, const char *told)
{
	_cleanup_(xfreep) char *message = xasprintf("the server was not restarted and keeps running unchanged: %s", told);
	log_warn("host", "server %s keeps running with its previous files: %s", i->id, word);
	i->replacing = false;
	json_decref(i->next_spec);
	i->next_spec = NULL;
	_cleanup_(doc_unrefp) json_t *details = json_pack("[{s:s, s:s, s:s}]", "field", "status_reason", "reason", word, "message", told);
	waiters_answer(i, true, ERR_XRDP_SERVICE, message, details);
}

static void not_prepared(struct instance *i, int code, const char *text)
{
	struct reason why = { 0 };
	if (code < 0 || !reason_parse(text, &why)) {
		const char *word = code == PREPARE_NAMESPACE ? "no_namespace" : code == -ERR_DEADLINE ? "prepare_slow" : "files_unwritable";
		snprintf(why.word, sizeof why.word, "%s", word);
		snprintf(why.told, sizeof why.told, "%s", code < 0 ? err_text(-code) : text);
		snprintf(why.line, sizeof why.line, "%s", why.told);
	}
	log_warn("host", "server %s could not be prepared: %s", i->id, why.line);
	if (reason_is_of_certificate(why.word))
		cert_watch_look(i->host->cert_watch, false); /* so that /health/ready reports it at once */
	else
		recover_look(i->host->recover);
	if (i->replacing && i->state == INSTANCE_RUNNING && i->xrdp.pid && (i->shared || i->sesman.pid)) {
		replace_refused(i, why.word, why.told);
		return;
	}
	obituary_of_prepare(i, why.told);
	start_fail(i, reason_word(why.word, "files_unwritable"));
}

/* Publishes a change of the certificate, because clients remember the previous one. */
static void take_certificate(struct instance *i, const char *text)
{
	char now[65] = "", was[65] = "";
	long long from = 0, until = 0;
	if (sscanf(text, "certificate %64[0-9a-f] %lld %lld %64[0-9a-f]", now, &from, &until, was) < 3)
		return;
	if (!was[0])
		str_copy(was, sizeof was, i->fingerprint); /* an older version wrote no file with it */
	i->cert_from_ms = from;
	i->cert_until_ms = until;
	str_copy(i->fingerprint, sizeof i->fingerprint, now);
	if (!was[0] || str_eq(was, now))
		return;
	json_t *d = json_object();
	doc_set_str(d, "fingerprint", now);
	doc_set_str(d, "previous_fingerprint", was);
	doc_set_time(d, "not_after", until);
	log_info("host", "server %s has a new certificate: SHA-256 %s, previously %s", i->id, now, was);
	host_tell(i->host, "xrdp.certificate.changed", i, d);
}

static void on_prepared(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct instance *i = arg;
	i->job = NULL;
	spares_fill(i->host->spares);
	text = log_notes(i, text);
	if (code != PREPARE_OK) {
		not_prepared(i, code, text);
		return;
	}
	const char *line = strstr(text, "certificate ");
	if (line)
		take_certificate(i, line);
	if (i->replacing) {
		replace_daemons(i);
		return;
	}
	i->ns_fd = job_take_fd(i->host->children);
	i->ns_inode = i->ns_fd >= 0 ? ns_inode(i->ns_fd) : 0;
	/* before the fork, so that the next supervisor finds the daemons if this one dies before it writes the record again */
	record_write(i);
	if (!i->shared && i->ns_fd < 0) {
		start_fail(i, "fork");
		return;
	}
	if (!i->shared)
		child_start(i->sesman.child);
	child_start(i->xrdp.child);
	record_write(i);
	await_ready(i);
}

static void prepare_begin(struct instance *i, const json_t *spec, bool make_ns)
{
	struct host *h = i->host;
	const struct profile *p = profiles_find(h->profiles, json_string_value(doc_get(spec, "desktop.profile")));
	/* the job has a copy of this process's memory, so locals are valid in it */
	struct prepare_in in = {
		.host = h, .instance = i, .spec = spec, .profile = p ? p->name : "xterm", .command = p ? p->command : "xterm", .make_ns = make_ns, .parent = getpid()
	};
	_cleanup_(xfreep) char *keys = xasprintf("%s/rsakeys.ini", i->etc),
			       *spare = xasprintf("%s/rsakeys.spare", i->dir);
	if (!i->shared && access(keys, F_OK) < 0)
		spares_take(h->spares, spare);
	i->job = job_start(h->children, prepare_run, &in, PREPARE_MS, on_prepared, i);
}

void start_begin(struct instance *i)
{
	struct host *h = i->host;
	record_write(i);
	if (!i->display_count && !i->shared) {
		int port = sesman_port_choose(h, i->id, &i->reserved[0]), first = displays_choose(h, i->id, &i->reserved[1]);
		if (!port || !first) {
			start_fail(i, "no_displays");
			return;
		}
		i->sesman_port = port;
		i->display_first = first;
		i->display_count = DISPLAYS_WIDTH;
	}
	if (!port_is_free(i->port)) {
		start_fail(i, "port_in_use");
		return;
	}
	groups_make(i);
	prepare_begin(i, i->spec, !i->shared);
}

void start_replace(struct instance *i, const json_t *spec)
{
	i->replacing = true;
	i->replaced_boot_ms = clock_boot_ms();
	json_decref(i->next_spec);
	i->next_spec = json_deep_copy(spec);
	prepare_begin(i, i->next_spec, false);
}

/* Daemons that were killed by a failed start may hold the port a little longer, and their end must not be taken for that of the new ones.
 * */
void start_when_dead(struct instance *i)
{
	if (!i->begin_again || i->xrdp.pid || i->sesman.pid)
		return;
	i->begin_again = false;
	take_spec(i);
	instance_enter(i, INSTANCE_STARTING, NULL);
	start_begin(i);
}
