#include "host/cgroup/groups.h"
#include "host/instance/instance.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/kernel/ns.h"
#include "host/xrdp_config/programs.h"
#include "host/instance/run.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/child.h"
#include "sys/child/job.h"

static const char *const names[] = { "starting", "running", "stopping", "failed", "gone" };

const char *instance_state_to_string(enum instance_state s)
{
	return names[s];
}

/* The legal transitions. */
static const unsigned follows[] = {
	[INSTANCE_STARTING] = 1 << INSTANCE_RUNNING | 1 << INSTANCE_STOPPING | 1 << INSTANCE_FAILED,
	[INSTANCE_RUNNING] = 1 << INSTANCE_STOPPING | 1 << INSTANCE_FAILED,
	[INSTANCE_FAILED] = 1 << INSTANCE_STARTING | 1 << INSTANCE_RUNNING | 1 << INSTANCE_STOPPING,
	[INSTANCE_STOPPING] = 1 << INSTANCE_GONE | 1 << INSTANCE_FAILED,
	[INSTANCE_GONE] = 0,
};

static json_t *pids_doc(const struct instance *i)
{
	json_t *pids = json_object();
	doc_set(pids, "xrdp", i->xrdp.pid ? json_integer(i->xrdp.pid) : NULL);
	doc_set(pids, "sesman", i->sesman.pid ? json_integer(i->sesman.pid) : NULL);
	return pids;
}

static json_t *outdated_doc(const struct instance *i)
{
	json_t *names_of = json_array();
	if (program_is_outdated(&i->xrdp))
		json_array_append_new(names_of, json_string("xrdp"));
	if (program_is_outdated(&i->sesman))
		json_array_append_new(names_of, json_string("sesman"));
	return names_of;
}

static void publish_state(struct instance *i, enum instance_state was)
{
	struct host *h = i->host;
	if (i->state == INSTANCE_RUNNING) {
		json_t *d = json_object();
		doc_set_int(d, "port", i->port);
		doc_set(d, "pids", pids_doc(i));
		doc_set_bool(d, "adopted", i->adopted);
		if (was == INSTANCE_STARTING)
			doc_set_int(d, "start_ms", clock_boot_ms() - i->started_boot_ms);
		host_tell(h, "xrdp.instance.started", i, d);
	}
	if (i->state == INSTANCE_GONE || i->state == INSTANCE_FAILED) {
		json_t *d = json_object();
		doc_set_str(d, "status", i->state == INSTANCE_GONE ? "stopped" : "failed");
		doc_set_str(d, "reason", i->reason);
		doc_set(d, "obituary", json_incref(i->last_exit ? i->last_exit : json_null()));
		host_tell(h, "xrdp.instance.exited", i, d);
	}
	if (i->state == INSTANCE_GONE)
		return;
	json_t *d = json_object();
	doc_set_str(d, "status", names[i->state]);
	doc_set_str(d, "previous", names[was]);
	doc_set_str(d, "reason", i->reason);
	doc_set_int(d, "restarts", i->restarts);
	host_tell(h, "xrdp.instance.status", i, d);
}

void instance_enter(struct instance *i, enum instance_state s, const char *static_reason)
{
	if (!(follows[i->state] & (1U << s))) {
		log_error("host", "%s: no transition to status %s from %s", i->id, names[s], names[i->state]);
		return;
	}
	enum instance_state was = i->state;
	i->state = s;
	i->reason = s == INSTANCE_FAILED ? static_reason : NULL;
	i->since_ms = clock_wall_ms();
	if (s == INSTANCE_STARTING || (s == INSTANCE_RUNNING && !i->started_ms)) {
		i->started_ms = i->since_ms;
		i->started_boot_ms = clock_boot_ms();
	}
	if (s == INSTANCE_GONE)
		record_remove(i);
	else if (!i->silent)
		record_write(i);
	if (!i->silent)
		publish_state(i, was);
}

/* --- the object */

/* A port belongs to one instance of a host at a time, so a uid derived from it does too. If few uids are mapped (in a container with a user
 * namespace), a range that no account uses serves, and two ports may share a uid. */
void instance_account(struct instance *i)
{
	enum { BASE = 0x4c520000, FEW_BASE = 61184, FEW = 4336 };
	const struct host *h = i->host;
	i->uid = h->xrdp_uid;
	i->gid = h->xrdp_gid;
	if (!i->desks)
		return;
	i->uid = h->many_uids ? (uid_t)(BASE + i->port) : (uid_t)(FEW_BASE + i->port % FEW);
	i->gid = (gid_t)i->uid;
}

