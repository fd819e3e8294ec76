#include "sys/child/child.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>

#include "sys/child/child_internal.h"

/* The state machine of a supervised child, and the calls that drive it. */

static const char *const names[] = { "gone", "starting", "ready", "stopping", "killed", "broken", "backing_off", "gave_up" };

const char *child_state_to_string(enum child_state s)
{
	return names[s];
}

/* --- the table */

enum action { ACT_NOTHING = 1, ACT_SPAWN, ACT_TELL_TO_END, ACT_KILL };

static const struct rule {
	enum child_state next;
	enum action act; /* 0: the event is ignored in this state */
} rules[CHILD_STATES][EVENTS] = {
	[CHILD_GONE] = {
		[EV_START] = { CHILD_STARTING, ACT_SPAWN },
		/* after child_adopt found the process dead */
		[EV_AGAIN] = { CHILD_BACKING_OFF, ACT_NOTHING },
		[EV_NO_MORE] = { CHILD_GONE, ACT_NOTHING },
		[EV_SPENT] = { CHILD_GAVE_UP, ACT_NOTHING },
	},
	[CHILD_STARTING] = {
		[EV_READY] = { CHILD_READY, ACT_NOTHING },
		[EV_DUE] = { CHILD_BROKEN, ACT_KILL },
		[EV_STOP] = { CHILD_STOPPING, ACT_TELL_TO_END },
		[EV_KILL] = { CHILD_KILLED, ACT_KILL },
		[EV_AGAIN] = { CHILD_BACKING_OFF, ACT_NOTHING },
		[EV_NO_MORE] = { CHILD_GONE, ACT_NOTHING },
		[EV_SPENT] = { CHILD_GAVE_UP, ACT_NOTHING },
	},
	[CHILD_READY] = {
		[EV_DUE] = { CHILD_BROKEN, ACT_KILL },
		[EV_STOP] = { CHILD_STOPPING, ACT_TELL_TO_END },
		[EV_KILL] = { CHILD_KILLED, ACT_KILL },
		[EV_AGAIN] = { CHILD_BACKING_OFF, ACT_NOTHING },
		[EV_NO_MORE] = { CHILD_GONE, ACT_NOTHING },
		[EV_SPENT] = { CHILD_GAVE_UP, ACT_NOTHING },
	},
	[CHILD_STOPPING] = {
		[EV_DUE] = { CHILD_KILLED, ACT_KILL },
		[EV_KILL] = { CHILD_KILLED, ACT_KILL },
		[EV_NO_MORE] = { CHILD_GONE, ACT_NOTHING },
	},
	[CHILD_KILLED] = {
		[EV_NO_MORE] = { CHILD_GONE, ACT_NOTHING },
	},
	[CHILD_BROKEN] = {
		[EV_STOP] = { CHILD_KILLED, ACT_NOTHING },
		[EV_KILL] = { CHILD_KILLED, ACT_NOTHING },
		[EV_AGAIN] = { CHILD_BACKING_OFF, ACT_NOTHING },
		[EV_NO_MORE] = { CHILD_GONE, ACT_NOTHING },
		[EV_SPENT] = { CHILD_GAVE_UP, ACT_NOTHING },
	},
	[CHILD_BACKING_OFF] = {
		[EV_START] = { CHILD_STARTING, ACT_SPAWN },
		[EV_DUE] = { CHILD_STARTING, ACT_SPAWN },
		[EV_STOP] = { CHILD_GONE, ACT_NOTHING },
		[EV_KILL] = { CHILD_GONE, ACT_NOTHING },
	},
	[CHILD_GAVE_UP] = {
		[EV_START] = { CHILD_STARTING, ACT_SPAWN },
		[EV_STOP] = { CHILD_GONE, ACT_NOTHING },
		[EV_KILL] = { CHILD_GONE, ACT_NOTHING },
	},
};

/* --- states */

/* The time limit of the state; 0: none. */
static unsigned deadline_of(const struct child *c)
{
	const struct child_desc *d = c->desc;
	const unsigned ms[CHILD_STATES] = { [CHILD_STARTING] = d->start_ms, [CHILD_READY] = d->beat_ms, [CHILD_STOPPING] = d->stop_ms };
	return ms[c->state];
}

