#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "host/launch.h"
#include "host/ports.h"
#include "host/prepare.h"
#include "host/profiles.h"
#include "host/ready.h"
#include "host/run.h"
#include "host/watch.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/shape.h"
#include "lucid/str.h"

/* How long a start may take: files (with keys that have to be made), then daemons. Together below the call's deadline. */
#define PREPARE_MS 10000
#define READY_MS 10000
#define SESMAN_POLL_MS 3

static const char called_off[] = "the server was stopped while it was starting";

/* What the shape cannot know: this host's cores, memory and desktops. */
static json_t *check_spec(struct host *h, const json_t *spec)
{
	struct faults f = { 0 };
	int64_t cpu = json_integer_value(doc_get(spec, "limits.cpu_percent"));
	int64_t memory = json_integer_value(doc_get(spec, "limits.memory_mb"));
	const char *name = json_string_value(doc_get(spec, "desktop.profile"));
	const struct profile *p = profiles_find(h->profiles, name);
	if (cpu > h->cores * 100)
		faults_add(&f, "limits.cpu_percent", "at most %d: this host has %d cores", h->cores * 100, h->cores);
	if (memory > h->memory_mb)
		faults_add(&f, "limits.memory_mb", "at most %lld: that is this host's memory", (long long)h->memory_mb);
	if (!h->can_isolate)
		return faults_take(&f);
	if (!p && name && *name)
		faults_add(&f, "desktop.profile", "not a configured profile; GET /api/v1/xrdp/desktops lists them");
	else if (!p)
		faults_add(&f, "desktop.profile",
			   "no desktop is installed on this host; install one (openbox, xfce4 …) or set "
			   "DESKTOP_PROFILES");
	else if (!p->installed)
		faults_add(&f, "desktop.profile", "profile %s is not installed on this host", p->name);
	return faults_take(&f);
}

