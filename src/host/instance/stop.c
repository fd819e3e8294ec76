#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/instance/instance.h"
#include "host/instance/launch.h"
#include "host/instance/prepare.h"
#include "host/xrdp_config/programs.h"
#include "host/instance/run.h"
#include "host/instance/strays.h"
#include "host/kernel/trash.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"
#include "sys/child/process.h"

/* A stop ends the desktops, first by SIGTERM, then by SIGKILL. It kills all other processes and repeats that until none is found. Only then
 * are the control group, the namespace and the files removed. */
#define DESKTOPS_MS 8000
#define KILL_MS 10000
#define KILL_POLL_MS 5 /* doubles up to KILL_POLL_MAX_MS */
#define KILL_POLL_MAX_MS 100
#define STRAYS_MS 10000
#define CLEANUP_MS 10000

static bool is_child(pid_t pid, const void *parent)
{
	struct proc_stat s;
	return proc_stat(pid, &s) && s.ppid == *(const pid_t *)parent && program_is_xrdp(s.comm);
}

/* For a shared instance without control groups: kills the processes of connections, which are children of xrdp, while xrdp is still their
 * parent. */
static void kill_children_of(pid_t parent)
{
	char path[64];
	int pid;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", parent, parent);
	FILE *f = fopen(path, "re");
	while (f && fscanf(f, "%d", &pid) == 1)
		process_signal_if(pid, SIGKILL, is_child, &parent);
	if (f)
		fclose(f);
}

size_t stop_kill(struct instance *i)
{
	size_t hit = cgroup_kill(i->cgroup);
	if (i->shared && !i->cgroup && i->xrdp.pid)
		kill_children_of(i->xrdp.pid);
	if (child_signal(i->xrdp.child, SIGKILL) == 0)
		hit++;
	if (child_signal(i->sesman.child, SIGKILL) == 0)
		hit++;
	return hit;
}

static void on_strays_of_start(UNUSED void *arg, UNUSED int code, UNUSED const char *text, UNUSED size_t len)
{
	/* a failed start does not wait for them */
}

void stop_kill_strays(struct instance *i)
{
	/* desktops have namespaces of their own, which are found by the id */
	struct strays s = { .inode = i->desks ? 0 : i->ns_inode };
	if (i->ns_inode && str_copy(s.id, sizeof s.id, i->id))
		job_start(i->host->children, strays_kill_run, &s, STRAYS_MS, on_strays_of_start, NULL);
}

static void on_reap(struct loop_task *t)
{
	struct instance *i = CONTAINER_OF(t, struct instance, reap);
	struct host *h = i->host;
	struct list starts, *n;
	list_init(&starts);
	/* what is left are starts that waited for this end; they are repeated unless the supervisor stops all instances */
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

static void instance_stopped(struct instance *i)
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
		log_warn("host", "server %s: some of its files could not be removed", i->id);
	trash_empty(i->host->trash);
	instance_stopped(i);
}

static void on_kill_poll(void *arg);

static void kill_again(struct instance *i)
{
	loop_timer_set(i->timer, i->kill_poll_ms);
	i->kill_poll_ms = MIN(i->kill_poll_ms * 2, (unsigned)KILL_POLL_MAX_MS);
}

/* Processes survive SIGKILL while they wait in the kernel, for example for a disk or a file server that does not respond. The instance is
 * kept, so that the stop can be requested again. */
static void processes_left(struct instance *i, const char *strays)
{
	enum { MAX = 20 };
	struct host *h = i->host;
	pid_t pids[MAX];
	struct strbuf list = { 0 };
	size_t n = cgroup_pids(i->cgroup, pids, MAX);
	for (size_t k = 0; k < MIN(n, (size_t)MAX); k++)
		strbuf_printf(&list, " %d", pids[k]);
	if (!n && strays)
		strbuf_puts(&list, strays);
	_cleanup_(xfreep) char *why = xasprintf("processes of this server do not end even after SIGKILL (pids%s); find out what they wait "
						"for on the host, then stop or delete the server again", list.s ? list.s : " unknown");
	strbuf_done(&list);
	log_error("host", "server %s: %s", i->id, why);
	loop_timer_free(TAKE_PTR(i->timer));
	instance_enter(i, INSTANCE_FAILED, "processes_left");
	waiters_answer(i, false, ERR_XRDP_SERVICE, why, NULL);
	waiters_answer(i, true, ERR_CONFLICT, why, NULL);
	if (!h->stopped)
		return;
	/* the supervisor stops: the record stays for the next one */
	loop_task_init(&i->reap, on_reap);
	loop_defer(h->loop, &i->reap);
}

