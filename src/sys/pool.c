#include "lucid/pool.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "lucid/errs.h"
#include "sys/thread.h"

struct worker {
	struct list node; /* in pool.resting */
	struct pool *pool;
	pthread_t thread;
	pthread_cond_t wake;
};

struct pool {
	struct loop *loop;
	char name[16];
	unsigned nthreads, started;
	struct worker **workers;
	struct worker *ended; /* the last worker that ended when idle, not joined yet; it joins its predecessor */
	void *(*worker_new)(void *arg);
	void (*worker_free)(void *worker);
	void *arg;
	pthread_mutex_t lock;
	struct list resting; /* last in, first out: surplus workers stay idle and can end */
	struct list jobs;
	size_t depth, max;
	unsigned keep, idle_ms; /* idle_ms 0: workers do not end when idle */
	bool closing;
};

struct pool *pool_new(struct loop *l, const char *name, unsigned threads, size_t max_jobs,
		      void *(*worker_new)(void *arg), void (*worker_free)(void *worker), void *arg)
{
	struct pool *p = XNEW(struct pool);
	p->loop = l;
	strncpy(p->name, name, sizeof p->name - 1);
	p->nthreads = threads;
	p->workers = xcalloc(threads, sizeof(struct worker *));
	p->worker_new = worker_new;
	p->worker_free = worker_free;
	p->arg = arg;
	p->max = max_jobs;
	list_init(&p->jobs);
	list_init(&p->resting);
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void pool_let_end(struct pool *p, unsigned keep, unsigned idle_ms)
{
	p->keep = keep;
	p->idle_ms = idle_ms;
}

/* --- on a worker */

static void on_pool_job_done(struct loop_task *t)
{
	struct pool_job *j = CONTAINER_OF(t, struct pool_job, task);
	j->done(j);
}

static int wait_ms(struct worker *w, unsigned ms)
{
	struct timespec ts;
	if (!ms)
		return pthread_cond_wait(&w->wake, &w->pool->lock);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += ms % 1000 * 1000000L;
	ts.tv_sec += ms / 1000 + ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return pthread_cond_timedwait(&w->wake, &w->pool->lock, &ts);
}

/* Called with the lock held. False: the worker was idle for idle_ms and may end. */
static bool rest(struct worker *w)
{
	struct pool *p = w->pool;
	list_prepend(&p->resting, &w->node);
	bool idle = wait_ms(w, p->idle_ms) == ETIMEDOUT && !list_empty(&w->node);
	list_remove(&w->node);
	return !idle || p->closing || p->started <= p->keep || !list_empty(&p->jobs);
}

static void worker_forget(struct worker *w)
{
	pthread_cond_destroy(&w->wake);
	free(w);
}

static void join_ended(struct worker *w)
{
	if (!w)
		return;
	pthread_join(w->thread, NULL);
	worker_forget(w);
}

/* Called with the lock held, for a worker that ends. Returns the one that ended before it, which must be joined. */
static struct worker *leave(struct worker *w)
{
	struct pool *p = w->pool;
	struct worker *before = p->ended;
	unsigned i = 0;
	while (p->workers[i] != w)
		i++;
	p->workers[i] = p->workers[--p->started];
	p->ended = w;
	return before;
}

/* Called with the lock held; releases it while a job runs. Returns a worker to join, or NULL. */
static struct worker *run_jobs(struct worker *w, void *own)
{
	struct pool *p = w->pool;
	for (;;) {
		struct list *n = list_take_first(&p->jobs);
		if (!n && p->closing)
			return NULL;
		if (!n && !rest(w))
			return leave(w);
		if (!n)
			continue;
		p->depth--;
		pthread_mutex_unlock(&p->lock);
		struct pool_job *j = CONTAINER_OF(n, struct pool_job, task.node);
		j->run(j, own);
		loop_post(p->loop, &j->task);
		pthread_mutex_lock(&p->lock);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	void *own = p->worker_new ? p->worker_new(p->arg) : NULL;
	pthread_mutex_lock(&p->lock);
	struct worker *before = run_jobs(w, own);
	pthread_mutex_unlock(&p->lock);
	if (p->worker_free)
		p->worker_free(own);
	join_ended(before);
	return NULL;
}

/* --- on the loop */

static struct worker *worker_make(struct pool *p)
{
	struct worker *w = XNEW(struct worker);
	pthread_condattr_t attr;
	w->pool = p;
	list_init(&w->node);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
	return w;
}

/* Called with the lock held. */
static void start_thread(struct pool *p)
{
	struct worker *w = worker_make(p);
	if (thread_start(&w->thread, p->name, 0, work, w) == 0)
		p->workers[p->started++] = w;
	else
		worker_forget(w);
}

/* Called with the lock held. */
static void wake_one(struct pool *p)
{
	struct list *n = list_take_first(&p->resting);
	if (n)
		pthread_cond_signal(&CONTAINER_OF(n, struct worker, node)->wake);
}

int pool_submit(struct pool *p, struct pool_job *j)
{
	loop_task_init(&j->task, on_pool_job_done);
	pthread_mutex_lock(&p->lock);
	bool room = p->depth < p->max && !p->closing;
	/* start another thread if jobs are queued, no worker is idle and the maximum is not reached */
	if (room && p->started < p->nthreads && (!p->started || (p->depth && list_empty(&p->resting))))
		start_thread(p);
	room = room && p->started;
	if (room) {
		list_append(&p->jobs, &j->task.node);
		p->depth++;
		wake_one(p);
	}
	pthread_mutex_unlock(&p->lock);
	return room ? 0 : -ERR_BUSY;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->closing = true; /* from now on no worker ends when idle */
	while (!list_empty(&p->resting))
		wake_one(p);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		join_ended(p->workers[i]);
	join_ended(p->ended);
	pthread_mutex_destroy(&p->lock);
	free(p->workers);
	free(p);
}
