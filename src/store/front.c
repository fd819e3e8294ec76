#include "lucid/store.h"

#include <pthread.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "store/cache.h"
#include "store/driver.h"
#include "store/figures.h"
#include "store/flights.h"
#include "store/health.h"
#include "store/lists.h"

#define DEFAULT_CACHE_BYTES (8u << 20)

struct store {
	struct loop *loop;
	const struct store_driver_ops *ops;
	struct store_driver *driver;
	struct store_cache *cache;
	struct flights *flights; /* NULL: reads are not coalesced */
	struct lists *lists;	 /* NULL: answers to lists are not kept */
	struct list departing;	 /* to the driver, at the end of this turn */
	struct loop_task depart;
	size_t queue_limit, writes, reads; /* reads and writes that the driver has */
	int64_t timeout_us;
	bool closing;
	struct list waiting; /* not answered, oldest first; all have the same timeout */
	struct loop_timer *deadline;
	struct list ready; /* to be answered on a later turn, without the driver */
	struct loop_task run_ready;
	struct store_health health;
	struct store_figures m;
	/* from other threads */
	pthread_mutex_t lock;
	struct list done;
	unsigned batches;
	bool posted;
	struct store_report report;
	const char *note; /* static; under the lock, like the report */
	struct loop_task take_done;
};

/* --- answers */

static void answer(struct store *s, struct store_request *r)
{
	metric_add(s->m.results[r->kind][r->result], 1);
	metric_observe(s->m.seconds[r->kind], (double)(clock_mono_us() - r->started_us) / 1e6);
	r->answered = true;
	if (r->kind == STORE_KIND_WRITE) {
		r->done.write(r->result, r->failed_index, r->err, r->arg);
	} else if (r->kind == STORE_KIND_GET) {
		struct store_doc doc = { r->text, r->version };
		r->done.get(r->result, r->result == STORE_OK ? &doc : NULL, r->err, r->arg);
	} else {
		r->done.list(r->result, r->docs, r->ndocs, r->total, r->err, r->arg);
	}
}

static void on_ready(struct loop_task *t)
{
	struct store *s = CONTAINER_OF(t, struct store, run_ready);
	struct list batch, *n;
	list_init(&batch);
	while ((n = list_take_first(&s->ready)))
		list_append(&batch, n);
	while ((n = list_take_first(&batch))) {
		struct store_request *r = CONTAINER_OF(n, struct store_request, node);
		answer(s, r);
		store_request_free(r);
	}
}

static void make_ready(struct store *s, struct store_request *r)
{
	list_append(&s->ready, &r->node);
	loop_defer(s->loop, &s->run_ready);
}

/* The deadline has passed. If the driver has not started the request, it will not; otherwise a write may have taken effect. */
static void expire(struct store *s, struct store_request *r)
{
	bool begun = !store_request_give_up(r);
	list_remove(&r->waiting);
	r->answered = true;
	/* answered through a copy: the driver may be filling in the request itself */
	struct store_request late = { .kind = r->kind, .started_us = r->started_us, .done = r->done, .arg = r->arg };
	late.total = -1;
	store_request_fail(&late, begun && r->kind == STORE_KIND_WRITE ? -ERR_UNCERTAIN : -ERR_DEADLINE);
	answer(s, &late);
}

static void on_deadline(void *arg)
{
	struct store *s = arg;
	int64_t now = clock_mono_us();
	while (!list_empty(&s->waiting)) {
		struct store_request *r = CONTAINER_OF(s->waiting.next, struct store_request, waiting);
		if (r->deadline_us > now) {
			loop_timer_set_us(s->deadline, r->deadline_us - now);
			return;
		}
		expire(s, r);
	}
}

/* --- to the driver and back */

static bool cached(const struct store_request_op *op)
{
	return !store_collections[op->col].uncached;
}

static void cache_begin(struct store *s, struct store_request *r)
{
	for (size_t i = 0; s->lists && r->kind == STORE_KIND_WRITE && i < r->nops; i++)
		lists_written(s->lists, r->ops[i].col);
	if (s->lists && r->kind == STORE_KIND_LIST)
		r->generation = lists_generation(s->lists, r->col);
	if (r->kind == STORE_KIND_WRITE)
		for (size_t i = 0; i < r->nops; i++)
			r->ops[i].entry =
				cached(&r->ops[i]) ? store_cache_begin_write(s->cache, r->ops[i].col, r->ops[i].id) : NULL;
	else if (r->kind == STORE_KIND_GET && cached(&r->ops[0]))
		r->ops[0].entry = store_cache_begin_read(s->cache, r->ops[0].col, r->ops[0].id, &r->generation);
}

