#include "store/mongo/jobs.h"

#include "lucid/log.h"
#include "store/mongo/db.h"

#define KEEP_THREADS 2
#define IDLE_MS 60000 /* a thread beyond KEEP_THREADS ends after this time without work */

struct job {
	struct pool_job pool;
	struct list node;
	struct mongo_turn turn;
	struct mongo_jobs *js;
	struct store_request *r;
	bool sent; /* was given to the pool */
};

/* --- on a thread of the pool */

/* What such a thread keeps. The library's pool closes clients that are given back beyond min_clients. */
struct worker {
	struct mongo_jobs *js;
	mongoc_client_t *client;
};

static void *worker_new(void *js)
{
	struct worker *w = XNEW(struct worker);
	w->js = js;
	return w;
}

static void worker_free(void *worker)
{
	struct worker *w = worker;
	if (w->client)
		mongoc_client_pool_push(w->js->clients, w->client);
	free(w);
}

static bool run_writes(mongoc_client_t *c, const char *database, struct store_request *r, struct mongo_fault *f)
{
	r->result = STORE_OK;
	for (size_t i = 0; i < r->nops && r->result == STORE_OK; i++) {
		r->failed_index = i;
		if (!mongo_write(c, database, &r->ops[i], &r->result, f))
			return false;
	}
	return true;
}

static void run_request(struct mongo_jobs *js, mongoc_client_t *c, struct store_request *r)
{
	struct mongo_fault f = { 0 };
	bool ok = r->kind == STORE_KIND_WRITE ? run_writes(c, js->database, r, &f) :
		  r->kind == STORE_KIND_GET   ? mongo_get(c, js->database, r, &f) :
						mongo_list(c, js->database, r, &f);
	if (ok)
		return;
	store_request_fail(r, r->kind == STORE_KIND_WRITE && f.uncertain ? -ERR_UNCERTAIN : f.err);
	if (f.down)
		mongo_monitor_unreachable(js->monitor, &f);
	else
		log_warn("store", "%s", f.why);
}

static void serve(struct worker *w, struct store_request *r)
{
	enum mongo_state s = mongo_monitor_state(w->js->monitor);
	if (!store_request_start(r))
		return;
	if (s == MONGO_UP && !w->client)
		w->client = mongoc_client_pool_pop(w->js->clients);
	if (s == MONGO_UP && w->client)
		run_request(w->js, w->client, r);
	else
		store_request_fail(r, s == MONGO_UP ? -ERR_BUSY : -ERR_UNAVAILABLE);
}

static void return_request(struct mongo_jobs *js, struct store_request *r)
{
	struct list batch;
	list_init(&batch);
	list_append(&batch, &r->node);
	store_driver_done(js->store, &batch, r->kind == STORE_KIND_WRITE);
}

static void job_run(struct pool_job *p, void *worker)
{
	struct job *j = CONTAINER_OF(p, struct job, pool);
	serve(worker, j->r);
	return_request(j->js, j->r);
}

/* --- on the loop thread */

static void job_fail(struct job *j, int err)
{
	store_request_start(j->r);
	store_request_fail(j->r, err);
	return_request(j->js, j->r);
}

static void job_go(struct mongo_turn *t);

static void job_free(struct job *j)
{
	mongo_order_leave(j->js->order, &j->turn, job_go);
	list_remove(&j->node);
	free(j);
}

static void job_done(struct pool_job *p)
{
	job_free(CONTAINER_OF(p, struct job, pool));
}

/* Its turn has come: earlier writes of its documents are done. */
static void job_go(struct mongo_turn *t)
{
	struct job *j = CONTAINER_OF(t, struct job, turn);
	j->sent = pool_submit(j->js->pool, &j->pool) == 0;
	if (j->sent)
		return;
	job_fail(j, -ERR_BUSY);
	job_free(j);
}

void mongo_jobs_submit(struct mongo_jobs *js, struct store_request *r)
{
	struct job *j = XNEW(struct job);
	j->pool.run = job_run;
	j->pool.done = job_done;
	j->js = js;
	j->r = r;
	list_append(&js->jobs, &j->node);
	if (mongo_order_enter(js->order, &j->turn, r))
		job_go(&j->turn);
}

void mongo_jobs_init(struct mongo_jobs *js, const struct store_options *o)
{
	list_init(&js->jobs);
	js->order = mongo_order_new();
	js->pool = pool_new(js->loop, "store-mongo", MAX(o->max_clients, 1), 2 * o->queue_limit, worker_new, worker_free, js);
	pool_let_end(js->pool, KEEP_THREADS, o->idle_ms ? o->idle_ms : IDLE_MS);
}

void mongo_jobs_done(struct mongo_jobs *js)
{
	struct list *n;
	pool_free(js->pool);
	while ((n = list_take_first(&js->jobs))) {
		struct job *j = CONTAINER_OF(n, struct job, node);
		if (j->sent) /* it ran, but the loop has not called job_done yet */
			loop_unpost(js->loop, &j->pool.task);
		else
			job_fail(j, -ERR_UNAVAILABLE);
		free(j->turn.places);
		free(j);
	}
	mongo_order_free(js->order);
}
