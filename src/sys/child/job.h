/*
 * job: work in a forked child, with a deadline. Floor F1, loop thread; nothing blocks, except the fork. For work that may block or take
 * long, in a process with one thread. Uses child.h: a job is a child that never becomes ready and must end within its deadline.
 */
#ifndef SYS_CHILD_JOB_H
#define SYS_CHILD_JOB_H

#include "sys/child/watch.h"

#define JOBS_MAX 2048 /* concurrent jobs of one `struct children`; further ones fail */
#define JOB_MAX_OUT (256 * 1024)

/* Runs in the child, in a session of its own, without descriptors above 2 except `out`, from which at most JOB_MAX_OUT bytes are kept.
 * Returns the exit code. */
typedef int (*job_fn)(void *in, int out);
/* code: the exit code, or -ERR_DEADLINE (killed), -ERR_INTERNAL (died, or could not be started), -ERR_TOO_LARGE (succeeded, but wrote more
 * than JOB_MAX_OUT). Called once, never within job_start. */
typedef void (*job_done)(void *arg, int code, const char *text, size_t len);
struct job;
struct job *job_start(struct children *cs, job_fn fn, void *in, unsigned deadline_ms, job_done done, void *arg);
void job_cancel(struct job *j); /* takes NULL; kills the job, done is not called */
void jobs_cancel_all(struct children *cs);
size_t jobs_running(const struct children *cs);

/* In the job: pass one descriptor to the parent (with a newline as text). In done: take it; -1 if none was passed. */
bool job_pass_fd(int out, int fd);
int job_take_fd(struct children *cs);

#endif