static void cache_end(struct store *s, struct store_request *r)
{
	for (size_t i = 0; s->lists && r->kind == STORE_KIND_WRITE && i < r->nops; i++)
		lists_written(s->lists, r->ops[i].col);
	if (s->lists && r->kind == STORE_KIND_LIST && store_request_begun(r) && r->result == STORE_OK && !store_collections[r->col].uncached)
		lists_keep(s->lists, r);
	if (r->kind == STORE_KIND_GET) {
		store_cache_end_read(s->cache, r->ops[0].entry, r->generation, r->result == STORE_FAILED, r->text,
				     r->version);
		return;
	}
	for (size_t i = 0; r->kind == STORE_KIND_WRITE && i < r->nops; i++) {
		struct store_request_op *op = &r->ops[i];
		enum cache_outcome o = op->verb == STORE_DELETE ? CACHE_DELETED : CACHE_STORED;
		if (r->result != STORE_OK) /* the operations before the failed one may have taken effect */
			o = i < r->failed_index || r->err == -ERR_UNCERTAIN ? CACHE_UNKNOWN : CACHE_SAME;
		store_cache_end_write(s->cache, op->entry, o, op->text, op->version);
	}
}

static void submit_request(struct store *s, struct store_request *r)
{
	cache_begin(s, r);
	s->ops->submit(s->driver, r);
}

static void on_depart(struct loop_task *t)
{
	struct store *s = CONTAINER_OF(t, struct store, depart);
	struct list *n;
	while ((n = list_take_first(&s->departing))) {
		struct store_request *r = CONTAINER_OF(n, struct store_request, node);
		flights_depart(s->flights, r);
		submit_request(s, r);
	}
}

static void depart_soon(struct store *s, struct store_request *r)
{
	list_append(&s->departing, &r->node);
	loop_defer(s->loop, &s->depart);
}

static void launch(struct store *s, struct store_request *r)
{
	bool write = r->kind == STORE_KIND_WRITE;
	r->started_us = clock_mono_us();
	if (!r->err && s->closing)
		store_request_fail(r, -ERR_UNAVAILABLE);
	if (!r->err && (write ? s->writes : s->reads) >= s->queue_limit)
		store_request_fail(r, -ERR_BUSY);
	if (r->err) {
		make_ready(s, r);
		return;
	}
	if (write)
		metric_set(s->m.depth, (double)++s->writes);
	else
		s->reads++;
	r->deadline_us = r->started_us + s->timeout_us;
	list_append(&s->waiting, &r->waiting);
	if (!loop_timer_pending(s->deadline))
		loop_timer_set_us(s->deadline, s->timeout_us);
	if (write || !s->flights)
		submit_request(s, r);
	else if (flights_enter(s->flights, r))
		depart_soon(s, r);
}

static void finish_one(struct store *s, struct store_request *r)
{
	list_remove(&r->waiting);
	if (r->kind == STORE_KIND_WRITE)
		metric_set(s->m.depth, (double)--s->writes);
	else
		s->reads--;
	if (!r->answered)
		answer(s, r);
	store_request_free(r);
}

static void request_finish(struct store *s, struct store_request *r)
{
	struct store_request *next = NULL;
	struct store_request *q;
	struct list same, *n;
	list_init(&same);
	cache_end(s, r);
	metric_set(s->m.cache_bytes, (double)store_cache_bytes(s->cache));
	if (s->flights && r->kind != STORE_KIND_WRITE)
		next = flights_leave(s->flights, r, &same);
	LIST_FOREACH(q, &same, node)
		store_request_copy_answer(q, r);
	finish_one(s, r);
	while ((n = list_take_first(&same))) {
		metric_add(s->m.coalesced, 1);
		finish_one(s, CONTAINER_OF(n, struct store_request, node));
	}
	if (next && s->closing) {
		store_request_start(next); /* and with it the requests that joined it */
		store_request_fail(next, -ERR_UNAVAILABLE);
		request_finish(s, next);
	} else if (next) {
		depart_soon(s, next);
	}
}

static void on_requests_done(struct loop_task *t)
{
	struct store *s = CONTAINER_OF(t, struct store, take_done);
	struct list batch, *n;
	list_init(&batch);
	pthread_mutex_lock(&s->lock);
	s->posted = false;
	while ((n = list_take_first(&s->done)))
		list_append(&batch, n);
	struct store_report report = s->report;
	const char *note = s->note;
	s->report.pending = false;
	metric_add(s->m.batches, s->batches);
	s->batches = 0;
	pthread_mutex_unlock(&s->lock);
	store_health_note(&s->health, note);
	if (report.pending)
		store_health_take(&s->health, &report);
	while ((n = list_take_first(&batch)))
		request_finish(s, CONTAINER_OF(n, struct store_request, node));
}

/* Called with the lock held; releases it. */
static void post_and_unlock(struct store *s)
{
	bool first = !s->posted;
	s->posted = true;
	pthread_mutex_unlock(&s->lock);
	if (first)
		loop_post(s->loop, &s->take_done);
}

