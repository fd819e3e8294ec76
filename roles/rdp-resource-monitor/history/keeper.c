#include "roles/rdp-resource-monitor/history/keeper.h"

#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "roles/rdp-resource-monitor/history/track.h"

#define TICK_MS 5000 /* retries, and slots of objects that are gone */

/* --- raw documents: one batch of writes for many objects */

struct raw_batch {
	struct keeper *keeper;
	size_t n;
	struct track *track[STORE_MAX_OPS];
};

static void on_raw_written(enum store_result result, size_t failed, UNUSED int err, void *arg)
{
	struct raw_batch *b = arg;
	struct keeper *k = b->keeper;
	for (size_t i = 0; i < b->n; i++) {
		struct track *t = b->track[i];
		t->writing = false;
		if (t->state != TRACK_READY) /* it is being read again */
			continue;
		if (result == STORE_OK)
			track_stored(t);
		else if (result != STORE_FAILED && i == failed)
			track_reset(t); /* another process wrote it */
		else
			t->dirty = true; /* retried; if it was written after all, the version shows that */
	}
	free(b);
	if (result != STORE_FAILED) /* else the timer retries */
		keeper_flush(k);
	under_way_end(k->under_way);
}

static void raw_send(struct raw_batch *b, const struct store_op *ops, json_t **docs, char **ids)
{
	under_way_begin(b->keeper->under_way);
	size_t n = b->n;
	store_write(b->keeper->env.store, ops, n, on_raw_written, b);
	for (size_t i = 0; i < n; i++) {
		json_decref(docs[i]);
		free(ids[i]);
	}
}

static struct store_op raw_op(struct track *t, json_t **ret_doc, char **ret_id)
{
	char series[SERIES_MAX], id[STORE_ID_MAX];
	level_series(LEVEL_RAW, t->kind, t->id, series);
	level_id(series, t->raw_start_ms, id);
	*ret_id = xstrdup(id);
	*ret_doc = level_doc(LEVEL_RAW, series, t->node, t->raw_start_ms, t->raw_version + 1);
	pack_write(t->raw, *ret_doc);
	t->written_ms = pack_last_ms(t->raw) + 999; /* packs have whole seconds */
	t->dirty = false;
	t->writing = true;
	return (struct store_op){ t->raw_version ? STORE_REPLACE : STORE_INSERT, COL_RESOURCES, *ret_id, t->raw_version, *ret_doc };
}

static void raw_write(struct keeper *k)
{
	struct map_pos pos = { 0 };
	struct store_op ops[STORE_MAX_OPS];
	json_t *docs[STORE_MAX_OPS];
	char *ids[STORE_MAX_OPS];
	struct raw_batch *b = NULL;
	void *value;
	while (map_next(k->tracks, &pos, NULL, &value)) {
		struct track *t = value;
		if (!t->dirty || t->writing || t->lost)
			continue;
		if (!b) {
			b = XNEW(struct raw_batch);
			b->keeper = k;
		}
		ops[b->n] = raw_op(t, &docs[b->n], &ids[b->n]);
		b->track[b->n++] = t;
		if (b->n == STORE_MAX_OPS)
			raw_send(TAKE_PTR(b), ops, docs, ids);
	}
	if (b)
		raw_send(b, ops, docs, ids);
}

/* --- what is due */

void keeper_pump(struct keeper *k)
{
	struct map_pos pos = { 0 };
	void *value;
	while (!k->stopped && map_next(k->tracks, &pos, NULL, &value)) {
		struct track *t = value;
		if (t->lost)
			continue;
		if (t->state == TRACK_NEW && t->n_waiting && k->loading < LOADS_AT_ONCE)
			track_load(t);
		if (t->state == TRACK_READY && t->n_rolls && !t->rolling && k->rolling < ROLLS_AT_ONCE)
			track_rolls_write(t);
	}
}

static void tracks_forget(struct keeper *k)
{
	struct map_pos pos = { 0 };
	const char *key;
	void *value;
	while (map_next(k->tracks, &pos, &key, &value)) {
		struct track *t = value;
		track_close(t, clock_wall_ms());
		if (!track_idle(t))
			continue;
		map_remove(k->tracks, key);
		track_free(t);
	}
}

static void on_keeper_tick(void *arg)
{
	struct keeper *k = arg;
	keeper_tick(k);
	loop_timer_set(k->timer, TICK_MS);
}

/* --- samples */

void keeper_take(struct keeper *k, const struct sample *s)
{
	struct point p;
	struct track *t = k->stopped ? NULL : track_get(k, s->kind, s->id, true);
	if (!t)
		return;
	if (t->lost && t->state == TRACK_READY) /* meanwhile another process wrote */
		track_reset(t);
	t->gone = t->lost = false;
	str_copy(t->node, sizeof t->node, s->node);
	point_from(&p, s->time_ms, s->value);
	track_sample(t, &p);
}

void keeper_flush(struct keeper *k)
{
	if (k->stopped)
		return;
	keeper_pump(k);
	raw_write(k);
}

void keeper_leave(struct keeper *k, enum sample_kind kind, const char *id, bool lost)
{
	struct track *t = track_get(k, kind, id, false);
	if (!t)
		return;
	t->gone = true;
	t->lost = lost;
}

static void keeper_sample(const struct sample *s, void *arg)
{
	keeper_take(arg, s);
}

static void keeper_gone(enum sample_kind kind, const char *id, void *arg)
{
	struct keeper *k = arg;
	const struct track *t = track_get(k, kind, id, false);
	keeper_leave(k, kind, id, t && !sampler_holds(k->sampler, t->node));
}

static void keeper_round(UNUSED const char *node, UNUSED int64_t time_ms, void *arg)
{
	keeper_flush(arg);
}

struct keeper *keeper_new(const struct role_env *env, struct sampler *s, struct under_way *u)
{
	struct keeper *k = XNEW(struct keeper);
	k->env = *env;
	k->sampler = s;
	k->under_way = u;
	k->tracks = map_new(TRACKS_MAX);
	k->timer = loop_timer_new(env->loop, on_keeper_tick, k);
	if (s)
		sampler_listen(s, &(struct sample_listener){ keeper_sample, keeper_gone, keeper_round, k });
	return k;
}

void keeper_start(struct keeper *k)
{
	loop_timer_set(k->timer, TICK_MS);
}

void keeper_tick(struct keeper *k)
{
	tracks_forget(k);
	keeper_pump(k);
	raw_write(k);
	keeper_expire(k);
}

void keeper_stop(struct keeper *k)
{
	k->stopped = true;
	loop_timer_clear(k->timer);
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	loop_timer_free(k->timer);
	map_free(k->tracks, track_free);
	free(k);
}
