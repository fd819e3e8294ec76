#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "host/prepare.h"
#include "host/ready.h"
#include "host/run.h"
#include "host/watch.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* Stopping: desktops are ended (gently, then by force), then everything that is left is killed, looked for again until
 * nothing is found, and only then is the group, the namespace and what lies on disk let go. */
#define DESKTOPS_MS 8000
#define KILL_MS 10000
#define KILL_POLL_MS 5
#define CLEANUP_MS 10000

/* Processes by mount namespace: also those that left the group. A look at /proc, some 5 us a process. */
static size_t kill_by_ns(const struct instance *i)
{
	size_t hit = 0;
	DIR *d = i->ns_inode ? opendir("/proc") : NULL;
	struct dirent *e;
	while (d && (e = readdir(d))) {
		int64_t pid;
		if (!str_int(e->d_name, 2, INT32_MAX, &pid) || ns_inode_of((pid_t)pid) != i->ns_inode)
			continue;
		if (!proc_start((pid_t)pid))
			continue; /* a zombie is gone */
		kill((pid_t)pid, SIGKILL);
		hit++;
	}
	if (d)
		closedir(d);
	return hit;
}

/* Shared and without groups: live connections are children of the listener, looked for while it still is their parent. */
static void kill_children_of(pid_t parent)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	while (d && (e = readdir(d))) {
		int64_t pid;
		pid_t ppid;
		char comm[17];
		if (str_int(e->d_name, 2, INT32_MAX, &pid) && proc_parent((pid_t)pid, &ppid, comm) && ppid == parent &&
		    str_eq(comm, "xrdp"))
			kill((pid_t)pid, SIGKILL);
	}
	if (d)
		closedir(d);
}

size_t stop_kill(struct instance *i)
{
	size_t hit = cgroup_kill(i->cgroup);
	if (i->shared && !i->cgroup && i->xrdp.watch)
		kill_children_of(i->xrdp.pid);
	if (i->xrdp.watch && watch_signal(i->xrdp.watch, SIGKILL) == 0)
		hit++;
	if (i->sesman.watch && watch_signal(i->sesman.watch, SIGKILL) == 0)
		hit++;
	return hit + kill_by_ns(i);
}

static void on_reap(struct loop_task *t)
{
	struct instance *i = CONTAINER_OF(t, struct instance, reap);
	struct host *h = i->host;
	struct list starts, *n;
	list_init(&starts);
	/* all others were answered; where everything is stopped nothing begins any more */
	while (!h->stopped && (n = list_take_first(&i->waiters)))
		list_append(&starts, n);
	instance_free(i);
	start_after(h, &starts);
	if (h->stopped && list_empty(&h->instances)) {
		void (*fn)(void *) = h->stopped;
		h->stopped = NULL;
		fn(h->stopped_arg);
	}
}

static void finish(struct instance *i)
{
	struct host *h = i->host;
	instance_enter(i, INSTANCE_GONE, NULL);
	if (h->hooks.closed)
		h->hooks.closed(i);
	_cleanup_(doc_unrefp) json_t *doc = json_object();
	doc_set(doc, "ended", i->ended ? TAKE_PTR(i->ended) : json_array());
	waiters_answer(i, false, ERR_OK, NULL, doc);
	loop_task_init(&i->reap, on_reap);
	loop_defer(h->loop, &i->reap);
}

static void on_cleaned(void *arg, int code, UNUSED const char *text, UNUSED size_t len)
{
	struct instance *i = arg;
	i->job = NULL;
	if (code != 0)
		log_warn("host", "server %s: its files could not all be removed in time", i->id);
	finish(i);
}

static void on_kill_poll(void *arg)
{
	struct instance *i = arg;
	size_t left = stop_kill(i);
	bool late = clock_mono_ms() >= i->until_ms;
	if (left || i->xrdp.watch || i->sesman.watch || !cgroup_remove(i->cgroup)) {
		if (!late) {
			loop_timer_set(i->timer, KILL_POLL_MS);
			return;
		}
		log_error("host", "server %s: %zu processes do not die, or their group stays", i->id, left);
	}
	fd_close(&i->ns_fd);
	i->ns_inode = 0;
	struct cleanup_in in = { .instance = i, .remove = i->remove, .parent = getpid() };
	i->job = job_start(i->host, prepare_cleanup, &in, CLEANUP_MS, on_cleaned, i);
}

