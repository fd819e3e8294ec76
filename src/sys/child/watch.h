/*
 * watch: reports when a process ends. Floor F1, loop thread; nothing blocks. For children, whose exit status is known, and for adopted
 * processes, whose status is not.
 *
 * `struct children` holds what one process watches; it belongs to one loop and is the basis of child.h and job.h.
 */
#ifndef SYS_CHILD_WATCH_H
#define SYS_CHILD_WATCH_H

#include <sys/types.h>

#include "lucid/loop.h"

struct children;
struct children *children_new(struct loop *l);
/* Frees all children and watches without ending the processes. Takes NULL. Cancel jobs first. */
void children_free(struct children *cs);
/* The caller has reaped this pid itself, with this status of waitpid. True if it was watched here. */
bool children_told(struct children *cs, pid_t pid, int status);

/* How a process ended. */
struct obituary {
	pid_t pid;
	bool known; /* code and signal are valid; false for a process that is not a child of this one */
	int code;   /* exit code; -1 if a signal ended it */
	int signal; /* 0 if it exited */
	int64_t lived_ms;
};

struct watch;
typedef void (*watch_fn)(void *arg, const struct obituary *o);
/* Watches a child, or any process with this start time (0: any process with that pid). NULL with errno if it has ended (ESRCH) or
 * descriptors ran out. `fn` is called once, on a later turn; the watch frees itself before. */
struct watch *watch_new(struct children *cs, pid_t pid, uint64_t start_ticks, watch_fn fn, void *arg);
void watch_free(struct watch *w); /* takes NULL; does not end the process */
int watch_signal(struct watch *w, int signo); /* through the pidfd; 0 or -errno (-ESRCH: it has ended) */
/* Kills the process and frees the watch; the process is reaped in the background. Takes NULL. */
void watch_abandon(struct watch *w);
uint64_t watch_start(const struct watch *w); /* start time of its process; 0 if it had ended before the watch began */

/* Kills a child of this process that could not be watched because descriptors ran out; it is reaped later. */
void child_disown(struct children *cs, pid_t pid);

#endif