static void give_up(struct instance *i, const char *static_reason)
{
	loop_timer_free(i->timer);
	i->timer = NULL;
	ready_cancel(i->ready);
	i->ready = NULL;
	job_cancel(i->job);
	i->job = NULL;
	json_decref(i->next_spec);
	i->next_spec = NULL;
	/* nobody can have logged in to what never ran: it goes at once. A replaced one keeps its desktops. */
	if (!i->replacing) {
		stop_kill(i);
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
	job_cancel(i->job);
	i->job = NULL;
	ready_cancel(i->ready);
	i->ready = NULL;
	loop_timer_free(i->timer);
	i->timer = NULL;
	i->replacing = i->begin_again = false;
	json_decref(i->next_spec);
	i->next_spec = NULL;
	waiters_answer(i, true, ERR_CONFLICT, called_off, NULL);
}

/* What the daemons could not say themselves. */
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

static void settle(struct instance *i)
{
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

/* xrdp answers; sesman must listen as well, and it must be ours: the first login would find nobody, or a stranger. */
static void on_sesman_poll(void *arg)
{
	struct instance *i = arg;
	if (i->shared ||
	    (i->sesman.pid && !port_is_free_local(i->sesman_port) && port_is_of(i->sesman_port, i->sesman.pid)))
		settle(i);
	else if (clock_mono_ms() >= i->until_ms)
		give_up(i, "sesman_mute");
	else
		loop_timer_set(i->timer, SESMAN_POLL_MS);
}

static void on_ready(void *arg, bool answers)
{
	struct instance *i = arg;
	i->ready = NULL;
	if (!answers) {
		give_up(i, "xrdp_mute");
		return;
	}
	loop_timer_free(i->timer);
	i->timer = loop_timer_new(i->host->loop, on_sesman_poll, i);
	on_sesman_poll(i);
}

static void await_ready(struct instance *i)
{
	i->until_ms = clock_mono_ms() + READY_MS;
	i->ready = ready_start(i->host, i->port, READY_MS, on_ready, i);
}

void start_daemon_died(struct instance *i, const char *static_reason)
{
	/* a stranger that took the port between our look and xrdp's */
	if (str_eq(static_reason, "xrdp_exited") && !port_is_free(i->port))
		static_reason = "port_in_use";
	give_up(i, static_reason);
}

void start_apply_limits(struct instance *i)
{
	const json_t *l = doc_get(i->spec, "limits");
	struct cgroup_limits want = { .cpu_percent = doc_int(l, "cpu_percent", 0),
				      .memory_mb = doc_int(l, "memory_mb", 0),
				      .tasks = doc_int(l, "tasks", 0) };
	cgroup_limit(i->cgroup, &want, &i->enforced);
}

/* Made anew each time: somebody may have cleared the empty group away. */
void start_make_group(struct instance *i)
{
	cgroup_free(i->daemons);
	cgroup_free(i->cgroup);
	i->cgroup = cgroup_make(i->host->cgroups, i->id);
	i->daemons = cgroup_sub(i->cgroup, "daemons");
	start_apply_limits(i);
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

/* The new files are there: a new listener, and sesman reads its own again. What was connected stays connected. */
static void replace_daemons(struct instance *i)
{
	take_spec(i);
	start_apply_limits(i);
	if (i->sesman.watch)
		watch_signal(i->sesman.watch, SIGHUP);
	else if (!i->shared && launch(i, &i->sesman) < 0) {
		give_up(i, "fork");
		return;
	}
	if (i->xrdp.watch)
		watch_signal(i->xrdp.watch, SIGTERM);
	else
		replace_listener_gone(i);
}

void replace_sesman_gone(struct instance *i)
{
	if (launch(i, &i->sesman) < 0)
		give_up(i, "fork");
}

void replace_listener_gone(struct instance *i)
{
	if (!port_is_free(i->port))
		give_up(i, "port_in_use");
	else if (launch(i, &i->xrdp) < 0)
		give_up(i, "fork");
	else
		await_ready(i);
}

static void on_prepared(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct instance *i = arg;
	static const char mark[] = "fingerprint ";
	i->job = NULL;
	spares_fill(i->host->spares);
	if (code != PREPARE_OK) {
		const char *why = code < 0 ? err_text(-code) : text;
		log_warn("host", "server %s could not be prepared: %s", i->id, why);
		obituary_of_prepare(i, why);
		give_up(i, code == PREPARE_NAMESPACE ? "no_namespace"
			   : code == -ERR_DEADLINE   ? "prepare_slow"
						     : "files_unwritable");
		return;
	}
	const char *print = strstr(text, mark);
	if (print)
		str_copy(i->fingerprint, sizeof i->fingerprint, print + strlen(mark));
	if (i->replacing) {
		replace_daemons(i);
		return;
	}
	i->ns_fd = job_take_fd(i->host);
	i->ns_inode = i->ns_fd >= 0 ? ns_inode(i->ns_fd) : 0;
	/* so that a successor finds what is forked now, should we die before the next line of it is written */
	record_write(i);
	if ((!i->shared && (i->ns_fd < 0 || launch(i, &i->sesman) < 0)) || launch(i, &i->xrdp) < 0) {
		give_up(i, "fork");
		return;
	}
	record_write(i);
	await_ready(i);
}

static void prepare(struct instance *i, const json_t *spec, bool make_ns)
{
	struct host *h = i->host;
	const struct profile *p = profiles_find(h->profiles, json_string_value(doc_get(spec, "desktop.profile")));
	/* borrowed by the child's copy of our memory, so locals will do */
	struct prepare_in in = {
		.host = h, .instance = i, .spec = spec, .command = p ? p->command : "xterm", .make_ns = make_ns, .parent = getpid()
	};
	_cleanup_(xfreep) char *keys = xasprintf("%s/rsakeys.ini", i->etc),
			       *spare = xasprintf("%s/rsakeys.spare", i->dir);
	if (!i->shared && access(keys, F_OK) < 0)
		spares_take(h->spares, spare);
	i->job = job_start(h, prepare_run, &in, PREPARE_MS, on_prepared, i);
}

static void begin(struct instance *i)
{
	struct host *h = i->host;
	record_write(i);
	if (!i->display_count && !i->shared) {
		if (ports_choose(h, i->id, &i->sesman_port, &i->display_first) < 0) {
			give_up(i, "no_displays");
			return;
		}
		i->display_count = PORTS_DISPLAYS;
	}
	if (!port_is_free(i->port)) {
		give_up(i, "port_in_use");
		return;
	}
	start_make_group(i);
	prepare(i, i->spec, !i->shared);
}

static void replace(struct instance *i, const json_t *spec)
{
	i->replacing = true;
	i->replaced_ms = clock_wall_ms();
	json_decref(i->next_spec);
	i->next_spec = json_deep_copy(spec);
	prepare(i, i->next_spec, false);
}

/* What was killed when a start failed may have the port for a moment more, and its death is not that of its successor. */
void start_when_dead(struct instance *i)
{
	if (!i->begin_again || i->xrdp.watch || i->sesman.watch)
		return;
	i->begin_again = false;
	take_spec(i);
	instance_enter(i, INSTANCE_STARTING, NULL);
	begin(i);
}

/* A failed one: what still has its namespace (desktops live in it) is mended, the rest starts from nothing. */
static void start_failed(struct instance *i, const json_t *spec)
{
	loop_timer_free(i->sesman.again);
	loop_timer_free(i->xrdp.again);
	i->sesman.again = i->xrdp.again = NULL;
	i->sesman.failures = i->xrdp.failures = 0;
	if (i->ns_fd >= 0 || (i->shared && i->xrdp.watch)) {
		replace(i, spec);
		return;
	}
	json_decref(i->next_spec);
	i->next_spec = json_deep_copy(spec);
	i->begin_again = true;
	start_when_dead(i);
}

/* A server that runs was given to another: what happens on it is told to that one from now on. All else waits for a restart. */
static void take_owner(struct instance *i, const json_t *spec)
{
	const char *user = doc_str(spec, "user_id", "");
	if (!*user || str_eq(i->user_id, user))
		return;
	json_t *now = json_copy(i->spec);
	doc_set_str(now, "user_id", user);
	json_decref(i->spec);
	i->spec = now;
	free(i->user_id);
	i->user_id = xstrdup(user);
	record_write(i);
}

static bool is_leaving(const struct instance *i)
{
	return i && (i->state == INSTANCE_STOPPING || i->state == INSTANCE_GONE);
}

void host_instance_start(struct host *h, const json_t *in, host_done done, void *arg)
{
	const json_t *spec = json_object_get(in, "spec");
	if (h->why_not) {
		host_answer(h, done, arg, ERR_XRDP_CONFIG, h->why_not, NULL);
		return;
	}
	if (access(h->set.xrdp, X_OK) < 0 || access(h->set.sesman, X_OK) < 0) {
		host_answer(h, done, arg, ERR_NO_XRDP, NULL, NULL);
		return;
	}
	json_t *faults = check_spec(h, spec);
	if (faults) {
		host_answer(h, done, arg, ERR_INVALID, NULL, faults);
		return;
	}
	struct instance *i = instance_find(h, doc_str(spec, "server_id", "")),
			*other = instance_of_port(h, (int)doc_int(spec, "port", 0));
	/* a stop of somebody's, or what is left of a start that our predecessor was killed in the middle of: first one, then the other */
	struct instance *leaving = is_leaving(i) ? i : is_leaving(other) ? other : NULL;
	if (leaving) {
		waiter_add_again(leaving, in, done, arg);
		return;
	}
	if (other && other != i) {
		host_answer(h, done, arg, ERR_CONFLICT, "another server of this host has that port", NULL);
		return;
	}
	if (i && i->state == INSTANCE_RUNNING && !i->replacing && !doc_bool(in, "replace", false)) {
		take_owner(i, spec);
		host_answer(h, done, arg, ERR_OK, NULL, instance_doc(i));
		return;
	}
	if (i && (i->state == INSTANCE_STARTING || i->replacing)) {
		waiter_add(i, true, done, arg);
		return;
	}
	bool is_new = !i;
	if (is_new)
		i = instance_new(h, spec);
	waiter_add(i, true, done, arg);
	if (is_new)
		begin(i);
	else if (i->state == INSTANCE_RUNNING)
		replace(i, spec);
	else
		start_failed(i, spec);
}

void start_after(struct host *h, struct list *consume_waiters)
{
	struct list *n;
	while ((n = list_take_first(consume_waiters))) {
		struct waiter *w = CONTAINER_OF(n, struct waiter, node);
		host_instance_start(h, w->again, w->done, w->arg);
		json_decref(w->again);
		free(w);
	}
}

void start_call_off(struct host *h, const char *id)
{
	struct instance *i;
	struct waiter *w, *tmp;
	INSTANCE_FOREACH(i, h)
	LIST_FOREACH_SAFE (w, tmp, &i->waiters, node) {
		if (!w->again || !str_eq(doc_str(json_object_get(w->again, "spec"), "server_id", ""), id))
			continue;
		list_remove(&w->node);
		host_answer(h, w->done, w->arg, ERR_CONFLICT, called_off, NULL);
		json_decref(w->again);
		free(w);
	}
}