static void kill_all(struct instance *i)
{
	i->ending = false;
	loop_timer_free(i->timer);
	i->timer = loop_timer_new(i->host->loop, on_kill_poll, i);
	i->until_ms = clock_mono_ms() + KILL_MS;
	loop_timer_set(i->timer, 0);
}

/* By id: the instance may be past this when the answer comes late. */
struct ending {
	struct host *host;
	char id[ID_UUID_SIZE];
};

static void on_desktops_ended(void *arg, json_t *consume_ended)
{
	struct ending *e = arg;
	struct instance *i = instance_find(e->host, e->id);
	if (i && i->state == INSTANCE_STOPPING && i->ending) {
		json_decref(i->ended);
		i->ended = consume_ended;
		kill_all(i);
	} else {
		json_decref(consume_ended);
	}
	free(e);
}

static void on_desktops_late(void *arg)
{
	struct instance *i = arg;
	log_warn("host", "server %s: desktops were not ended in time; killing what is left", i->id);
	kill_all(i);
}

void stop_begin(struct instance *i, bool remove)
{
	struct host *h = i->host;
	i->remove |= remove;
	if (i->state == INSTANCE_STOPPING)
		return;
	if (i->state == INSTANCE_STARTING || i->replacing || i->begin_again)
		start_abandon(i);
	loop_timer_free(i->xrdp.again);
	loop_timer_free(i->sesman.again);
	i->xrdp.again = i->sesman.again = NULL;
	job_cancel(i->heal);
	i->heal = NULL;
	instance_enter(i, INSTANCE_STOPPING, NULL);
	if (!h->hooks.desktops_end_all || instance_desktops_live(i) == 0) {
		kill_all(i);
		return;
	}
	i->ending = true;
	i->timer = loop_timer_new(h->loop, on_desktops_late, i);
	loop_timer_set(i->timer, DESKTOPS_MS);
	struct ending *e = XNEW(struct ending);
	e->host = h;
	str_copy(e->id, sizeof e->id, i->id);
	h->hooks.desktops_end_all(i, on_desktops_ended, e);
}

/* Nothing runs, but files of it may be there. */
struct removal {
	struct host *host;
	struct instance *instance;
	host_done done;
	void *arg;
};

static void on_removed(void *arg, int code, UNUSED const char *text, UNUSED size_t len)
{
	struct removal *r = arg;
	json_t *doc = json_object();
	doc_set(doc, "ended", json_array());
	r->instance->job = NULL;
	if (code == 0) {
		host_answer(r->host, r->done, r->arg, ERR_OK, NULL, doc);
	} else {
		json_decref(doc);
		host_answer(r->host, r->done, r->arg, ERR_XRDP_SERVICE, "the server's files could not be removed",
			    NULL);
	}
	instance_free(r->instance);
	free(r);
}

static void remove_files(struct host *h, const char *id, host_done done, void *arg)
{
	_cleanup_(doc_unrefp) json_t *spec = json_object();
	doc_set_str(spec, "server_id", id);
	struct removal *r = XNEW(struct removal);
	*r = (struct removal){ h, instance_new(h, spec), done, arg };
	/* only a set of paths; nobody shall find it */
	list_remove(&r->instance->node);
	struct cleanup_in in = { .instance = r->instance, .remove = true, .parent = getpid() };
	r->instance->job = job_start(h, prepare_cleanup, &in, CLEANUP_MS, on_removed, r);
}

void host_instance_stop(struct host *h, const json_t *in, host_done done, void *arg)
{
	const char *id = doc_str(in, "server_id", "");
	bool force = doc_bool(in, "force", false), remove = doc_bool(in, "remove", false);
	struct instance *i = instance_find(h, id);
	if (i && i->state == INSTANCE_GONE)
		i = NULL; /* it is there until the end of this turn, and only for those who wait for its end */
	if (!i)
		start_call_off(h, id);
	if (!i && remove && id_is_uuid(id)) {
		remove_files(h, id, done, arg);
		return;
	}
	if (!i) {
		json_t *doc = json_object();
		doc_set(doc, "ended", json_array());
		host_answer(h, done, arg, ERR_OK, NULL, doc);
		return;
	}
	if (i->state != INSTANCE_STOPPING && !force && instance_desktops_live(i) > 0) {
		json_t *live = h->hooks.desktops_list ? h->hooks.desktops_list(i) : NULL;
		host_answer(h, done, arg, ERR_CONFLICT,
			    "desktops are live on this server; end them first, or use force", live);
		return;
	}
	start_call_off(h, id);
	waiter_add(i, false, done, arg);
	stop_begin(i, remove);
}
