/* core: struct audit, for audit.c and its test. Floor F5, loop thread only. Others include audit.h. */
#ifndef API_AUDIT_CORE_H
#define API_AUDIT_CORE_H

#include "api/audit/chain.h"
#include "lucid/loop.h"
#include "lucid/metrics.h"
#include "lucid/store.h"

#define AUDIT_QUEUE 8192

struct audit_folds;
struct audit_sweep;

struct audit {
	struct loop *loop;
	struct store *store;
	struct audit_head head; /* of the entries passed to the store */
	bool known, reading;
	json_t *queue[AUDIT_QUEUE]; /* a ring */
	size_t first, n, under_way; /* under_way: the first ones, which are being written */
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

#endif