void store_driver_done(struct store *s, struct list *requests, unsigned batches)
{
	struct list *n;
	if (list_empty(requests))
		return;
	pthread_mutex_lock(&s->lock);
	while ((n = list_take_first(requests)))
		list_append(&s->done, n);
	s->batches += batches;
	post_and_unlock(s);
}

void store_driver_report(struct store *s, int err, const char *why, bool opening)
{
	pthread_mutex_lock(&s->lock);
	/* a later report does not replace the result of an opening that was not delivered yet */
	if (opening)
		s->report.opened = !err;
	s->report.opening = opening || (s->report.pending && s->report.opening);
	s->report.pending = true;
	s->report.err = err;
	snprintf(s->report.why, sizeof s->report.why, "%s", why ? why : "");
	post_and_unlock(s);
}

void store_driver_note(struct store *s, const char *note)
{
	pthread_mutex_lock(&s->lock);
	s->note = note;
	pthread_mutex_unlock(&s->lock);
}

/* --- lucid/store.h */

void store_write(struct store *s, const struct store_op *ops, size_t n, store_write_done done, void *arg)
{
	struct store_request *r = store_request_write(ops, n);
	r->done.write = done;
	r->arg = arg;
	launch(s, r);
}

void store_get(struct store *s, enum store_collection col, const char *id, store_get_done done, void *arg)
{
	struct store_request *r = store_request_get(col, id);
	struct store_doc doc;
	r->done.get = done;
	r->arg = arg;
	if (r->err || s->closing || !store_peek(s, col, id, &doc)) {
		launch(s, r);
		return;
	}
	r->started_us = clock_mono_us();
	r->result = STORE_OK;
	r->text = blob_ref(doc.text);
	r->version = doc.version;
	make_ready(s, r);
}

void store_list(struct store *s, enum store_collection col, const struct store_query *q, store_list_done done, void *arg)
{
	struct store_request *r = store_request_list(col, q);
	r->done.list = done;
	r->arg = arg;
	if (r->err || s->closing || !s->lists || !lists_answer(s->lists, r)) {
		launch(s, r);
		return;
	}
	metric_add(s->m.hits, 1);
	r->started_us = clock_mono_us();
	make_ready(s, r);
}

bool store_peek(struct store *s, enum store_collection col, const char *id, struct store_doc *ret)
{
	bool hit = store_cache_peek(s->cache, col, id, ret);
	metric_add(hit ? s->m.hits : s->m.misses, 1);
	return hit;
}

json_t *store_peek_doc(struct store *s, enum store_collection col, const char *id)
{
	json_t *doc = store_cache_peek_doc(s->cache, col, id);
	metric_add(doc ? s->m.hits : s->m.misses, 1);
	return doc;
}

bool store_healthy(const struct store *s, const char **ret_why)
{
	return store_health_look(&s->health, ret_why);
}

/* --- life */

struct store *store_new(struct loop *l, const struct store_options *o, const struct store_driver_ops *ops,
			struct store_driver *d, void (*on_open)(int err, const char *why, void *arg), void *arg)
{
	struct store *s = XNEW(struct store);
	s->loop = l;
	s->queue_limit = o->queue_limit;
	s->timeout_us = (int64_t)o->timeout_ms * 1000;
	s->ops = ops;
	s->driver = d;
	/* documents that other processes may change are not cached */
	s->cache = store_cache_new(l, !ops->exclusive ? 0 : o->cache_bytes ? o->cache_bytes : DEFAULT_CACHE_BYTES);
	s->flights = ops->exclusive ? NULL : flights_new();
	s->lists = ops->exclusive ? lists_new() : NULL;
	store_health_init(&s->health, o->url && *o->url ? NULL : o->path, on_open, arg);
	list_init(&s->waiting);
	list_init(&s->ready);
	list_init(&s->departing);
	loop_task_init(&s->depart, on_depart);
	list_init(&s->done);
	loop_task_init(&s->run_ready, on_ready);
	loop_task_init(&s->take_done, on_requests_done);
	s->deadline = loop_timer_new(l, on_deadline, s);
	pthread_mutex_init(&s->lock, NULL);
	store_figures_init(&s->m);
	return s;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	s->closing = true;
	loop_undefer(&s->depart);
	on_depart(&s->depart);
	s->ops->close(s->driver);
	/* the threads have ended: answer the last requests; new requests from those callbacks are refused */
	on_requests_done(&s->take_done);
	while (!list_empty(&s->ready))
		on_ready(&s->run_ready);
	loop_unpost(s->loop, &s->take_done);
	loop_undefer(&s->run_ready);
	loop_timer_free(s->deadline);
	store_cache_free(s->cache);
	flights_free(s->flights);
	lists_free(s->lists);
	store_health_done(&s->health);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
