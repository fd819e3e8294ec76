#include "api/audit/sweep.h"

#include <stdio.h>

#include "api/audit/chain.h"
#include "lucid/clock.h"
#include "lucid/errs.h"
#include "lucid/log.h"
#include "lucid/str.h"

#define DAY_MS 86400000LL
#define EVERY_MS 3600000LL
#define LOT (STORE_MAX_OPS - 1)

struct audit_sweep {
	struct store *store;
	void (*add)(void *arg, const struct audit_fact *f);
	void *arg;
	int64_t days, removed;
	bool busy, stopped;
	char before[CLOCK_ISO_SIZE];
	struct loop_timer *next;
};

static void list_oldest(struct audit_sweep *s);

static void end_sweep(struct audit_sweep *s)
{
	s->busy = false;
	if (s->stopped)
		return;
	loop_timer_set(s->next, EVERY_MS);
	if (!s->removed)
		return;
	char object[64];
	snprintf(object, sizeof object, "before %.10s", s->before);
	s->add(s->arg, &(struct audit_fact){ .actor = AUDIT_ACTOR, .action = "audit.sweep", .object = object, .count = s->removed });
	s->removed = 0;
}

static void on_removed(enum store_result result, UNUSED size_t failed_index, int err, void *arg)
{
	struct audit_sweep *s = arg;
	if (result == STORE_OK) {
		list_oldest(s);
		return;
	}
	log_warn("audit", "expired entries could not be removed: %s; retrying in an hour", err_text(err));
	end_sweep(s);
}

static void remove_lot(struct audit_sweep *s, char ids[][AUDIT_ID_SIZE], size_t n, const struct audit_head *last)
{
	struct store_op ops[LOT + 1];
	_cleanup_(doc_unrefp) json_t *anchor = audit_anchor(last);
	ops[0] = (struct store_op){ .verb = STORE_PUT, .col = COL_AUDIT, .id = AUDIT_ANCHOR, .doc = anchor };
	for (size_t i = 0; i < n; i++)
		ops[i + 1] = (struct store_op){ .verb = STORE_DELETE, .col = COL_AUDIT, .id = ids[i] };
	s->removed += (int64_t)n;
	store_write(s->store, ops, n + 1, on_removed, s);
}

/* Removes entries only from the beginning, up to the first that has not expired: a wrong clock in the past must not cause gaps. */
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
	if (old && !s->stopped)
		remove_lot(s, ids, old, &last);
	else
		end_sweep(s);
}

static void list_oldest(struct audit_sweep *s)
{
	struct store_query q = { .sort = { "id", false }, .limit = LOT, .nfilters = 1 };
	q.filters[0] = (struct store_filter){ .path = "time", .cmp = STORE_GE, .text = "0" }; /* excludes the anchor */
	store_list(s->store, COL_AUDIT, &q, on_oldest, s);
}

void audit_sweep_begin(struct audit_sweep *s)
{
	if (s->busy || s->stopped || loop_timer_pending(s->next))
		return;
	s->busy = true;
	int64_t now = clock_wall_ms();
	clock_iso(s->before, now - now % DAY_MS - s->days * DAY_MS);
	list_oldest(s);
}

static void on_next(void *arg)
{
	audit_sweep_begin(arg);
}

struct audit_sweep *audit_sweep_new(struct loop *l, struct store *store, int64_t days, void (*add)(void *arg, const struct audit_fact *f), void *arg)
{
	struct audit_sweep *s = XNEW(struct audit_sweep);
	s->store = store;
	s->add = add;
	s->arg = arg;
	s->days = days;
	s->next = loop_timer_new(l, on_next, s);
	return s;
}

void audit_sweep_days(struct audit_sweep *s, int64_t days)
{
	s->days = days;
}

void audit_sweep_stop(struct audit_sweep *s)
{
	s->stopped = true;
}

void audit_sweep_free(struct audit_sweep *s)
{
	loop_timer_free(s->next);
	free(s);
}
