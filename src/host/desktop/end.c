#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "host/kernel/proc.h"
#include "host/observe/observed.h"
#include "lucid/clock.h"
#include "lucid/fault.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* The steps of an end, in milliseconds from its beginning: SIGTERM to the window manager, after which the leader ends the rest; SIGTERM to
 * all that remain; SIGKILL until none is left. */
#define STEP_MS 20
#define ASK_ALL_MS 300
#define KILL_MS 600
#define GIVE_UP_MS 4000

struct ending {
	struct desktop *desktop;
	struct list waiters;
	struct loop_timer *timer;
	int64_t began_ms;
	json_t *doc;
	size_t processes, forced;
	bool asked_all;
};

struct waiter {
	struct list node;
	desktop_ended done;
	void *arg;
};

static void ending_answer(struct ending *e, int err)
{
	struct list *n;
	while ((n = list_take_first(&e->waiters))) {
		struct waiter *w = CONTAINER_OF(n, struct waiter, node);
		w->done(w->arg, err, err ? NULL : json_incref(e->doc), e->processes, e->forced);
		free(w);
	}
}

static void ending_free(struct ending *e)
{
	if (e->desktop)
		e->desktop->ending = NULL;
	loop_timer_free(e->timer);
	json_decref(e->doc);
	free(e);
}

/* The program of the session: a child of the leader that is neither X server nor chansrv. */
static bool is_session(const struct desktop *d, const struct proc_stat *s)
{
	return s->ppid == d->leader && s->pid != d->x_pid && !str_starts(s->comm, "xrdp-chansrv") &&
	       !str_starts(s->comm, "Xorg") && !str_starts(s->comm, "Xvnc") && !str_starts(s->comm, "Xtigervnc");
}

/* Sends SIGTERM to the program of the session, or with `all` to every process but the leader, which has to close the session. Returns how
 * many there were. */
static size_t ask_to_end(struct desktop *d, bool all)
{
	static pid_t pids[DESKTOP_PIDS];
	size_t n = MIN(desktop_pids(d, pids, DESKTOP_PIDS), (size_t)DESKTOP_PIDS), told = 0;
	for (size_t k = 0; k < n; k++) {
		struct proc_stat s;
		if (!proc_stat(pids[k], &s) || s.pid == d->leader || !(all || is_session(d, &s)))
			continue;
		process_signal(s.pid, s.start_ticks, SIGTERM);
		told++;
	}
	return told;
}

static size_t kill_all(struct desktop *d)
{
	if (d->cgroup)
		return cgroup_kill(d->cgroup);
	static pid_t pids[DESKTOP_PIDS];
	size_t n = MIN(desktop_pids(d, pids, DESKTOP_PIDS), (size_t)DESKTOP_PIDS), hit = 0;
	struct proc_stat s;
	for (size_t k = 0; k < n; k++) {
		if (!proc_stat(pids[k], &s))
			continue;
		process_signal(s.pid, s.start_ticks, SIGKILL);
		hit++;
	}
	return hit;
}

/* Without groups, from /proc. */
static bool finds_none(struct desktop *d)
{
	static pid_t pids[DESKTOP_PIDS];
	size_t n = MIN(desktop_pids(d, pids, DESKTOP_PIDS), (size_t)DESKTOP_PIDS);
	struct proc_stat s;
	for (size_t k = 0; k < n; k++)
		if (proc_stat(pids[k], &s))
			return false;
	return true;
}

static bool is_empty(struct desktop *d)
{
	if (d->cgroup)
		return !cgroup_populated(d->cgroup) && !desktop_alive(d);
	/* twice: a process that was forked meanwhile, with a number that the first listing had passed, is in the second one */
	return finds_none(d) && finds_none(d);
}

static void ended(struct ending *e)
{
	struct desktop *d = e->desktop;
	d->ending = NULL;
	e->desktop = NULL;
	desktop_gone(d, d->end_reason ? d->end_reason : "ended", e->processes, e->forced);
	ending_answer(e, 0);
	ending_free(e);
}

