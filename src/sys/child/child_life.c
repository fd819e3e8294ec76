#include <errno.h>

#include "lucid/backoff.h"
#include "lucid/clock.h"
#include "sys/child/child.h"
#include "sys/child/child_internal.h"
#include "sys/child/process.h"

/* Start, by a plan, and end of the processes of a child. */

/* --- ends */

static int64_t burst_wait_ms(const struct child *c)
{
	const struct child_desc *d = c->desc;
	if (!d->burst || c->nstarts < d->burst)
		return 0;
	return MAX(c->starts[c->nstarts % d->burst] + d->burst_ms - clock_mono_ms(), 0);
}

static int64_t wait_after(const struct child *c, enum child_cause cause)
{
	const struct child_desc *d = c->desc;
	int64_t ms = 0;
	if (cause == CHILD_HELD)
		return c->wait_ms;
	if (c->failures > d->free_failures || cause == CHILD_NOT_BORN)
		ms = backoff_ms(d->back_off_ms, d->back_off_most_ms, c->failures > d->free_failures ? c->failures - d->free_failures : 1);
	return MAX(ms, burst_wait_ms(c));
}

static enum child_event event_of_end(const struct child *c, const struct child_end *e)
{
	static const enum child_event of_verdict[] = { [CHILD_AGAIN] = EV_AGAIN, [CHILD_NO_MORE] = EV_NO_MORE, [CHILD_GIVE_UP] = EV_SPENT };
	if (c->state == CHILD_STOPPING || c->state == CHILD_KILLED)
		return EV_NO_MORE;
	enum child_verdict v = c->desc->verdict ? c->desc->verdict(c->arg, e) : CHILD_AGAIN;
	if (v == CHILD_AGAIN && c->desc->give_up && c->failures > c->desc->give_up)
		v = CHILD_GIVE_UP;
	return of_verdict[v];
}

void child_ended(struct child *c, const struct obituary *o, enum child_cause cause, int err)
{
	bool healthy = c->was_ready && c->desc->healthy_ms && o->lived_ms >= c->desc->healthy_ms;
	c->watch = NULL;
	c->pid = 0;
	c->failures = healthy ? 0 : c->failures + 1;
	struct child_end e = { .obituary = *o, .cause = cause, .err = err, .failures = c->failures, .was_ready = c->was_ready };
	c->wait_ms = e.wait_ms = wait_after(c, cause);
	child_on(c, event_of_end(c, &e), &e);
}

void child_on_end(void *arg, const struct obituary *o)
{
	struct child *c = arg;
	child_ended(c, o, c->cause, 0);
}

void child_unborn(struct loop_task *t)
{
	struct child *c = CONTAINER_OF(t, struct child, unborn);
	const struct obituary o = { .code = -1 };
	child_ended(c, &o, c->unborn_err ? CHILD_NOT_BORN : CHILD_HELD, c->unborn_err);
}

/* --- starts */

/* A process that exits closes its descriptors before it becomes a zombie. */
static bool child_alive(const struct child *c)
{
	struct proc_stat s;
	return proc_stat(c->pid, &s) && !s.is_exiting;
}

static void on_sign(void *arg, enum readiness_sign s)
{
	struct child *c = arg;
	if (s == SIGN_BYTE && c->state == CHILD_READY)
		child_beat(c);
	else if (s == SIGN_PROBED || (s == SIGN_BYTE && c->desc->readiness == CHILD_READY_BYTE) ||
		 (s == SIGN_CLOSED && c->desc->readiness == CHILD_READY_EOF && child_alive(c)))
		child_on(c, EV_READY, NULL);
}

static int child_fork(struct child *c, struct child_plan *p)
{
	readiness_free(c->readiness); /* always NULL already: every state except two frees it */
	c->readiness = readiness_new(c->all->loop, c->desc->readiness, c->desc->probe, c->arg, on_sign, c);
	if (!c->readiness && errno)
		return -errno;
	if (readiness_child_fd(c->readiness) >= 0)
		child_plan_fd(p, readiness_child_fd(c->readiness), c->desc->ready_to);
	pid_t pid = spawn(p);
	if (pid < 0)
		return pid;
	c->watch = watch_new(c->all, pid, 0, child_on_end, c);
	if (!c->watch) {
		int err = errno ? errno : EMFILE;
		child_disown(c->all, pid);
		return -err;
	}
	if (c->readiness)
		readiness_begin(c->readiness);
	return pid;
}

/* A failed start is reported as an end at the end of this turn, so that no end is reported within child_start. */
bool child_spawn(struct child *c)
{
	struct child_plan p = { 0 };
	c->was_ready = false;
	c->cause = CHILD_ENDED;
	c->starts[c->nstarts++ % (c->desc->burst ? c->desc->burst : 1)] = clock_mono_ms();
	int r = c->desc->plan(c->arg, &p);
	c->wait_ms = MAX(r, 0);
	c->unborn_err = MAX(-r, 0);
	if (r == 0) {
		r = child_fork(c, &p);
		c->unborn_err = MAX(-r, 0);
		c->pid = MAX(r, 0);
	}
	child_plan_done(&p);
	if (!c->pid) {
		loop_defer(c->all->loop, &c->unborn);
		return false;
	}
	c->since_wall_ms = clock_wall_ms();
	c->since_boot_ms = clock_boot_ms();
	return true;
}