void child_enter(struct child *c, enum child_state s)
{
	static const bool listens[CHILD_STATES] = { [CHILD_STARTING] = true, [CHILD_READY] = true };
	c->state = s;
	loop_timer_clear(c->timer);
	if (s == CHILD_BACKING_OFF)
		loop_timer_set(c->timer, c->wait_ms);
	else if (deadline_of(c))
		loop_timer_set(c->timer, deadline_of(c));
	if (!listens[s] || (s == CHILD_READY && c->desc->readiness != CHILD_READY_BYTE)) {
		readiness_free(c->readiness);
		c->readiness = NULL;
	}
	c->was_ready |= s == CHILD_READY;
}

/* Performs an action. Returns whether the child is ready at once, because its readiness needs no sign. */
static bool child_act(struct child *c, enum action a)
{
	switch (a) {
	case ACT_SPAWN:
		return child_spawn(c) && c->desc->readiness == CHILD_READY_AT_ONCE;
	case ACT_TELL_TO_END:
		if (c->desc->stop)
			c->desc->stop(c->arg);
		else
			child_signal(c, c->desc->stop_signal ? c->desc->stop_signal : SIGTERM);
		return false;
	case ACT_KILL:
		child_signal(c, SIGKILL);
		return false;
	case ACT_NOTHING:
		break;
	}
	return false;
}

void child_on(struct child *c, enum child_event ev, const struct child_end *e)
{
	const struct rule *r = &rules[c->state][ev];
	if (!r->act)
		return;
	child_enter(c, r->next);
	if (child_act(c, r->act))
		child_enter(c, CHILD_READY);
	if (c->state == CHILD_STARTING && !c->pid)
		return; /* its start failed, which is reported at the end of this turn */
	child_record_keep(c);
	if (c->desc->on_state)
		c->desc->on_state(c->arg, c->state, e);
}

static void on_child_timer(void *arg)
{
	struct child *c = arg;
	if (c->state == CHILD_STARTING || c->state == CHILD_READY)
		c->cause = c->state == CHILD_READY ? CHILD_MUTE : CHILD_LATE;
	child_on(c, EV_DUE, NULL);
}

/* --- calls of the user */

static void child_owned_free(struct list *node)
{
	child_free(CONTAINER_OF(node, struct child, node));
}

struct child *child_new(struct children *cs, const struct child_desc *d, void *arg)
{
	assert(d->burst <= CHILD_BURST_MAX);
	struct child *c = XNEW(struct child);
	c->all = cs;
	c->desc = d;
	c->arg = arg;
	c->timer = loop_timer_new(cs->loop, on_child_timer, c);
	loop_task_init(&c->unborn, child_unborn);
	list_append(&cs->owned, &c->node);
	cs->owned_free = child_owned_free;
	return c;
}

static void child_forget(struct child *c)
{
	list_remove(&c->node);
	loop_undefer(&c->unborn);
	loop_timer_free(c->timer);
	readiness_free(c->readiness);
	free(c->record);
	free(c);
}

void child_free(struct child *c)
{
	if (!c)
		return;
	watch_free(c->watch);
	child_forget(c);
}

void child_abandon(struct child *c)
{
	if (!c)
		return;
	watch_abandon(c->watch);
	c->state = CHILD_GONE;
	child_record_keep(c);
	child_forget(c);
}

bool child_start(struct child *c)
{
	if (!rules[c->state][EV_START].act)
		return false;
	c->failures = 0;
	child_on(c, EV_START, NULL);
	return true;
}

void child_start_now(struct child *c)
{
	if (c->state == CHILD_BACKING_OFF)
		child_on(c, EV_DUE, NULL);
}

void child_stop(struct child *c)
{
	child_on(c, EV_STOP, NULL);
}

void child_kill(struct child *c)
{
	child_on(c, EV_KILL, NULL);
}

int child_signal(struct child *c, int signo)
{
	return c->watch ? watch_signal(c->watch, signo) : -ESRCH;
}

void child_expect_end(struct child *c, unsigned ms)
{
	if (c->state == CHILD_STARTING || c->state == CHILD_READY)
		loop_timer_set(c->timer, ms);
}

void child_ready(struct child *c)
{
	child_on(c, EV_READY, NULL);
}

void child_beat(struct child *c)
{
	if (c->state == CHILD_READY && c->desc->beat_ms)
		loop_timer_set(c->timer, c->desc->beat_ms);
}

enum child_state child_state(const struct child *c)
{
	return c->state;
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

int64_t child_since_boot_ms(const struct child *c)
{
	return c->since_boot_ms;
}

unsigned child_failures(const struct child *c)
{
	return c->failures;
}

void child_forget_failures(struct child *c)
{
	c->failures = 0;
}
