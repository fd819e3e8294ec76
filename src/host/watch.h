/*
 * watch: deaths of processes, and short-lived children with a deadline. Floor F3, supervisor only, loop thread; nothing
 * blocks. Works for children (exit status known) and for processes that were adopted (status unknown).
 */
#ifndef HOST_WATCH_H
#define HOST_WATCH_H

#include <sys/types.h>

#include "host/core.h"

/* Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat): with it and the boot id a pid names one
 * process for ever. 0 when there is no such process or it is a zombie (dead, not yet reaped). */
uint64_t proc_start(pid_t pid);
/* Parent and command name; false when gone. comm may be NULL. */
bool proc_parent(pid_t pid, pid_t *ret_ppid, char comm[17]);

struct watch;
/* `known`: status is as waitpid gives it; else the process was not our child. Freed after the call. */
typedef void (*watch_fn)(void *arg, pid_t pid, bool known, int status);
/* Watch a child, or any process that still has this start time (0: whatever it has). NULL when it is gone already. */
struct watch *watch_new(struct host *h, pid_t pid, uint64_t start, watch_fn fn, void *arg);
struct watch *watch_of_node(struct list *n); /* of host->watches */
void watch_free(struct watch *w); /* takes NULL; the process is left alone */
/* Signal through the pidfd: never hits another process. 0 or -errno (-ESRCH: gone). */
int watch_signal(struct watch *w, int signo);
/* The supervisor reaped this pid itself. True when somebody here was watching it. */
bool watch_told(struct host *h, pid_t pid, int status);

/* A job: `fn` runs in a forked child (session of its own, descriptors above 2 closed but `out`), writes what it found to
 * `out` (at most JOB_MAX_OUT bytes are kept), returns its exit code. */
#define JOB_MAX_OUT (256 * 1024)
typedef int (*job_fn)(void *in, int out);
/* code: exit code, or -ERR_DEADLINE (killed), or -ERR_INTERNAL (died, could not be forked). Called once, never inside
 * job_start. */
typedef void (*job_done)(void *arg, int code, const char *text, size_t len);
struct job;
struct job *job_start(struct host *h, job_fn fn, void *in, unsigned deadline_ms, job_done done, void *arg);
void job_cancel(struct job *j); /* takes NULL; killed, done is not called */
void jobs_cancel_all(struct host *h);
/* In the job: hand one descriptor to the parent (a newline goes along as text). In done: take it; -1 if none came. */
bool job_pass_fd(int out, int fd);
int job_take_fd(struct host *h);

/* In a child just forked: default signals, a session of its own, no descriptors above 2 but `keep` (moved to 3; -1: none),
 * standard input and output on /dev/null. */
void child_clean(int keep);
/* In a child just forked by `parent`, before it does anything: it dies with the one that forked it. */
void child_tie(pid_t parent);

#endif
