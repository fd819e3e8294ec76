#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/proc.h"
#include "host/see_state.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* The course of an end, in milliseconds from its beginning: the window manager is asked to go, at which the leader ends the
 * rest; then everybody that is left is asked; then they are killed until nobody is there. */
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

static void answer(struct ending *e, int err)
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

/* Signal a process only if it is still the one that was looked at. */
static void signal_pid(pid_t pid, uint64_t start_ticks, int signo)
{
	_cleanup_(closep) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd >= 0 && proc_alive(pid, start_ticks))
		syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0);
}

/* The session's program: what the leader started beside X server and chansrv. */
static bool is_session(const struct desktop *d, const struct proc_stat *s)
{
	return s->ppid == d->leader && s->pid != d->x_pid && !str_starts(s->comm, "xrdp-chansrv") &&
	       !str_starts(s->comm, "Xorg") && !str_starts(s->comm, "Xvnc") && !str_starts(s->comm, "Xtigervnc");
}

/* TERM to the session's program, or (all) to everybody but the leader while it lives: it has an end to see to. Returns how
 * many were told. */
static size_t ask(struct desktop *d, bool all)
{
	static pid_t pids[DESKTOP_PIDS];
	size_t n = MIN(desktop_pids(d, pids, DESKTOP_PIDS), (size_t)DESKTOP_PIDS), told = 0;
	for (size_t k = 0; k < n; k++) {
		struct proc_stat s;
		if (!proc_stat(pids[k], &s) || s.pid == d->leader || !(all || is_session(d, &s)))
			continue;
		signal_pid(s.pid, s.start_ticks, SIGTERM);
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
		signal_pid(s.pid, s.start_ticks, SIGKILL);
		hit++;
	}
	return hit;
}

static bool is_empty(struct desktop *d)
{
	if (d->cgroup)
		return !cgroup_populated(d->cgroup) && !desktop_alive(d);
	pid_t pids[64];
	size_t n = MIN(desktop_pids(d, pids, ARRAY_LEN(pids)), ARRAY_LEN(pids));
	struct proc_stat s;
	for (size_t k = 0; k < n; k++)
		if (proc_stat(pids[k], &s))
			return false;
	return true;
}

static void ended(struct ending *e)
{
	struct desktop *d = e->desktop;
	d->ending = NULL;
	e->desktop = NULL;
	desktop_gone(d, d->end_reason ? d->end_reason : "ended", e->processes, e->forced);
	answer(e, 0);
	ending_free(e);
}

void ending_step(struct desktop *d)
{
	struct ending *e = d->ending;
	int64_t spent = clock_mono_ms() - e->began_ms;
	if (is_empty(d)) {
		ended(e);
		return;
	}
	if (spent > GIVE_UP_MS) {
		log_error("host", "desktop :%d of server %s does not end: a process of it is stuck in the kernel", d->display,
			  d->instance->id);
		answer(e, -ERR_XRDP_SERVICE);
		ending_free(e);
		return;
	}
	if (!e->asked_all && (spent >= ASK_ALL_MS || !(d->leader && proc_alive(d->leader, d->leader_start)))) {
		e->asked_all = true;
		ask(d, true);
	}
	if (spent >= KILL_MS) {
		size_t hit = kill_all(d);
		e->forced = MAX(e->forced, hit);
	}
	loop_timer_set(e->timer, STEP_MS);
}

static void on_timer(void *arg)
{
	struct ending *e = arg;
	ending_step(e->desktop);
}

void ending_drop(struct ending *e)
{
	bool gone = !e->desktop || is_empty(e->desktop);
	answer(e, gone ? 0 : -ERR_UNAVAILABLE);
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
		e->timer = loop_timer_new(d->instance->host->loop, on_timer, e);
		loop_timer_set(e->timer, STEP_MS);
		e->processes = (size_t)doc_int(e->doc, "processes", 0);
		e->asked_all = ask(d, false) == 0 && ask(d, true) > 0;
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
	struct loop_task tell; /* the answer comes at the end of the turn: whoever gets it may free the instance */
};

static void on_one(void *arg, UNUSED int err, json_t *doc, UNUSED size_t processes, UNUSED size_t forced)
{
	struct ending_all *a = arg;
	if (doc)
		json_array_append_new(a->ended, doc);
	if (--a->left == 0)
		loop_defer(a->loop, &a->tell);
}

static void on_all(struct loop_task *t)
{
	struct ending_all *a = CONTAINER_OF(t, struct ending_all, tell);
	a->done(a->arg, a->ended);
	free(a);
}

/* An end of one never happens inside desktop_end, so that the list can be walked. */
void desktops_end_all(struct instance *i, void (*done)(void *arg, json_t *consume_ended), void *arg)
{
	struct ending_all *a = XNEW(struct ending_all);
	struct desktop *d;
	a->ended = json_array();
	a->done = done;
	a->arg = arg;
	a->loop = i->host->loop;
	loop_task_init(&a->tell, on_all);
	desktops_catch_up(i);
	LIST_FOREACH (d, &i->see->desktops, node)
		a->left++;
	if (!a->left)
		loop_defer(a->loop, &a->tell);
	LIST_FOREACH (d, &i->see->desktops, node)
		desktop_end(d, on_one, a);
}
