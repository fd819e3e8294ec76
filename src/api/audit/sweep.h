/*
 * sweep: removes expired audit entries, oldest first, once an hour. Floor F5, loop thread only, never blocks. Each batch is removed in
 * one write that also sets an anchor with the hash of its last entry, so the chain stays valid if the removal is interrupted.
 */
#ifndef API_AUDIT_SWEEP_H
#define API_AUDIT_SWEEP_H

#include "api/audit/entry.h"
#include "lucid/loop.h"
#include "lucid/store.h"

struct audit_sweep;
/* `add` is called with an entry that records the removal. */
struct audit_sweep *audit_sweep_new(struct loop *l, struct store *s, int64_t days, void (*add)(void *arg, const struct audit_fact *f), void *arg);
void audit_sweep_days(struct audit_sweep *s, int64_t days);
void audit_sweep_begin(struct audit_sweep *s);
void audit_sweep_stop(struct audit_sweep *s); /* starts no further batch */
void audit_sweep_free(struct audit_sweep *s);

#endif
