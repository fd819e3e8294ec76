/* audit_sweep: entries of days past the retention go, oldest first, each lot behind an anchor that keeps the hash of its last
 * one; so the chain stays whole whenever this is cut off. */
#include "api/audit_core.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

#define DAY_MS 86400000LL
#define EVERY_MS 3600000LL
#define LOT (STORE_MAX_OPS - 1)

struct audit_sweep {
	struct audit *audit;
	int64_t days, removed;
	bool busy;
	char before[CLOCK_ISO_SIZE];
	struct loop_timer *next;
};

static void look(struct audit_sweep *s);

static void rest(struct audit_sweep *s)
{
	s->busy = false;
	if (s->audit->stopping)
		return;
	loop_timer_set(s->next, EVERY_MS);
	if (!s->removed)
		return;
	char object[64];
	snprintf(object, sizeof object, "before %.10s", s->before);
	audit_add(s->audit,
		  &(struct audit_fact){ .actor = AUDIT_ACTOR, .action = "audit.sweep", .object = object, .count = s->removed });
	s->removed = 0;
}

static void on_removed(enum store_result result, UNUSED size_t failed_index, int err, void *arg)
{
	struct audit_sweep *s = arg;
	if (result == STORE_OK) {
		look(s);
		return;
	}
	log_warn("audit", "old entries stay for another hour: %s", err_text(err));
	rest(s);
}

static void remove_lot(struct audit_sweep *s, char ids[][AUDIT_ID_SIZE], size_t n, const struct audit_head *last)
{
	struct store_op ops[LOT + 1];
	_cleanup_(doc_unrefp) json_t *anchor = audit_anchor(last);
	ops[0] = (struct store_op){ .verb = STORE_PUT, .col = COL_AUDIT, .id = AUDIT_ANCHOR, .doc = anchor };
	for (size_t i = 0; i < n; i++)
		ops[i + 1] = (struct store_op){ .verb = STORE_DELETE, .col = COL_AUDIT, .id = ids[i] };
	s->removed += (int64_t)n;
	store_write(s->audit->store, ops, n + 1, on_removed, s);
}

/* Only from the beginning, up to the first entry that stays: a clock that once stood wrong leaves no gap. */
static void on_oldest(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct audit_sweep *s = arg;
	char ids[LOT][AUDIT_ID_SIZE];
	struct audit_head last, h;
	size_t old = 0;
	for (; result == STORE_OK && old < n; old++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[old]->data, docs[old]->len, NULL, 0);
		if (!audit_head_from(&h, doc) || strcmp(doc_str(doc, "time", "~"), s->before) >= 0)
			break;
		audit_id(ids[old], h.seq);
		last = h;
	}
	if (old && !s->audit->stopping)
		remove_lot(s, ids, old, &last);
	else
		rest(s);
}

static void look(struct audit_sweep *s)
{
	struct store_query q = { .sort = { "id", false }, .limit = LOT, .nfilters = 1 };
	q.filters[0] = (struct store_filter){ .path = "time", .cmp = STORE_GE, .text = "0" }; /* the anchor has none */
	store_list(s->audit->store, COL_AUDIT, &q, on_oldest, s);
}

void audit_sweep_begin(struct audit_sweep *s)
{
	if (s->busy || s->audit->stopping || loop_timer_pending(s->next))
		return;
	s->busy = true;
	int64_t now = clock_wall_ms();
	clock_iso(s->before, now - now % DAY_MS - s->days * DAY_MS);
	look(s);
}

static void on_next(void *arg)
{
	audit_sweep_begin(arg);
}

struct audit_sweep *audit_sweep_new(struct audit *a, int64_t days)
{
	struct audit_sweep *s = XNEW(struct audit_sweep);
	s->audit = a;
	s->days = days;
	s->next = loop_timer_new(a->loop, on_next, s);
	return s;
}

void audit_sweep_days(struct audit_sweep *s, int64_t days)
{
	s->days = days;
}

void audit_sweep_free(struct audit_sweep *s)
{
	loop_timer_free(s->next);
	free(s);
}
