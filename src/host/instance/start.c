#include <unistd.h>

#include "host/instance/instance.h"
#include "host/instance/launch.h"
#include "host/instance/run.h"
#include "host/xrdp_config/profiles.h"
#include "lucid/log.h"
#include "lucid/shape.h"
#include "lucid/str.h"

/* What a request for a start leads to: an answer, a start, a restart in place, or a wait for an instance that is being stopped. */

const char start_called_off[] = "the server was stopped while it was starting";

/* Checks that depend on this host: its cores, its memory, the desktop environments it has. */
static json_t *check_spec(struct host *h, const json_t *spec)
{
	struct faults f = { 0 };
	int64_t cpu = json_integer_value(doc_get(spec, "limits.cpu_percent"));
	int64_t memory = json_integer_value(doc_get(spec, "limits.memory_mb"));
	if (cpu > h->cores * 100)
		faults_add(&f, "limits.cpu_percent", "at most %d: this host has %d cores", h->cores * 100, h->cores);
	if (memory > h->memory_mb)
		faults_add(&f, "limits.memory_mb", "at most %lld, the memory of this host in MiB", (long long)h->memory_mb);
	if (!h->can_isolate)
		return faults_take(&f);
	_cleanup_(xfreep) char *why = profiles_fault(h->profiles, json_string_value(doc_get(spec, "desktop.profile")));
	if (why)
		faults_add(&f, "desktop.profile", "%s", why);
	return faults_take(&f);
}

/* A failed instance that still has its namespace, and so perhaps desktops, is restarted in place; any other is started from the beginning.
 * */
static void start_failed(struct instance *i, const json_t *spec)
{
	daemon_call_off(&i->sesman);
	daemon_call_off(&i->xrdp);
	child_forget_failures(i->sesman.child);
	child_forget_failures(i->xrdp.child);
	if (i->ns_fd >= 0 || (i->shared && i->xrdp.pid)) {
		start_replace(i, spec);
		return;
	}
	json_decref(i->next_spec);
	i->next_spec = json_deep_copy(spec);
	i->begin_again = true;
	start_when_dead(i);
}

void start_renew(struct instance *i)
{
	if (i->state == INSTANCE_RUNNING && !i->replacing && !i->job && i->xrdp.pid && (i->shared || i->sesman.pid))
		start_replace(i, i->spec);
}

void start_recover(struct instance *i)
{
	if (i->state == INSTANCE_FAILED && !i->replacing && !i->begin_again && !i->job)
		start_failed(i, i->spec);
}

/* A running server has a new owner, who gets its events from now on, or is to be recorded: from the next login on. All other changes of the
 * definition wait for a restart. */
static void take_live(struct instance *i, const json_t *spec)
{
	json_t *recording = json_object_get(spec, "recording");
	const char *user = doc_str(spec, "user_id", i->user_id);
	user = *user ? user : i->user_id;
	if (str_eq(i->user_id, user) && (!recording || json_equal(recording, json_object_get(i->spec, "recording"))))
		return;
	json_t *now = json_copy(i->spec);
	doc_set_str(now, "user_id", user);
	if (recording)
		json_object_set(now, "recording", recording);
	json_decref(i->spec);
	i->spec = now;
	free(i->user_id);
	i->user_id = xstrdup(doc_str(now, "user_id", ""));
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
	/* A stop is in progress, of this server or of the one that has its port, perhaps of a start that was interrupted by the death of
	 * the previous supervisor: the start begins when that is complete. */
	struct instance *leaving = is_leaving(i) ? i : is_leaving(other) ? other : NULL;
	if (leaving) {
		waiter_add_again(leaving, in, done, arg);
		return;
	}
	if (other && other != i) {
		host_answer(h, done, arg, ERR_CONFLICT, "another server on this host uses this port; choose another port", NULL);
		return;
	}
	if (i && i->state == INSTANCE_RUNNING && !i->replacing && !doc_bool(in, "replace", false)) {
		take_live(i, spec);
		host_answer(h, done, arg, ERR_OK, NULL, instance_doc(i));
		return;
	}
	if (i && (i->state == INSTANCE_STARTING || i->replacing)) {
		waiter_add(i, true, done, arg);
		return;
	}
	bool is_new = !i;
	struct instance *remains = is_new ? record_remains_group(h, doc_str(spec, "server_id", "")) : NULL;
	if (remains) {
		log_error("host", "server %s: its records are lost, but its processes are running; ending them before the start", remains->id);
		stop_begin(remains, false);
		waiter_add_again(remains, in, done, arg); /* only now: the beginning of a stop refuses the starts that wait */
		return;
	}
	if (is_new && h->instances_n >= h->instances_max) {
		_cleanup_(xfreep) char *why = xasprintf("this host runs %zu servers, the maximum; stop one first, or raise the limit on open "
							"files (LimitNOFILE) if that is below 8192", h->instances_n);
		host_answer(h, done, arg, ERR_BUSY, why, NULL);
		return;
	}
	if (is_new)
		i = instance_with_daemons(h, spec);
	waiter_add(i, true, done, arg);
	if (is_new)
		start_begin(i);
	else if (i->state == INSTANCE_RUNNING)
		start_replace(i, spec);
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
		host_answer(h, w->done, w->arg, ERR_CONFLICT, start_called_off, NULL);
		json_decref(w->again);
		free(w);
	}
}
