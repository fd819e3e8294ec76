/*
 * pool: a few threads for work that blocks. Floor F1; submit on the loop thread. A job works on copies and returns its results. It
 * finds its requester by id, never by pointer, because the requester may be gone. A full pool refuses at once.
 */
#ifndef LUCID_POOL_H
#define LUCID_POOL_H

#include "lucid/loop.h"

struct pool;
struct pool_job {
	struct loop_task task;			/* used by the pool */
	void (*run)(struct pool_job *j, void *worker); /* on a worker */
	void (*done)(struct pool_job *j);	/* on the loop; frees the job */
};

/* worker_new and worker_free (may be NULL) run on each thread and create and free what it keeps, such as a connection. Threads start
 * when jobs need them. */
struct pool *pool_new(struct loop *l, const char *name, unsigned threads, size_t max_jobs,
		      void *(*worker_new)(void *arg), void (*worker_free)(void *worker), void *arg);
/* Let threads beyond `keep` end after idle_ms without work; they are started again when needed. Call it before the first job. */
void pool_let_end(struct pool *p, unsigned keep, unsigned idle_ms);
/* -ERR_BUSY when max_jobs are queued, or no thread can be started; the caller then still owns the job. */
int pool_submit(struct pool *p, struct pool_job *j);
/* Runs the queued jobs, then ends the threads; blocks until then. `done` of finished jobs is still called on the loop. */
void pool_free(struct pool *p);

#endif