static void clean_up(struct instance *i)
{
	fd_close(&i->ns_fd);
	i->ns_inode = 0;
	struct cleanup_in in = { .instance = i, .remove = i->remove, .parent = getpid() };
	i->job = job_start(i->host->children, prepare_cleanup, &in, CLEANUP_MS, on_cleaned, i);
}

/* "2 811 812" */
static void on_strays(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct instance *i = arg;
	int64_t found = code == 0 ? strtoll(text, NULL, 10) : 1;
	const char *pids = strchr(text, ' ');
	i->job = NULL;
	if (!found)
		clean_up(i);
	else if (clock_mono_ms() >= i->until_ms)
		processes_left(i, pids);
	else
		kill_again(i);
}

static void on_kill_poll(void *arg)
{
	struct instance *i = arg;
	size_t left = stop_kill(i);
	if (left || i->xrdp.pid || i->sesman.pid || !cgroup_remove(i->cgroup)) {
		if (clock_mono_ms() >= i->until_ms)
			processes_left(i, NULL);
		else
			kill_again(i);
		return;
	}
	if (i->shared) {
		clean_up(i);
		return;
	}
	/* the control group is empty: now processes that left it are killed, until none is found */
	struct strays s = { 0 };
	str_copy(s.id, sizeof s.id, i->id);
	i->job = job_start(i->host->children, strays_kill_run, &s, STRAYS_MS, on_strays, i);
}

static void kill_all(struct instance *i)
{
	i->ending = false;
	loop_timer_free(i->timer);
	i->timer = loop_timer_new(i->host->loop, on_kill_poll, i);
	i->until_ms = clock_mono_ms() + KILL_MS;
	i->kill_poll_ms = KILL_POLL_MS;
	loop_timer_set(i->timer, 0);
}

/* Holds an id, because the instance may be gone when the answer arrives. */
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
	log_warn("host", "server %s: some desktops did not end in time; killing their processes", i->id);
	kill_all(i);
}

void stop_begin(struct instance *i, bool remove)
{
	struct host *h = i->host;
	i->remove |= remove;
	if (i->state == INSTANCE_STOPPING)
		return;
	if (!i->silent && (i->state == INSTANCE_STARTING || i->replacing || i->begin_again))
		start_abandon(i);
	daemon_call_off(&i->xrdp);
	daemon_call_off(&i->sesman);
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

/* Stops a server that this supervisor does not know, because its record is lost or it never ran. Its processes are found by control group
 * and namespace, which carry the id. It is in the list of instances until its files are removed, so that a start with the same id waits. */
static void stop_unknown(struct host *h, const char *id, bool remove, host_done done, void *arg)
{
	struct instance *i = record_remains(h, id);
	if (!i && !remove) {
		json_t *doc = json_object();
		doc_set(doc, "ended", json_array());
		host_answer(h, done, arg, ERR_OK, NULL, doc);
		return;
	}
	if (!i) {
		_cleanup_(doc_unrefp) json_t *spec = json_object();
		doc_set_str(spec, "server_id", id);
		i = instance_with_daemons(h, spec);
		i->silent = true;
	}
	waiter_add(i, false, done, arg);
	stop_begin(i, remove);
}

void host_instance_stop(struct host *h, const json_t *in, host_done done, void *arg)
{
	const char *id = doc_str(in, "server_id", "");
	bool force = doc_bool(in, "force", false), remove = doc_bool(in, "remove", false);
	struct instance *i = instance_find(h, id);
	if (i && i->state == INSTANCE_GONE)
		i = NULL; /* it is freed when this turn of the loop ends */
	if (!i)
		start_call_off(h, id);
	if (!i) {
		stop_unknown(h, id, remove, done, arg);
		return;
	}
	if (i->state != INSTANCE_STOPPING && !force && instance_desktops_live(i) > 0) {
		json_t *live = h->hooks.desktops_list ? h->hooks.desktops_list(i) : NULL;
		host_answer(h, done, arg, ERR_CONFLICT,
			    "the server has live desktops; end them first, or retry with force", live);
		return;
	}
	start_call_off(h, id);
	waiter_add(i, false, done, arg);
	stop_begin(i, remove);
}
