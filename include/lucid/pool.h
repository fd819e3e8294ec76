/*
 * pool: a few threads for what blocks. Floor F1; submit on the loop thread. A job gets copies and gives results back; it
 * finds its requester again by id, never by pointer. A full pool refuses at once.
 */
#ifndef LUCID_POOL_H
#define LUCID_POOL_H

#include "lucid/loop.h"

struct pool;
struct pool_job {
	struct loop_task task;			/* the pool's */
	void (*run)(struct pool_job *j, void *worker); /* on a worker */
	void (*done)(struct pool_job *j);	/* on the loop; frees the job */
};

/* worker_new/worker_free (may be NULL) make what each thread keeps (a connection, a context), on that thread. Threads are
 * started with the first job. */
struct pool *pool_new(struct loop *l, const char *name, unsigned threads, size_t max_jobs,
		      void *(*worker_new)(void *arg), void (*worker_free)(void *worker), void *arg);
/* Threads beyond `keep` that had no work for idle_ms end; more work starts them anew. Before the first job. */
void pool_let_end(struct pool *p, unsigned keep, unsigned idle_ms);
/* -ERR_BUSY when max_jobs wait; the job is then still the caller's. */
int pool_submit(struct pool *p, struct pool_job *j);
size_t pool_depth(struct pool *p);
/* Runs what is queued, then ends the threads; blocks for that. `done` of finished jobs still comes on the loop. */
void pool_free(struct pool *p);

#endif
