#include "api/audit/audit.h"

#include <stdio.h>

#include "api/audit/core.h"
#include "api/audit/fold.h"
#include "api/audit/sweep.h"
#include "lucid/log.h"
#include "lucid/str.h"

#define RETRY_MS 500
#define GATHER_MS 15	  /* time to collect a batch; kill -9 loses the entries of at most this time and one commit */
#define TELL_MS 60000 /* interval of log lines with the head of the chain, while it changes */

static void audit_kick(struct audit *a);

/* --- entries */

/* A full batch is written at once. Fewer entries wait for more, so that each does not need a commit with an fsync of its own. */
static void write_soon(struct audit *a)
{
	if (a->stopping || a->n - a->under_way >= STORE_MAX_OPS)
		loop_defer(a->loop, &a->task);
	else if (!loop_timer_pending(a->gather))
		loop_timer_set(a->gather, GATHER_MS);
}

static bool queue_entry(struct audit *a, const struct audit_fact *f)
{
	if (a->n == AUDIT_QUEUE)
		return false;
	a->queue[(a->first + a->n++) % AUDIT_QUEUE] = audit_entry(f);
	metric_set(a->waiting, (double)a->n);
	write_soon(a);
	return true;
}

static void drop_first(struct audit *a)
{
	json_decref(a->queue[a->first]);
	a->queue[a->first] = NULL;
	a->first = (a->first + 1) % AUDIT_QUEUE;
	a->n--;
	a->under_way -= a->under_way > 0;
}

static void add_fact(void *audit, const struct audit_fact *f)
{
	struct audit *a = audit;
	bool kept = queue_entry(a, f);
	metric_add(a->entries[audit_outcome(f)], 1);
	audit_entry_log(f, kept);
	if (kept)
		return;
	if (!a->lost++)
		log_error("audit", "%d audit entries are waiting for the store; until it accepts them, further entries are written to this log only", AUDIT_QUEUE);
	metric_add(a->losses, 1);
}

void audit_note(struct audit *a, const struct audit_fact *f)
{
	if (!audit_fold(a->folds, f))
		add_fact(a, f);
}

/* Once the queue has space again, adds an entry with the number of lost entries. */
static void tell_losses(struct audit *a)
{
	char object[64];
	if (!a->lost || a->n > AUDIT_QUEUE / 2)
		return;
	snprintf(object, sizeof object, "%lld entries", (long long)a->lost);
	struct audit_fact f = { .actor = AUDIT_ACTOR, .action = "audit.lost", .object = object, .err = ERR_UNAVAILABLE,
				.count = a->lost };
	a->lost = 0;
	add_fact(a, &f);
}

static void on_tell(void *arg)
{
	struct audit *a = arg;
	char seq[24];
	if (!a->known || a->head.seq == a->told_seq)
		return;
	a->told_seq = a->head.seq;
	snprintf(seq, sizeof seq, "%lld", (long long)a->head.seq);
	const struct log_field fields[] = { { "seq", seq }, { "hash", a->head.hash }, { NULL, NULL } };
	log_write(LOG_INFO_, "audit", NULL, fields, "head of the audit log");
}

/* --- the end */

static void finish_drain(struct audit *a)
{
	void (*done)(void *) = TAKE_PTR(a->drained);
	if (!done)
		return;
	on_tell(a);
	done(a->arg);
}

static void again_later(struct audit *a)
{
	loop_timer_set(a->retry, RETRY_MS);
	finish_drain(a); /* a drain does not wait for a store that fails */
}

/* --- the head of the chain */

/* After a write with an uncertain result, removes the entries from the queue that the store has. */
static void settle_batch(struct audit *a)
{
	size_t stored = 0;
	for (size_t i = 0; i < a->under_way; i++) {
		const json_t *entry = a->queue[(a->first + i) % AUDIT_QUEUE];
		if (doc_int(entry, "seq", 0) == a->head.seq && str_eq(doc_str(entry, "hash", ""), a->head.hash))
			stored = i + 1;
	}
	a->under_way = 0;
	while (stored--)
		drop_first(a);
}

static void on_head(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct audit *a = arg;
	a->reading = false;
	if (result != STORE_OK) {
		again_later(a);
		return;
	}
	_cleanup_(doc_unrefp) json_t *doc = n ? doc_parse(docs[0]->data, docs[0]->len, NULL, 0) : NULL;
	audit_head_init(&a->head);
	if (n && !audit_head_from(&a->head, doc)) {
		log_error("audit", "the newest entry of the audit log was modified, so the hash chain cannot be continued; "
				   "run lucid-rdp verify --audit to find the first invalid entry");
		again_later(a);
		return;
	}
	a->known = true;
	settle_batch(a);
	audit_sweep_begin(a->sweep);
	audit_kick(a);
}

