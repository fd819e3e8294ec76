/* child_desc: the description of a supervised child, and what its user is told: states, ends, verdicts. Floor F1. Part of child.h. */
#ifndef SYS_CHILD_CHILD_DESC_H
#define SYS_CHILD_CHILD_DESC_H

#include "sys/child/readiness.h"
#include "sys/child/spawn.h"
#include "sys/child/watch.h"

enum child_state {
	CHILD_GONE,	   /* no process, and none is wanted */
	CHILD_STARTING,	   /* not ready yet */
	CHILD_READY,
	CHILD_STOPPING,	   /* asked to end */
	CHILD_KILLED,	   /* SIGKILL was sent, because the process is no longer wanted */
	CHILD_BROKEN,	   /* SIGKILL was sent, because it was not ready in time or its heartbeat stopped; it is restarted */
	CHILD_BACKING_OFF, /* no process; it is restarted after a wait */
	CHILD_GAVE_UP,	   /* no process; it failed too often, or permanently */
	CHILD_STATES
};

/* Why a process ended. */
enum child_cause {
	CHILD_ENDED,	/* it ended by itself, or another process ended it */
	CHILD_LATE,	/* it was not ready within its deadline, and was killed */
	CHILD_MUTE,	/* its heartbeat stopped, and it was killed */
	CHILD_NOT_BORN, /* it could not be started: `err` */
	CHILD_HELD,	/* its plan postponed the start too often */
	CHILD_UNSEEN,	/* it ended while no supervisor ran */
};

struct child_end {
	struct obituary obituary;
	enum child_cause cause;
	int err;	   /* errno of a failed start; otherwise 0 */
	unsigned failures; /* consecutive, including this one; 0 after a healthy run */
	bool was_ready;
	int64_t wait_ms; /* until the restart; only with on_state(CHILD_BACKING_OFF) */
};

enum child_verdict {
	CHILD_AGAIN,	/* restart after the back-off */
	CHILD_NO_MORE,	/* GONE */
	CHILD_GIVE_UP,	/* GAVE_UP */
};

/* Borrowed while the child exists. Durations of 0: no limit. */
struct child_desc {
	const char *name; /* for the log */
	/* Fills in a plan that is all zero; its strings are freed after the fork. 0: start it. Above 0: not now, call again in that many
	 * milliseconds; this counts as a failure. Below 0: -errno, it cannot be started. */
	int (*plan)(void *arg, struct child_plan *ret);
	/* Decides what follows an end; must not change anything. Not called after a stop, or beyond `give_up`. NULL: CHILD_AGAIN. */
	enum child_verdict (*verdict)(void *arg, const struct child_end *e);
	/* A state was entered; `e` is the end that led to it, or NULL. Not called for a state that is left in the same step, nor for a
	 * STARTING without a process. It is the last step, so it may call anything, including child_free. */
	void (*on_state)(void *arg, enum child_state now, const struct child_end *e);

	enum child_readiness readiness;
	int ready_to;		  /* number of the readiness descriptor in the child */
	bool (*probe)(void *arg);
	unsigned start_ms;	  /* until it is ready */
	unsigned beat_ms;	  /* maximum time between two heartbeats once it is ready; child_beat */
	void (*stop)(void *arg);  /* asks it to end, and must not call anything here; NULL: send `stop_signal` */
	int stop_signal;	  /* 0: SIGTERM */
	unsigned stop_ms;	  /* time from then until SIGKILL */

	unsigned healthy_ms;	  /* a run of at least this time resets the count of failures */
	unsigned free_failures;	  /* after up to so many consecutive failures it is restarted at once */
	unsigned back_off_ms, back_off_most_ms; /* after that, doubling; the first is also the minimum after a failed start */
	unsigned give_up;	  /* more consecutive failures than this: GAVE_UP; 0: never */
	/* At most so many starts within `burst_ms`, even without failures; 0: no limit. */
	unsigned burst;
	unsigned burst_ms;
};
#define CHILD_BURST_MAX 16

#endif