void ending_step(struct desktop *d)
{
	struct ending *e = d->ending;
	if (fault_hit("desktop.end")) { /* the end stands still after its first signal */
		e->began_ms = clock_mono_ms();
		loop_timer_set(e->timer, STEP_MS);
		return;
	}
	int64_t spent = clock_mono_ms() - e->began_ms;
	if (is_empty(d)) {
		ended(e);
		return;
	}
	if (spent > GIVE_UP_MS) {
		log_error("host", "desktop :%d of server %s does not end: one of its processes is stuck in the kernel", d->display,
			  d->instance->id);
		ending_answer(e, -ERR_XRDP_SERVICE);
		ending_free(e);
		return;
	}
	if (!e->asked_all && (spent >= ASK_ALL_MS || !(d->leader && proc_alive(d->leader, d->leader_start)))) {
		e->asked_all = true;
		ask_to_end(d, true);
	}
	if (spent >= KILL_MS) {
		size_t hit = kill_all(d);
		e->forced = MAX(e->forced, hit);
	}
	loop_timer_set(e->timer, STEP_MS);
}

static void on_ending_step(void *arg)
{
	struct ending *e = arg;
	ending_step(e->desktop);
}

void ending_drop(struct ending *e)
{
	bool gone = !e->desktop || is_empty(e->desktop);
	ending_answer(e, gone ? 0 : -ERR_UNAVAILABLE);
	ending_free(e);
}

void desktop_end(struct desktop *d, desktop_ended done, void *arg)
{
	struct waiter *w = XNEW(struct waiter);
	struct ending *e = d->ending;
	w->done = done;
	w->arg = arg;
	if (!e) {
		e = d->ending = XNEW(struct ending);
		list_init(&e->waiters);
		e->desktop = d;
		e->began_ms = clock_mono_ms();
		e->doc = desktop_doc(d);
		e->timer = loop_timer_new(d->instance->host->loop, on_ending_step, e);
		loop_timer_set(e->timer, STEP_MS);
		e->processes = (size_t)doc_int(e->doc, "processes", 0);
		e->asked_all = ask_to_end(d, false) == 0 && ask_to_end(d, true) > 0;
	}
	list_append(&e->waiters, &w->node);
}

/* --- all of an instance */

struct ending_all {
	size_t left;
	json_t *ended;
	void (*done)(void *arg, json_t *consume_ended);
	void *arg;
	struct loop *loop;
	struct loop_task tell; /* answers when the turn ends, because the receiver may free the instance */
};

static void on_desktop_ended(void *arg, UNUSED int err, json_t *doc, UNUSED size_t processes, UNUSED size_t forced)
{
	struct ending_all *a = arg;
	if (doc)
		json_array_append_new(a->ended, doc);
	if (--a->left == 0)
		loop_defer(a->loop, &a->tell);
}

static void on_all_ended(struct loop_task *t)
{
	struct ending_all *a = CONTAINER_OF(t, struct ending_all, tell);
	a->done(a->arg, a->ended);
	free(a);
}

/* desktop_end never frees a desktop itself, so the list can be walked. */
void desktops_end_all(struct instance *i, void (*done)(void *arg, json_t *consume_ended), void *arg)
{
	struct ending_all *a = XNEW(struct ending_all);
	struct desktop *d;
	a->ended = json_array();
	a->done = done;
	a->arg = arg;
	a->loop = i->host->loop;
	loop_task_init(&a->tell, on_all_ended);
	desktops_catch_up(i);
	LIST_FOREACH (d, &i->observed->desktops, node)
		a->left++;
	if (!a->left)
		loop_defer(a->loop, &a->tell);
	LIST_FOREACH (d, &i->observed->desktops, node)
		desktop_end(d, on_desktop_ended, a);
}
