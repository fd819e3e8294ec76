#include "roles/rdp-resource-monitor/history/track.h"

#include <stdio.h>

#include "lucid/log.h"
#include "lucid/str.h"

struct track *track_get(struct keeper *k, enum sample_kind kind, const char *id, bool make)
{
	char key[SERIES_MAX];
	snprintf(key, sizeof key, "%c:%s", "nsd"[kind], id);
	struct track *t = map_get(k->tracks, key);
	if (t || !make)
		return t;
	t = XNEW(struct track);
	t->keeper = k;
	t->kind = kind;
	str_copy(t->id, sizeof t->id, id);
	list_init(&t->rolls);
	if (map_put(k->tracks, key, t, NULL))
		return t;
	track_free(t);
	return NULL;
}

void track_free(void *track)
{
	struct track *t = track;
	struct list *n;
	while ((n = list_take_first(&t->rolls)))
		free(CONTAINER_OF(n, struct roll, node));
	pack_free(t->raw);
	free(t->waiting);
	free(t);
}

bool track_idle(const struct track *t)
{
	bool busy = t->writing || t->rolling || t->state == TRACK_LOADING;
	if (t->lost)
		return !busy;
	return t->gone && !busy && !t->dirty && !t->n_waiting && !t->n_rolls && !t->slot[LEVEL_MINUTES].n && !t->slot[LEVEL_HOURS].n;
}

/* --- raw samples */

static void waiting_drop(struct track *t, size_t n)
{
	memmove(t->waiting, t->waiting + n, (t->n_waiting - n) * sizeof *t->waiting);
	t->n_waiting -= n;
	t->applied -= MIN(n, t->applied);
}

void track_sample(struct track *t, const struct point *p)
{
	if (t->n_waiting == WAITING_MAX)
		waiting_drop(t, 1);
	if (t->n_waiting == t->room) { /* mostly one or two wait, and a point has 400 bytes */
		t->room = t->room ? 2 * t->room : 2;
		t->waiting = xrealloc(t->waiting, t->room * sizeof *t->waiting);
	}
	t->waiting[t->n_waiting++] = *p;
	track_apply(t);
}

/* Of a bucket that is not stored yet. What another process may have stored shows when it is written. */
static void bucket_begin(struct track *t, int64_t start_ms)
{
	pack_free(t->raw);
	t->raw = pack_new(start_ms, false);
	t->raw_start_ms = start_ms;
	t->raw_version = 0;
}

void track_apply(struct track *t)
{
	if (t->state != TRACK_READY)
		return;
	for (; t->applied < t->n_waiting; t->applied++) {
		const struct point *p = &t->waiting[t->applied];
		int64_t start = level_bucket(LEVEL_RAW, p->time_ms);
		if (!t->raw || start != t->raw_start_ms) {
			if (t->dirty || t->writing) /* the previous bucket is stored first */
				return;
			bucket_begin(t, start);
		}
		if (!pack_add(t->raw, p))
			continue; /* it is stored already, or the clock was set back */
		t->dirty = true;
		track_point(t, p);
	}
	if (!t->dirty && !t->writing)
		waiting_drop(t, t->applied);
}

void track_stored(struct track *t)
{
	size_t n = 0;
	t->raw_version++;
	while (n < t->applied && t->waiting[n].time_ms <= t->written_ms)
		n++;
	waiting_drop(t, n);
	track_apply(t);
}

void track_reset(struct track *t)
{
	pack_free(TAKE_PTR(t->raw));
	t->state = TRACK_NEW;
	t->dirty = false;
	t->applied = 0;
	memset(t->slot, 0, sizeof t->slot);
}

/* --- slots */

void track_point(struct track *t, const struct point *p)
{
	struct point complete;
	if (slot_add(&t->slot[LEVEL_MINUTES], levels[LEVEL_MINUTES].step_ms, p, &complete))
		track_roll(t, LEVEL_MINUTES, &complete);
}

void track_roll(struct track *t, enum level l, const struct point *p)
{
	struct point complete;
	if (t->n_rolls == ROLLS_MAX) {
		struct roll *oldest = CONTAINER_OF(t->rolls.next, struct roll, node);
		if (oldest->taken)
			return;
		list_remove(&oldest->node);
		free(oldest);
		t->n_rolls--;
	}
	struct roll *r = XNEW(struct roll);
	r->level = l;
	r->point = *p;
	list_append(&t->rolls, &r->node);
	t->n_rolls++;
	if (l == LEVEL_MINUTES && slot_add(&t->slot[LEVEL_HOURS], levels[LEVEL_HOURS].step_ms, p, &complete))
		track_roll(t, LEVEL_HOURS, &complete);
}

void track_close(struct track *t, int64_t now_ms)
{
	struct point complete;
	if (!t->gone || t->lost || t->state != TRACK_READY || t->applied < t->n_waiting)
		return;
	if (slot_close(&t->slot[LEVEL_MINUTES], levels[LEVEL_MINUTES].step_ms, now_ms, &complete))
		track_roll(t, LEVEL_MINUTES, &complete);
	if (!t->slot[LEVEL_MINUTES].n && slot_close(&t->slot[LEVEL_HOURS], levels[LEVEL_HOURS].step_ms, now_ms, &complete))
		track_roll(t, LEVEL_HOURS, &complete);
}
