#include "roles/rdp-resource-monitor/history/track.h"

/* Complete slots, to the document of their day or month: read, extended, and written if nobody else wrote it meanwhile. */

struct roll_write {
	struct track *track;
	enum level level;
	int64_t start_ms;
	char series[SERIES_MAX];
};

static void roll_over(struct roll_write *w, bool written)
{
	struct track *t = w->track;
	struct keeper *k = t->keeper;
	struct roll *r, *next;
	LIST_FOREACH_SAFE(r, next, &t->rolls, node) {
		if (r->taken && written) {
			list_remove(&r->node);
			free(r);
			t->n_rolls--;
		} else {
			r->taken = false; /* retried by the timer */
		}
	}
	t->rolling = false;
	k->rolling--;
	free(w);
	if (written)
		keeper_pump(k);
	under_way_end(k->under_way);
}

static void on_rolls_written(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	roll_over(arg, result == STORE_OK);
}

static void on_roll_doc(enum store_result result, const struct store_doc *stored, UNUSED int err, void *arg)
{
	struct roll_write *w = arg;
	struct track *t = w->track;
	struct roll *r;
	bool any = false;
	if ((result != STORE_OK && result != STORE_MISSING) || t->lost) {
		roll_over(w, false);
		return;
	}
	int64_t version = result == STORE_OK ? stored->version : 0;
	_cleanup_(doc_unrefp) json_t *old = version ? doc_parse(stored->text->data, stored->text->len, NULL, 0) : NULL;
	struct pack *pack = old ? pack_read(old, true) : pack_new(w->start_ms, true);
	LIST_FOREACH(r, &t->rolls, node) {
		if (r->level != w->level || level_bucket(w->level, r->point.time_ms) != w->start_ms)
			continue;
		r->taken = true;
		any |= pack_add(pack, &r->point);
	}
	if (!any) { /* stored already, before a restart */
		pack_free(pack);
		roll_over(w, true);
		return;
	}
	_cleanup_(doc_unrefp) json_t *doc = level_doc(w->level, w->series, t->node, w->start_ms, version + 1);
	char id[STORE_ID_MAX];
	level_id(w->series, w->start_ms, id);
	pack_write(pack, doc);
	pack_free(pack);
	const struct store_op op = { version ? STORE_REPLACE : STORE_INSERT, COL_RESOURCES, id, version, doc };
	store_write(t->keeper->env.store, &op, 1, on_rolls_written, w);
}

void track_rolls_write(struct track *t)
{
	const struct roll *first = CONTAINER_OF(t->rolls.next, struct roll, node);
	struct roll_write *w = XNEW(struct roll_write);
	char id[STORE_ID_MAX];
	w->track = t;
	w->level = first->level;
	w->start_ms = level_bucket(first->level, first->point.time_ms);
	level_series(w->level, t->kind, t->id, w->series);
	level_id(w->series, w->start_ms, id);
	t->rolling = true;
	t->keeper->rolling++;
	under_way_begin(t->keeper->under_way);
	store_get(t->keeper->env.store, COL_RESOURCES, id, on_roll_doc, w);
}
