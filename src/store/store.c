#include "lucid/store.h"

#include <pthread.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/metrics.h"
#include "store/cache.h"
#include "store/driver.h"
#include "store/flights.h"

#define DEFAULT_CACHE_BYTES (8u << 20)
#define WHY_SIZE 512
#define MAX_WHYS 32 /* different sentences kept; there are about ten */

struct report {
	bool pending, opening, opened; /* opening: of a file; opened: it went well, whatever err says of what came then */
	int err;
	char why[WHY_SIZE];
};

struct why {
	struct list node;
	char text[];
};

struct series {
	struct metric *results[STORE_KIND_COUNT][STORE_FAILED + 1], *seconds[STORE_KIND_COUNT];
	struct metric *depth, *batches, *coalesced, *hits, *misses, *cache_bytes;
};

struct store {
	struct loop *loop;
	const struct store_driver_ops *ops;
	struct store_driver *driver;
	struct store_cache *cache;
	struct flights *flights; /* NULL: every read goes by itself */
	struct list leaving;	 /* with the end of this turn */
	struct loop_task leave;
	size_t queue_limit, writes, reads; /* with the driver */
	int64_t timeout_us;
	bool closing;
	struct list waiting; /* with the driver and not answered, the oldest first: they all wait equally long */
	struct loop_timer *deadline;
	struct list ready; /* answered without the driver, on a later turn */
	struct loop_task run_ready;
	/* how it is */
	bool up, told, told_open; /* on_open was called; and told that it is open */
	int err;
	const char *why;
	struct list whys;
	size_t nwhys;
	void (*on_open)(int err, const char *why, void *arg);
	void *arg;
	struct series m;
	/* from other threads */
	pthread_mutex_t lock;
	struct list done;
	unsigned batches;
	bool posted;
	struct report report;
	const char *note; /* static; under the lock, like the report */
	const char *told_note;
	struct loop_task take_done;
};

static const char *const kinds[STORE_KIND_COUNT] = { "write", "get", "list" };
static const char *const results[] = { "ok", "missing", "exists", "stale", "failed" };

static void series_init(struct series *m)
{
	struct metric_family *ops = metric_family("rdp_store_operations_total", METRIC_COUNTER, "op,result",
						  "Store operations by outcome");
	struct metric_family *seconds = metric_family("rdp_store_operation_seconds", METRIC_HISTOGRAM, "op",
						      "Time from asking the store to its answer");
	for (int k = 0; k < STORE_KIND_COUNT; k++) {
		for (int r = 0; r <= STORE_FAILED; r++)
			m->results[k][r] = metric_with(ops, kinds[k], results[r]);
		m->seconds[k] = metric_with(seconds, kinds[k]);
	}
	m->depth = metric_series(metric_family("rdp_store_queue_depth", METRIC_GAUGE, NULL,
					       "Write lists that wait for their answer"), NULL);
	m->batches = metric_series(metric_family("rdp_store_commits_total", METRIC_COUNTER, NULL,
						 "Commits; write operations divided by it is the batch size"), NULL);
	m->coalesced = metric_series(metric_family("rdp_store_coalesced_reads_total", METRIC_COUNTER, NULL,
						"Reads answered by the same read of another, asked meanwhile"), NULL);
	m->hits = metric_series(metric_family("rdp_store_cache_hits_total", METRIC_COUNTER, NULL,
					      "Documents served from memory"), NULL);
	m->misses = metric_series(metric_family("rdp_store_cache_misses_total", METRIC_COUNTER, NULL,
						"Documents that were not in memory"), NULL);
	m->cache_bytes = metric_series(metric_family("rdp_store_cache_bytes", METRIC_GAUGE, NULL,
						     "Memory of the cached documents"), NULL);
}

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

