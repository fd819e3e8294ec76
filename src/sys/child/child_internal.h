/* child_internal: struct child, and the functions that child.c, child_life.c and child_record.c share. Floor F1, loop thread; only they
 * include this header. */
#ifndef SYS_CHILD_CHILD_INTERNAL_H
#define SYS_CHILD_CHILD_INTERNAL_H

#include "sys/child/child_desc.h"
#include "sys/child/children.h"

struct child {
	struct list node; /* all->owned */
	struct children *all;
	const struct child_desc *desc;
	void *arg;
	enum child_state state;
	struct watch *watch;
	pid_t pid;
	int64_t since_wall_ms, since_boot_ms;
	bool was_ready;
	enum child_cause cause; /* of the expected end, if this process causes it */
	unsigned failures;
	int64_t wait_ms; /* BACKING_OFF: its duration */
	struct readiness *readiness;
	struct loop_timer *timer; /* of the state */
	struct loop_task unborn;
	int unborn_err;
	int64_t starts[CHILD_BURST_MAX]; /* monotonic; a ring */
	size_t nstarts;
	char *record; /* path of the record of child_resume; otherwise NULL */
};

enum child_event {
	EV_START,
	EV_READY,
	EV_DUE, /* the timer of the state has expired */
	EV_STOP,
	EV_KILL,
	/* a process has ended; by what follows */
	EV_AGAIN,
	EV_NO_MORE,
	EV_SPENT,
	EVENTS
};

/* child.c */
void child_enter(struct child *c, enum child_state s); /* the only place where a state changes; does not call on_state */
/* Applies the table, then calls on_state. An event without a rule in the current state is ignored. */
void child_on(struct child *c, enum child_event ev, const struct child_end *e);

/* child_record.c */
void child_record_keep(const struct child *c); /* writes or removes the record, according to the state */

/* child_life.c */
/* Starts the process of the plan; false if there is none. A failed start is reported as an end when the loop's turn ends. */
bool child_spawn(struct child *c);
void child_unborn(struct loop_task *t); /* reports the failed start */
/* A process has ended: counts it, and lets the verdict decide what follows. `err`: errno of a failed start. */
void child_ended(struct child *c, const struct obituary *o, enum child_cause cause, int err);
void child_on_end(void *child, const struct obituary *o); /* callback of the watch */

#endif