struct instance *instance_new(struct host *h, const json_t *spec)
{
	struct instance *i = XNEW(struct instance);
	i->host = h;
	str_copy(i->id, sizeof i->id, doc_str(spec, "server_id", ""));
	i->user_id = xstrdup(doc_str(spec, "user_id", ""));
	i->spec = json_deep_copy(spec);
	i->state = INSTANCE_STARTING;
	i->since_ms = i->started_ms = clock_wall_ms();
	i->started_boot_ms = clock_boot_ms();
	i->shared = !h->can_isolate;
	i->port = (int)doc_int(spec, "port", 0);
	i->xrdp = (struct daemon){ .of = i, .name = "xrdp" };
	i->sesman = (struct daemon){ .of = i, .name = "xrdp-sesman" };
	i->ns_fd = i->reserved[0] = i->reserved[1] = -1;
	i->desks = !i->shared;
	instance_account(i);
	i->dir = xasprintf("%s/xrdp/servers/%s", h->set.data_dir, i->id);
	i->etc = xasprintf("%s/etc", i->dir);
	i->run = xasprintf("%s/run", i->dir);
	i->bin = xasprintf("%s/bin", i->dir);
	i->pam = xasprintf("%s/pam", i->dir);
	i->log = xasprintf("%s/xrdp/servers/%s", h->set.log_dir, i->id);
	list_init(&i->waiters);
	list_append(&h->instances, &i->node);
	h->instances_n++;
	return i;
}

void instance_free(struct instance *i)
{
	list_remove(&i->node);
	i->host->instances_n--;
	waiters_answer(i, true, ERR_CANCELLED, NULL, NULL);
	waiters_answer(i, false, ERR_CANCELLED, NULL, NULL);
	child_free(i->xrdp.child);
	child_free(i->sesman.child);
	job_cancel(i->job);
	job_cancel(i->heal);
	loop_timer_free(i->timer);
	if (i->reap.fn)
		loop_undefer(&i->reap);
	groups_free(i);
	fd_close(&i->ns_fd);
	fd_close(&i->reserved[0]);
	fd_close(&i->reserved[1]);
	json_decref(i->spec);
	json_decref(i->next_spec);
	json_decref(i->last_exit);
	json_decref(i->ended);
	char *const text[] = { i->user_id, i->dir, i->etc, i->run, i->bin, i->pam, i->log, i->xrdp.out, i->sesman.out };
	for (size_t n = 0; n < ARRAY_LEN(text); n++)
		free(text[n]);
	free(i);
}

/* --- finding one */

struct instance *instance_find(struct host *h, const char *server_id)
{
	struct instance *i;
	INSTANCE_FOREACH(i, h)
	if (str_eq(i->id, server_id))
		return i;
	return NULL;
}

struct instance *instance_of_cgroup(struct host *h, const char *path)
{
	struct instance *i;
	INSTANCE_FOREACH(i, h)
	{
		const char *own = cgroup_path(i->cgroup);
		size_t len = strlen(own);
		if (len && strncmp(path, own, len) == 0 && (path[len] == '/' || path[len] == '\0'))
			return i;
	}
	return NULL;
}

/* What an instance's processes see at /etc/xrdp is its own directory, in every namespace it has. */
bool instance_has(const struct instance *i, pid_t pid)
{
	char path[64];
	struct stat own, seen;
	ino_t inode = i->shared ? 0 : ns_inode_of(pid);
	if (!inode || inode == i->host->ns_inode)
		return false;
	if (inode == i->ns_inode)
		return true;
	snprintf(path, sizeof path, "/proc/%d/root/etc/xrdp", pid);
	return i->desks && stat(i->etc, &own) == 0 && stat(path, &seen) == 0 && own.st_ino == seen.st_ino && own.st_dev == seen.st_dev;
}

int instance_ns_open(const struct instance *i)
{
	const pid_t pids[] = { i->xrdp.pid, i->sesman.pid };
	for (size_t n = 0; n < ARRAY_LEN(pids); n++) {
		int fd = pids[n] ? ns_open(pids[n]) : -1;
		if (fd >= 0 && ns_inode(fd) == i->ns_inode)
			return fd;
		fd_close(&fd);
	}
	return -ESRCH;
}

struct instance *instance_of_pid(struct host *h, pid_t pid)
{
	char path[4096];
	struct instance *i;
	INSTANCE_FOREACH(i, h)
	if (instance_has(i, pid))
		return i;
	return cgroup_path_of(h->cgroups, pid, path, sizeof path) ? instance_of_cgroup(h, path) : NULL;
}

struct instance *instance_of_display(struct host *h, int display)
{
	struct instance *i;
	INSTANCE_FOREACH(i, h)
	if (display >= i->display_first && display < i->display_first + i->display_count)
		return i;
	return NULL;
}

