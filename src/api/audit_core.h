/* audit_core: the inside of the audit log, for its own files. Floor F5, loop thread only. Others see audit.h. */
#ifndef API_AUDIT_CORE_H
#define API_AUDIT_CORE_H

#include "api/audit.h"
#include "api/audit_chain.h"
#include "lucid/metrics.h"

#define AUDIT_ACTOR "lucid-rdp" /* of entries about the log itself */

struct audit_folds;
struct audit_sweep;

struct audit {
	struct loop *loop;
	struct store *store;
	struct audit_head head; /* of what was handed to the store */
	bool known, reading;
	json_t *queue[AUDIT_QUEUE]; /* a ring */
	size_t first, n, under_way; /* the first of them are with the store */
	struct loop_task task;
	struct loop_timer *retry, *tell, *gather;
	int64_t lost, told_seq;
	bool stopping;
	void (*drained)(void *arg);
	void *arg;
	struct audit_folds *folds;
	struct audit_sweep *sweep;
	struct metric *entries[3], *losses, *waiting;
};

/* audit_fold.c: true when it was folded into one of its kind and needs no entry now. */
struct audit_folds *audit_folds_new(struct audit *a);
bool audit_fold(struct audit_folds *f, const struct audit_fact *fact);
void audit_folds_end(struct audit_folds *f); /* entries of all that was folded */
void audit_folds_free(struct audit_folds *f);

/* audit_sweep.c: removes days that are past the retention, now and then once an hour. */
struct audit_sweep *audit_sweep_new(struct audit *a, int64_t days);
void audit_sweep_days(struct audit_sweep *s, int64_t days);
void audit_sweep_begin(struct audit_sweep *s);
void audit_sweep_free(struct audit_sweep *s);

/* audit.c: an entry, whatever else there is of its kind */
void audit_add(struct audit *a, const struct audit_fact *f);

#endif
