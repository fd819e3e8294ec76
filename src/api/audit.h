/*
 * audit: who did what, on what, from where, with what outcome. Floor F5, loop thread only, never blocks. Every change and
 * every refused attempt becomes an entry: a line of the log stream at once, and a document of COL_AUDIT in a chain of hashes
 * (audit_chain.h) soon after, written in batches behind the answers. Nothing of a body and no secret is ever in it.
 *
 * What waits is bounded (AUDIT_QUEUE). While the store is away entries wait; past the bound they are in the log stream alone,
 * are counted, and an entry `audit.lost` says how many once there is room. A process that is killed loses what it had not
 * written, which is in the log stream too; `audit.start` without an `audit.stop` before it marks the place.
 *
 * Refusals that cost their sender nothing (401, 403, 429) are folded: the first of a kind (actor, address, action, code) has an
 * entry at once, the others of the next ten seconds one together, with `count`; kinds are bounded, too. So is what the gate refuses
 * before it is a request (400, 408, 413, 431 …): action `http.refused`, no actor, from the address of the connection, whatever it says of
 * others it speaks for. At most AUDIT_GATE_KINDS addresses have entries of their own in ten seconds, the others are counted in one.
 *
 * Each process keeps the log of what its own listeners were asked, in its own store. Several processes on one store would
 * take turns: an entry's number is its id, so the second to write a number is told so, reads the head and goes on from there.
 */
#ifndef API_AUDIT_H
#define API_AUDIT_H

#include "lucid/config.h"
#include "lucid/loop.h"
#include "lucid/store.h"

#define AUDIT_QUEUE 8192
#define AUDIT_OBJECT_MAX 200
#define AUDIT_GATE_KINDS 32

struct audit;
struct audit *audit_new(struct loop *l, struct store *s, int64_t retention_days);
void audit_set_retention(struct audit *a, int64_t days); /* takes NULL */

/* Strings are borrowed; "" or NULL: not known. action and code are static. */
struct audit_fact {
	const char *actor, *action, *object, *from, *request_id;
	int err; /* 0: done */
	int64_t count; /* 0: one */
	bool gate; /* it never became a request: refused, whatever the code's status */
};
void audit_note(struct audit *a, const struct audit_fact *f);

/* Write what waits, then call done; at once when the store does not take it. Takes NULL. */
void audit_drain(struct audit *a, void (*done)(void *arg), void *arg);
/* After the store was closed, or before. What still waits is counted as lost. Takes NULL. */
void audit_free(struct audit *a);

#endif
