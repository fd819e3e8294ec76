/*
 * audit: the audit log: actor, action, object, address and outcome. Floor F5, loop thread only, never blocks. Every change and every
 * refused attempt becomes an entry: at once a line in the log, and soon after a document of COL_AUDIT in a hash chain (chain.h), written in
 * batches after the responses.
 *
 * The queue is bounded (AUDIT_QUEUE, core.h). While the store is unavailable, entries wait in it. Further entries are only logged and
 * counted; an entry `audit.lost` records their number when the queue has space again. A killed process loses entries that were not written
 * yet, but they are in the log; an `audit.start` without an `audit.stop` before it marks the place.
 *
 * Refusals that a client can cause in any number are folded (fold.h).
 *
 * Each process logs the requests to its own listeners, in its own store. Several processes may share a store: the sequence number of an
 * entry is its id, so the second process to write a number gets STORE_EXISTS, reads the head and continues from there.
 */
#ifndef API_AUDIT_AUDIT_H
#define API_AUDIT_AUDIT_H

#include "api/audit/entry.h"
#include "lucid/loop.h"
#include "lucid/store.h"

struct audit;
struct audit *audit_new(struct loop *l, struct store *s, int64_t retention_days);
void audit_set_retention(struct audit *a, int64_t days); /* takes NULL */

void audit_note(struct audit *a, const struct audit_fact *f);

/* Writes the queued entries, then calls done; at once if the store fails. a may be NULL. */
void audit_drain(struct audit *a, void (*done)(void *arg), void *arg);
/* Before or after the store is closed. Queued entries are lost. Takes NULL. */
void audit_free(struct audit *a);

#endif