struct instance *instance_of_port(struct host *h, int port)
{
	struct instance *i;
	INSTANCE_FOREACH(i, h)
	if (i->port == port)
		return i;
	return NULL;
}

bool host_uses_port(struct host *h, int port)
{
	if (port >= h->set.port_start && port <= h->set.port_end)
		return true;
	for (const int *p = h->set.other_ports; p && *p; p++)
		if (*p == port)
			return true;
	struct instance *i;
	INSTANCE_FOREACH(i, h)
	if (i->port == port || i->sesman_port == port)
		return true;
	return false;
}

size_t instance_desktops_live(struct instance *i)
{
	return i->host->hooks.desktops_live ? i->host->hooks.desktops_live(i) : 0;
}

/* --- as a document */

json_t *instance_limits_doc(const struct instance *i)
{
	const json_t *desktop = json_object_get(i->spec, "desktop");
	json_t *d = json_object();
	doc_set_int(d, "idle_timeout", doc_int(desktop, "idle_timeout", 0));
	doc_set_int(d, "disconnected_timeout", doc_int(desktop, "disconnected_timeout", 0));
	doc_set_bool(d, "kill_disconnected", doc_bool(desktop, "kill_disconnected", false));
	return d;
}

json_t *instance_doc(struct instance *i)
{
	struct instance_sessions n = { 0 };
	if (i->host->hooks.sessions)
		i->host->hooks.sessions(i, &n);
	json_t *d = json_object(), *enforced = json_object(), *sessions = json_object();
	doc_set_str(d, "server_id", i->id);
	doc_set_str(d, "status", names[i->state]);
	doc_set_str(d, "reason", i->reason);
	doc_set_int(d, "port", i->port);
	doc_set_str(d, "backend", "process");
	doc_set_str(d, "isolation", i->shared ? "shared" : "private");
	doc_set(d, "pids", pids_doc(i));
	if (i->sesman_port)
		doc_set_int(d, "sesman_port", i->sesman_port);
	if (i->display_count)
		doc_set_int(d, "display_offset", i->display_first);
	doc_set_time(d, "started_at", i->started_ms);
	doc_set_time(d, "since", i->since_ms);
	doc_set_int(d, "restarts", i->restarts);
	doc_set_bool(enforced, "cpu_percent", i->enforced.cpu);
	doc_set_bool(enforced, "memory_mb", i->enforced.memory);
	doc_set_bool(enforced, "tasks", i->enforced.tasks);
	doc_set(d, "limits_enforced", enforced);
	doc_set(d, "desktop_limits", instance_limits_doc(i));
	doc_set_int(sessions, "active", (int64_t)n.active);
	doc_set_int(sessions, "disconnected", (int64_t)n.disconnected);
	doc_set_int(sessions, "orphaned", (int64_t)n.orphaned);
	doc_set(d, "sessions", sessions);
	if (i->host->hooks.connections)
		doc_set(d, "connections", i->host->hooks.connections(i));
	doc_set(d, "displays_taken", i->host->hooks.displays_taken ? i->host->hooks.displays_taken(i) : json_array());
	doc_set_str(d, "certificate_fingerprint", i->fingerprint[0] ? i->fingerprint : NULL);
	doc_set(d, "outdated", outdated_doc(i));
	doc_set(d, "last_exit", json_incref(i->last_exit ? i->last_exit : json_null()));
	return d;
}

/* --- requests that wait for the end of a start or stop */

void waiter_add(struct instance *i, bool start, host_done done, void *arg)
{
	struct waiter *w = XNEW(struct waiter);
	w->done = done;
	w->arg = arg;
	w->start = start;
	list_append(&i->waiters, &w->node);
}

void waiter_add_again(struct instance *i, const json_t *in, host_done done, void *arg)
{
	waiter_add(i, true, done, arg);
	CONTAINER_OF(i->waiters.prev, struct waiter, node)->again = json_deep_copy(in);
}

void waiters_answer(struct instance *i, bool start, int err, const char *message, const json_t *out)
{
	struct waiter *w, *tmp;
	struct list batch;
	list_init(&batch);
	LIST_FOREACH_SAFE (w, tmp, &i->waiters, node)
		if (w->start == start) {
			list_remove(&w->node);
			list_append(&batch, &w->node);
		}
	struct list *n;
	while ((n = list_take_first(&batch))) {
		w = CONTAINER_OF(n, struct waiter, node);
		host_answer(i->host, w->done, w->arg, err, message, out ? json_deep_copy(out) : NULL);
		json_decref(w->again);
		free(w);
	}
}