static void read_head(struct audit *a)
{
	if (a->reading)
		return;
	a->reading = true;
	struct store_query q = { .sort = { "id", true }, .limit = 1 };
	store_list(a->store, COL_AUDIT, &q, on_head, a);
}

/* --- writing */

static void on_written(enum store_result result, UNUSED size_t failed_index, UNUSED int err, void *arg)
{
	struct audit *a = arg;
	if (result != STORE_OK) {
		/* the write may have been performed, or another process has written: read the head */
		a->known = false;
		if (result == STORE_EXISTS)
			read_head(a);
		else
			again_later(a);
		return;
	}
	while (a->under_way)
		drop_first(a);
	metric_set(a->waiting, (double)a->n);
	tell_losses(a);
	if (!loop_timer_pending(a->tell) && !a->stopping)
		loop_timer_set(a->tell, TELL_MS);
	if (a->n && !a->stopping)
		write_soon(a);
	else
		audit_kick(a);
}

static void write_batch(struct audit *a)
{
	struct store_op ops[STORE_MAX_OPS];
	char ids[STORE_MAX_OPS][AUDIT_ID_SIZE];
	size_t n = MIN(a->n, (size_t)STORE_MAX_OPS);
	for (size_t i = 0; i < n; i++) {
		json_t *entry = a->queue[(a->first + i) % AUDIT_QUEUE];
		audit_chain_add(&a->head, entry);
		audit_id(ids[i], a->head.seq);
		ops[i] = (struct store_op){ .verb = STORE_INSERT, .col = COL_AUDIT, .id = ids[i], .doc = entry };
	}
	a->under_way = n;
	store_write(a->store, ops, n, on_written, a);
}

static void audit_kick(struct audit *a)
{
	if (loop_timer_pending(a->retry) || a->under_way || a->reading)
		return;
	if (!a->known)
		read_head(a);
	else if (a->n)
		write_batch(a);
	else
		finish_drain(a);
}

static void on_task(struct loop_task *t)
{
	audit_kick(CONTAINER_OF(t, struct audit, task));
}

static void on_gathered(void *arg)
{
	audit_kick(arg);
}

static void on_retry(void *arg)
{
	struct audit *a = arg;
	if (a->known)
		audit_kick(a);
	else
		read_head(a);
}

/* --- life */

struct audit *audit_new(struct loop *l, struct store *s, int64_t retention_days)
{
	struct audit *a = XNEW(struct audit);
	a->loop = l;
	a->store = s;
	loop_task_init(&a->task, on_task);
	a->retry = loop_timer_new(l, on_retry, a);
	a->gather = loop_timer_new(l, on_gathered, a);
	a->tell = loop_timer_new(l, on_tell, a);
	a->folds = audit_folds_new(l, add_fact, a);
	a->sweep = audit_sweep_new(l, s, retention_days, add_fact, a);
	struct metric_family *f =
		metric_family("rdp_audit_entries_total", METRIC_COUNTER, "outcome", "Audit entries recorded, by outcome of the operation.");
	for (size_t i = 0; i < AUDIT_OUTCOMES; i++)
		a->entries[i] = metric_with(f, audit_outcome_to_string((enum audit_outcome)i));
	a->losses = metric_series(metric_family("rdp_audit_lost_total", METRIC_COUNTER, NULL,
						"Audit entries written only to the server log because the queue to the store was full."), NULL);
	a->waiting = metric_series(metric_family("rdp_audit_queue_depth", METRIC_GAUGE, NULL,
						 "Audit entries waiting to be written to the store."), NULL);
	add_fact(a, &(struct audit_fact){ .actor = AUDIT_ACTOR, .action = "audit.start" });
	return a;
}

void audit_set_retention(struct audit *a, int64_t days)
{
	if (a)
		audit_sweep_days(a->sweep, days);
}

void audit_drain(struct audit *a, void (*done)(void *arg), void *arg)
{
	if (!a) {
		done(arg);
		return;
	}
	a->stopping = true;
	audit_sweep_stop(a->sweep);
	audit_folds_end(a->folds);
	add_fact(a, &(struct audit_fact){ .actor = AUDIT_ACTOR, .action = "audit.stop" });
	a->drained = done;
	a->arg = arg;
	if (loop_timer_pending(a->retry))
		finish_drain(a);
	else
		audit_kick(a);
}

void audit_free(struct audit *a)
{
	if (!a)
		return;
	loop_undefer(&a->task);
	audit_folds_free(a->folds);
	audit_sweep_free(a->sweep);
	if (a->n)
		log_warn("audit", "%zu audit entries were not written to the store; they are in this log only", a->n);
	for (size_t n = a->n; n; n--)
		drop_first(a);
	loop_timer_free(a->retry);
	loop_timer_free(a->gather);
	loop_timer_free(a->tell);
	free(a);
}