bool store_request_start(struct store_request *r)
{
	int queued = 0;
	return __atomic_compare_exchange_n(&r->stage, &queued, 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

bool store_request_begun(const struct store_request *r)
{
	return __atomic_load_n(&r->stage, __ATOMIC_ACQUIRE) == 1;
}

/* It took too long. Not begun: the driver will find that it need not. Begun: a write may have happened. */
static void expire(struct store *s, struct store_request *r)
{
	int queued = 0;
	bool begun = !__atomic_compare_exchange_n(&r->stage, &queued, 2, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	list_remove(&r->waiting);
	r->answered = true;
	/* the driver may be filling in the request itself */
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

/* --- with the driver */

static bool cached(const struct store_request_op *op)
{
	return !store_collections[op->col].uncached;
}

static void cache_begin(struct store *s, struct store_request *r)
{
	if (r->kind == STORE_KIND_WRITE)
		for (size_t i = 0; i < r->nops; i++)
			r->ops[i].entry =
				cached(&r->ops[i]) ? store_cache_begin_write(s->cache, r->ops[i].col, r->ops[i].id) : NULL;
	else if (r->kind == STORE_KIND_GET && cached(&r->ops[0]))
		r->ops[0].entry = store_cache_begin_read(s->cache, r->ops[0].col, r->ops[0].id, &r->generation);
}

static void cache_end(struct store *s, struct store_request *r)
{
	if (r->kind == STORE_KIND_GET) {
		store_cache_end_read(s->cache, r->ops[0].entry, r->generation, r->result == STORE_FAILED, r->text,
				     r->version);
		return;
	}
	for (size_t i = 0; r->kind == STORE_KIND_WRITE && i < r->nops; i++) {
		struct store_request_op *op = &r->ops[i];
		enum cache_outcome o = op->verb == STORE_DELETE ? CACHE_DELETED : CACHE_STORED;
		if (r->result != STORE_OK) /* what stands before the failed one may have happened */
			o = i < r->failed_index || r->err == -ERR_UNCERTAIN ? CACHE_UNKNOWN : CACHE_SAME;
		store_cache_end_write(s->cache, op->entry, o, op->text, op->version);
	}
}

static void go(struct store *s, struct store_request *r)
{
	cache_begin(s, r);
	s->ops->submit(s->driver, r);
}

static void on_leave(struct loop_task *t)
{
	struct store *s = CONTAINER_OF(t, struct store, leave);
	struct list *n;
	while ((n = list_take_first(&s->leaving))) {
		struct store_request *r = CONTAINER_OF(n, struct store_request, node);
		flights_depart(s->flights, r);
		go(s, r);
	}
}

static void leave_soon(struct store *s, struct store_request *r)
{
	list_append(&s->leaving, &r->node);
	loop_defer(s->loop, &s->leave);
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
		go(s, r);
	else if (flights_enter(s->flights, r))
		leave_soon(s, r);
}

static void copy_answer(struct store_request *to, const struct store_request *from)
{
	to->result = from->result;
	to->err = from->err;
	to->text = blob_ref(from->text);
	to->version = from->version;
	to->total = from->total;
	to->ndocs = from->ndocs;
	to->docs = from->ndocs ? xcalloc(from->ndocs, sizeof *to->docs) : NULL;
	for (size_t i = 0; i < from->ndocs; i++)
		to->docs[i] = blob_ref(from->docs[i]);
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

static void finish(struct store *s, struct store_request *r)
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
		copy_answer(q, r);
	finish_one(s, r);
	while ((n = list_take_first(&same))) {
		metric_add(s->m.coalesced, 1);
		finish_one(s, CONTAINER_OF(n, struct store_request, node));
	}
	if (next && s->closing) {
		store_request_start(next); /* and with it all who wait for the same */
		store_request_fail(next, -ERR_UNAVAILABLE);
		finish(s, next);
	} else if (next) {
		leave_soon(s, next);
	}
}

static const char *keep_why(struct store *s, const char *text)
{
	struct why *w;
	LIST_FOREACH(w, &s->whys, node)
		if (strcmp(w->text, text) == 0)
			return w->text;
	if (s->nwhys >= MAX_WHYS)
		return "the store is away; the log says why";
	size_t n = strlen(text) + 1;
	w = xmalloc(sizeof *w + n);
	memcpy(w->text, text, n);
	list_append(&s->whys, &w->node);
	s->nwhys++;
	return w->text;
}

static void take_report(struct store *s, const struct report *p)
{
	bool changed = p->err != s->err || !s->why || (p->err && strcmp(s->why, p->why) != 0);
	s->up = !p->err;
	s->err = p->err;
	s->why = p->err ? keep_why(s, p->why) : s->told_note ? s->told_note : "";
	if (changed && p->err && (!p->opening || p->opened))
		log_error("store", "%s", s->why);
	else if (changed && s->told && !p->err && !p->opening)
		log_info("store", "the store is up again");
	if (p->opening && (changed || !s->told || p->opened != s->told_open)) {
		s->told = true;
		s->told_open = p->opened;
		if (s->on_open)
			s->on_open(p->opened ? 0 : s->err, s->why, s->arg);
	}
}

static void on_done(struct loop_task *t)
{
	struct store *s = CONTAINER_OF(t, struct store, take_done);
	struct list batch, *n;
	list_init(&batch);
	pthread_mutex_lock(&s->lock);
	s->posted = false;
	while ((n = list_take_first(&s->done)))
		list_append(&batch, n);
	struct report report = s->report;
	const char *note = s->note;
	s->report.pending = false;
	metric_add(s->m.batches, s->batches);
	s->batches = 0;
	pthread_mutex_unlock(&s->lock);
	if (note && note != s->told_note)
		log_warn("store", "%s", note);
	s->told_note = note;
	if (report.pending)
		take_report(s, &report);
	while ((n = list_take_first(&batch)))
		finish(s, CONTAINER_OF(n, struct store_request, node));
}

/* With the lock held; gives it back. */
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
	/* an opening that was not told yet is not lost to what came after it */
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

/* --- what callers see */

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
	launch(s, r);
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
	if (ret_why)
		*ret_why = s->why ? s->why : "the store is being opened";
	return s->up;
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
	/* what others change behind our back cannot be kept */
	s->cache = store_cache_new(l, !ops->exclusive ? 0 : o->cache_bytes ? o->cache_bytes : DEFAULT_CACHE_BYTES);
	s->flights = ops->exclusive ? NULL : flights_new();
	s->on_open = on_open;
	s->arg = arg;
	list_init(&s->waiting);
	list_init(&s->ready);
	list_init(&s->leaving);
	loop_task_init(&s->leave, on_leave);
	list_init(&s->whys);
	list_init(&s->done);
	loop_task_init(&s->run_ready, on_ready);
	loop_task_init(&s->take_done, on_done);
	s->deadline = loop_timer_new(l, on_deadline, s);
	pthread_mutex_init(&s->lock, NULL);
	series_init(&s->m);
	return s;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	s->closing = true;
	loop_undefer(&s->leave);
	on_leave(&s->leave);
	s->ops->close(s->driver);
	/* the threads have ended: what they gave back last is answered here, and what those answers ask is refused */
	on_done(&s->take_done);
	while (!list_empty(&s->ready))
		on_ready(&s->run_ready);
	loop_unpost(s->loop, &s->take_done);
	loop_undefer(&s->run_ready);
	loop_timer_free(s->deadline);
	store_cache_free(s->cache);
	flights_free(s->flights);
	struct list *n;
	while ((n = list_take_first(&s->whys)))
		free(CONTAINER_OF(n, struct why, node));
	pthread_mutex_destroy(&s->lock);
	free(s);
}
