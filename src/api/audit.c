#include "api/audit_core.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/errs.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/log.h"

#define RETRY_MS 500
#define GATHER_MS 15	  /* a loss by kill -9 is at most this and one commit */
#define TELL_MS 60000 /* how often the head is told to the log stream, while it moves */

static void kick(struct audit *a);

/* --- entries */

enum { OK, REFUSED, FAILED };
static const char *const outcomes[] = { "ok", "refused", "failed" };

static int outcome_of(const struct audit_fact *f)
{
	return !f->err ? OK : f->gate || err_status(f->err) < 500 ? REFUSED : FAILED;
}

static const char *text_or_null(const char *s)
{
	return s && *s && str_utf8(s, strlen(s), NULL) ? s : NULL;
}

static json_t *make_entry(const struct audit_fact *f)
{
	json_t *o = json_object();
	doc_set_int(o, "seq", 0); /* and prev, when its turn comes */
	doc_set_time(o, "time", clock_wall_ms());
	doc_set_str(o, "actor", text_or_null(f->actor));
	doc_set_str(o, "action", f->action);
	doc_set_str(o, "object", text_or_null(f->object));
	doc_set_str(o, "outcome", outcomes[outcome_of(f)]);
	doc_set_str(o, "code", f->err ? err_code(f->err) : NULL);
	doc_set_str(o, "from", text_or_null(f->from));
	doc_set_str(o, "request_id", text_or_null(f->request_id));
	if (f->count)
		doc_set_int(o, "count", f->count);
	return o;
}

static void say(const struct audit_fact *f, bool kept)
{
	char count[24] = "";
	if (f->count)
		snprintf(count, sizeof count, "%lld", (long long)f->count);
	const struct log_field fields[] = {
		{ "actor", text_or_null(f->actor) }, { "action", f->action }, { "object", text_or_null(f->object) },
		{ "outcome", outcomes[outcome_of(f)] }, { "code", f->err ? err_code(f->err) : NULL },
		{ "from", text_or_null(f->from) }, { "count", *count ? count : NULL }, { "kept", kept ? NULL : "false" }, { NULL, NULL },
	};
	log_write(kept ? LOG_INFO_ : LOG_WARN_, "audit", text_or_null(f->request_id), fields, "audit");
	if (!f->err)
		log_flush(); /* before the answer goes: a kill in this turn of the loop leaves one of the two, never neither */
}

/* A full batch goes at once; a few entries wait for more, so that they do not cost a commit, and its fsync, of their own. */
static void write_soon(struct audit *a)
{
	if (a->stopping || a->n - a->under_way >= STORE_MAX_OPS)
		loop_defer(a->loop, &a->task);
	else if (!loop_timer_pending(a->gather))
		loop_timer_set(a->gather, GATHER_MS);
}

static bool put(struct audit *a, const struct audit_fact *f)
{
	if (a->n == AUDIT_QUEUE)
		return false;
	a->queue[(a->first + a->n++) % AUDIT_QUEUE] = make_entry(f);
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

void audit_add(struct audit *a, const struct audit_fact *f)
{
	bool kept = put(a, f);
	metric_add(a->entries[outcome_of(f)], 1);
	say(f, kept);
	if (kept)
		return;
	if (!a->lost++)
		log_error("audit", "%d entries wait for the store: until it takes them, more are in this log alone", AUDIT_QUEUE);
	metric_add(a->losses, 1);
}

void audit_note(struct audit *a, const struct audit_fact *f)
{
	if (!audit_fold(a->folds, f))
		audit_add(a, f);
}

/* What was lost is itself an entry once there is room. */
static void tell_losses(struct audit *a)
{
	char object[64];
	if (!a->lost || a->n > AUDIT_QUEUE / 2)
		return;
	snprintf(object, sizeof object, "%lld entries", (long long)a->lost);
	struct audit_fact f = { .actor = AUDIT_ACTOR, .action = "audit.lost", .object = object, .err = ERR_UNAVAILABLE,
				.count = a->lost };
	a->lost = 0;
	audit_add(a, &f);
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
	finish_drain(a); /* who leaves does not wait for a store that does not take it */
}

/* --- the head: where the chain goes on */

/* What the store has of the batch whose answer was not a clear one. */
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
		log_error("audit", "the newest entry of the audit log was changed and the chain cannot go on from it; "
				   "lucid-rdp verify --audit says where it is broken");
		again_later(a);
		return;
	}
	a->known = true;
	settle_batch(a);
	audit_sweep_begin(a->sweep);
	kick(a);
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
		/* it may have happened all the same, or another process has written: the store knows */
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
		kick(a);
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

static void kick(struct audit *a)
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
	kick(CONTAINER_OF(t, struct audit, task));
}

static void on_gathered(void *arg)
{
	kick(arg);
}

static void on_retry(void *arg)
{
	struct audit *a = arg;
	if (a->known)
		kick(a);
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
	a->folds = audit_folds_new(a);
	a->sweep = audit_sweep_new(a, retention_days);
	struct metric_family *f =
		metric_family("rdp_audit_entries_total", METRIC_COUNTER, "outcome", "Entries of the audit log.");
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
		a->entries[i] = metric_with(f, outcomes[i]);
	a->losses = metric_series(metric_family("rdp_audit_lost_total", METRIC_COUNTER, NULL,
						"Entries that are in the log stream alone, as the store did not take them."), NULL);
	a->waiting = metric_series(metric_family("rdp_audit_queue_depth", METRIC_GAUGE, NULL,
						 "Entries of the audit log that wait to be written."), NULL);
	audit_add(a, &(struct audit_fact){ .actor = AUDIT_ACTOR, .action = "audit.start" });
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
	audit_folds_end(a->folds);
	audit_add(a, &(struct audit_fact){ .actor = AUDIT_ACTOR, .action = "audit.stop" });
	a->drained = done;
	a->arg = arg;
	if (loop_timer_pending(a->retry))
		finish_drain(a);
	else
		kick(a);
}

void audit_free(struct audit *a)
{
	if (!a)
		return;
	loop_undefer(&a->task);
	audit_folds_free(a->folds);
	audit_sweep_free(a->sweep);
	if (a->n)
		log_warn("audit", "%zu entries did not come into the store; they are in this log alone", a->n);
	for (size_t n = a->n; n; n--)
		drop_first(a);
	loop_timer_free(a->retry);
	loop_timer_free(a->gather);
	loop_timer_free(a->tell);
	free(a);
}
