#include "lucid/pool.h"

#include <pthread.h>
#include <signal.h>

#include "lucid/errs.h"

struct pool {
	struct loop *loop;
	char name[16];
	unsigned nthreads, started;
	pthread_t *threads;
	void *(*worker_new)(void *arg);
	void (*worker_free)(void *worker);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct list jobs;
	size_t depth, max;
	bool closing;
};

struct pool *pool_new(struct loop *l, const char *name, unsigned threads, size_t max_jobs,
		      void *(*worker_new)(void *arg), void (*worker_free)(void *worker), void *arg)
{
	struct pool *p = XNEW(struct pool);
	p->loop = l;
	strncpy(p->name, name, sizeof p->name - 1);
	p->nthreads = threads;
	p->threads = xcalloc(threads, sizeof *p->threads);
	p->worker_new = worker_new;
	p->worker_free = worker_free;
	p->arg = arg;
	p->max = max_jobs;
	list_init(&p->jobs);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	return p;
}

static void on_done(struct loop_task *t)
{
	struct pool_job *j = CONTAINER_OF(t, struct pool_job, task);
	j->done(j);
}

static void *work(void *arg)
{
	struct pool *p = arg;
	pthread_setname_np(pthread_self(), p->name);
	void *worker = p->worker_new ? p->worker_new(p->arg) : NULL;
	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct list *n = list_take_first(&p->jobs);
		if (!n) {
			if (p->closing)
				break;
			pthread_cond_wait(&p->more, &p->lock);
			continue;
		}
		p->depth--;
		pthread_mutex_unlock(&p->lock);
		struct pool_job *j = CONTAINER_OF(n, struct pool_job, task.node);
		j->run(j, worker);
		loop_post(p->loop, &j->task);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	if (p->worker_free)
		p->worker_free(worker);
	return NULL;
}

/* Signals belong to the loop thread. */
static bool start_thread(struct pool *p)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	bool ok = pthread_create(&p->threads[p->started], NULL, work, p) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ok)
		p->started++;
	return ok;
}

int pool_submit(struct pool *p, struct pool_job *j)
{
	loop_task_init(&j->task, on_done);
	pthread_mutex_lock(&p->lock);
	bool room = p->depth < p->max && !p->closing;
	/* a thread more while work queues up and there are fewer than wanted */
	if (room && p->started < p->nthreads && (!p->started || p->depth))
		start_thread(p);
	room = room && p->started;
	if (room) {
		list_append(&p->jobs, &j->task.node);
		p->depth++;
		pthread_cond_signal(&p->more);
	}
	pthread_mutex_unlock(&p->lock);
	return room ? 0 : -ERR_BUSY;
}

size_t pool_depth(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	size_t n = p->depth;
	pthread_mutex_unlock(&p->lock);
	return n;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		pthread_join(p->threads[i], NULL);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->more);
	free(p->threads);
	free(p);
}
