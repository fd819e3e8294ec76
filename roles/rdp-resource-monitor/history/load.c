#include "lucid/clock.h"
#include "roles/rdp-resource-monitor/history/keeper.h"
#include "roles/rdp-resource-monitor/history/track.h"

/* What is stored of an object, before more is written: which slots are complete, the samples of the one that is open, and the document of the
 * present bucket. */

static void load_next(struct track *t, enum level l);

static void note_time(const struct point *p, void *arg)
{
	*(int64_t *)arg = p->time_ms;
}

static void load_done(struct track *t, bool ok)
{
	struct keeper *k = t->keeper;
	k->loading--;
	t->state = ok ? TRACK_READY : TRACK_NEW;
	if (!ok)
		track_reset(t);
	track_apply(t);
	if (ok && k->loading == 0)
		keeper_flush(k); /* in one batch */
	else if (ok)
		keeper_pump(k);
	/* else the store does not answer, and the timer retries */
	under_way_end(k->under_way);
}

static void feed_hours(const struct point *p, void *arg)
{
	struct track *t = arg;
	struct point complete;
	if (p->time_ms >= t->rolled_to_ms[LEVEL_HOURS] &&
	    slot_add(&t->slot[LEVEL_HOURS], levels[LEVEL_HOURS].step_ms, p, &complete))
		track_roll(t, LEVEL_HOURS, &complete);
}

static void feed_minutes(const struct point *p, void *arg)
{
	struct track *t = arg;
	if (p->time_ms >= t->rolled_to_ms[LEVEL_MINUTES])
		track_point(t, p);
}

/* The bucket that the next sample belongs to. */
static int64_t present_bucket(const struct track *t)
{
	return level_bucket(LEVEL_RAW, t->n_waiting ? t->waiting[0].time_ms : clock_wall_ms());
}

static void load_doc(struct track *t, enum level l, const struct blob *text)
{
	_cleanup_(doc_unrefp) json_t *doc = doc_parse(text->data, text->len, NULL, 0);
	pack_each(doc, PACK_ALL, l == LEVEL_MINUTES ? feed_hours : feed_minutes, t);
	if (l != LEVEL_RAW || doc_int(doc, "start", -1) != present_bucket(t))
		return;
	pack_free(t->raw);
	t->raw = pack_read(doc, false);
	t->raw_start_ms = present_bucket(t);
	t->raw_version = doc_int(doc, "version", 0);
}

static bool load_failed(struct track *t, enum store_result result)
{
	bool failed = result != STORE_OK || t->lost || t->keeper->stopped;
	if (failed)
		load_done(t, false);
	return failed;
}

/* The figures of one level that the next coarser level lacks: 5 minutes first, then raw. */
static void on_finer(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct track *t = arg;
	if (load_failed(t, result))
		return;
	for (size_t i = 0; i < n; i++)
		load_doc(t, LEVEL_RAW, docs[i]);
	load_done(t, true);
}

static void on_minutes(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct track *t = arg;
	if (load_failed(t, result))
		return;
	for (size_t i = 0; i < n; i++)
		load_doc(t, LEVEL_MINUTES, docs[i]);
	char series[SERIES_MAX];
	int64_t from = MAX(t->rolled_to_ms[LEVEL_MINUTES], clock_wall_ms() - levels[LEVEL_RAW].keep_ms);
	level_series(LEVEL_RAW, t->kind, t->id, series);
	/* also the present bucket, though its slots may be complete */
	struct store_query q = level_query(LEVEL_RAW, series, MIN(from, present_bucket(t)), INT64_MAX);
	store_list(t->keeper->env.store, COL_RESOURCES, &q, on_finer, t);
}

/* The last document of a level tells up to when its slots are complete. */
static void last_loaded(struct track *t, enum level l, struct blob *const *docs, size_t n)
{
	int64_t last = -1;
	t->rolled_to_ms[l] = 0;
	if (!n)
		return;
	_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[0]->data, docs[0]->len, NULL, 0);
	pack_each(doc, 0, note_time, &last);
	if (last >= 0)
		t->rolled_to_ms[l] = last + levels[l].step_ms;
}

static void on_last_minutes(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct track *t = arg;
	if (load_failed(t, result))
		return;
	last_loaded(t, LEVEL_MINUTES, docs, n);
	char series[SERIES_MAX];
	int64_t from = MAX(t->rolled_to_ms[LEVEL_HOURS], clock_wall_ms() - levels[LEVEL_MINUTES].keep_ms);
	level_series(LEVEL_MINUTES, t->kind, t->id, series);
	struct store_query q = level_query(LEVEL_MINUTES, series, from, INT64_MAX);
	store_list(t->keeper->env.store, COL_RESOURCES, &q, on_minutes, t);
}

static void on_last_hours(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct track *t = arg;
	if (load_failed(t, result))
		return;
	last_loaded(t, LEVEL_HOURS, docs, n);
	load_next(t, LEVEL_MINUTES);
}

static void load_next(struct track *t, enum level l)
{
	char series[SERIES_MAX];
	level_series(l, t->kind, t->id, series);
	struct store_query q = level_query(l, series, 0, INT64_MAX);
	q.sort.descending = true;
	q.limit = 1;
	store_list(t->keeper->env.store, COL_RESOURCES, &q, l == LEVEL_HOURS ? on_last_hours : on_last_minutes, t);
}

void track_load(struct track *t)
{
	t->state = TRACK_LOADING;
	t->keeper->loading++;
	under_way_begin(t->keeper->under_way);
	load_next(t, LEVEL_HOURS);
}
