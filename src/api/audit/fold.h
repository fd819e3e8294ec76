/*
 * fold: limits the number of audit entries that clients without rights can cause. Floor F5, loop thread only, never blocks.
 *
 * Refusals with 401, 403 and 429 are folded: the first of a kind (actor, address, action, code) gets an entry at once; those of the next
 * ten seconds get one entry together, with `count`. The number of kinds is bounded too. Requests that the gate refuses (400, 408, 413, 431 …)
 * are folded likewise: action `http.refused`, no actor, and the address of the connection, even if it is a proxy's. At most
 * AUDIT_GATE_KINDS addresses get entries of their own within ten seconds; the others share one.
 */
#ifndef API_AUDIT_FOLD_H
#define API_AUDIT_FOLD_H

#include "api/audit/entry.h"
#include "lucid/loop.h"

#define AUDIT_GATE_KINDS 32

struct audit_folds;
/* `add` is called with each folded entry. */
struct audit_folds *audit_folds_new(struct loop *l, void (*add)(void *arg, const struct audit_fact *f), void *arg);
/* True: the fact was folded into an earlier one and needs no entry now. */
bool audit_fold(struct audit_folds *f, const struct audit_fact *fact);
void audit_folds_end(struct audit_folds *f); /* adds the entries of all folded facts */
void audit_folds_free(struct audit_folds *f);

#endif
