#include "roles/rdp-resource-monitor/history/history.h"

#include <math.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-resource-monitor/history/pack.h"
#include "roles/rdp-resource-monitor/history/range.h"
#include "roles/rdp-resource-monitor/rates.h"
#include "roles/rdp-resource-monitor/subject.h"

/* Reads the coarsest level that has what is asked for, then what that level does not have yet from the next finer one: at most three range
 * reads. Of a year that is 13 documents, and a few of the last day. */

struct history_read {
	struct monitor *m;
	struct call *call;
	enum sample_kind kind;
	char id[SAMPLE_ID_MAX];
	bool deleted; /* the server does not exist any more */
	enum resource metric;
	struct range range;
	enum level level; /* being read */
	int64_t next_ms;  /* before it everything was read */
	int64_t until_ms; /* of a session: its end */
	struct tally *step;
};

static void history_read_level(struct history_read *w);

static json_t *history_points(const struct history_read *w)
{
	json_t *list = json_array();
	for (size_t i = 0; i < w->range.points; i++) {
		if (!w->step[i].n)
			continue;
		struct reading r = tally_reading(&w->step[i]);
		json_t *p = json_object();
		doc_set_time(p, "time", w->range.from_ms + (int64_t)i * w->range.step_ms);
		doc_set(p, "min", rates_value(r.lo, w->metric));
		doc_set(p, "mean", rates_value(r.mean, w->metric));
		doc_set(p, "max", rates_value(r.hi, w->metric));
		json_array_append_new(list, p);
	}
	return list;
}

static void history_answer(struct history_read *w)
{
	json_t *points = history_points(w);
	if (!json_array_size(points) && w->deleted) {
		json_decref(points);
		call_fail(w->call, ERR_NO_FIGURES, "server %s does not exist, and no figures of it are kept for this range", w->id);
		return;
	}
	json_t *doc = json_object();
	doc_set_str(doc, "metric", resources[w->metric].name);
	doc_set_str(doc, "unit", resources[w->metric].unit);
	doc_set_time(doc, "from", w->range.from_ms);
	doc_set_time(doc, "to", w->range.to_ms);
	doc_set_int(doc, "step", w->range.step_ms / 1000);
	doc_set_str(doc, "resolution", levels[w->range.level].name);
	doc_set(doc, "points", points);
	call_ok(w->call, doc);
}

static void history_end(struct history_read *w)
{
	struct monitor *m = w->m;
	free(w->step);
	free(w);
	under_way_end(&m->under_way);
}

static void history_point(const struct point *p, void *arg)
{
	struct history_read *w = arg;
	int64_t end = p->time_ms + levels[w->level].step_ms;
	if (p->time_ms < w->next_ms || p->time_ms >= w->until_ms)
		return;
	w->next_ms = MAX(end, w->next_ms);
	tally_add(&w->step[(p->time_ms - w->range.from_ms) / w->range.step_ms], &p->of[w->metric], p->n);
}

static void on_history(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, int err, void *arg)
{
	struct history_read *w = arg;
	if (result != STORE_OK) {
		call_fail(w->call, err, NULL);
		history_end(w);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		pack_each(doc, 1u << w->metric, history_point, w);
	}
	if (w->level != LEVEL_RAW) {
		w->level--;
		history_read_level(w);
		return;
	}
	history_answer(w);
	history_end(w);
}

static void history_read_level(struct history_read *w)
{
	char series[SERIES_MAX];
	level_series(w->level, w->kind, w->id, series);
	struct store_query q = level_query(w->level, series, w->next_ms, w->range.to_ms);
	store_list(w->m->env.store, COL_RESOURCES, &q, on_history, w);
}

static void history_of_subject(struct monitor *m, struct call *c, const struct subject *s)
{
	struct faults faults = { 0 };
	struct range range;
	if (!range_read(call_query(c), clock_wall_ms(), &range, &faults)) {
		call_fail_details(c, ERR_BAD_RANGE, faults_take(&faults), NULL);
		return;
	}
	struct history_read *w = XNEW(struct history_read);
	w->m = m;
	w->call = c;
	w->kind = s->kind;
	str_copy(w->id, sizeof w->id, s->id);
	w->deleted = s->kind == SAMPLE_SERVER && !s->server;
	w->metric = (enum resource)MAX(resource_find(doc_str(call_query(c), "metric", "")), 0);
	w->range = range;
	w->level = range.level;
	w->next_ms = MAX(range.from_ms, s->since_ms - levels[range.level].step_ms);
	w->until_ms = s->session ? MIN(range.to_ms, s->until_ms) : range.to_ms;
	w->step = xcalloc(range.points, sizeof *w->step);
	under_way_begin(&m->under_way);
	history_read_level(w);
}

void op_history(struct call *c, void *monitor)
{
	subject_of_call(monitor, c, history_of_subject);
}
