/*
 * lease: elects one process for work that only one may do. Floor F4 (implemented in src/lease), loop thread only, never blocks.
 *
 * A lease is a document in the store. Its holder increments a number in it every LEASE_BEAT_MS. Another process takes the lease over when that
 * number has not changed for LEASE_LOST_MS by its own clock, so clocks need not agree. A holder that could not increment it for LEASE_SAFE_MS
 * gives the lease up, before another process can have taken it. On the embedded store there is only one process, which holds every lease as
 * soon as the store is open.
 * A lease only avoids duplicate work. An action that must never happen twice is also guarded by a version in the store.
 */
#ifndef LUCID_LEASE_H
#define LUCID_LEASE_H

#include "lucid/base.h"

#define LEASE_BEAT_MS 1000
#define LEASE_SAFE_MS 3000
#define LEASE_LOST_MS 5000

struct leases;
struct lease;

/* Requests a lease, and keeps trying. on_change is called from the loop, never inside these functions, each time the lease is won or lost. */
struct lease *lease_want(struct leases *l, const char *name, void (*on_change)(bool held, void *arg), void *arg);
bool lease_held(const struct lease *l);
/* Releases the lease, so that another process can take it at once. l is invalid afterwards. Takes NULL. */
void lease_drop(struct lease *l);

#endif
