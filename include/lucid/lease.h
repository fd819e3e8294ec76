/*
 * lease: who does what one process alone may do. Floor F5 (src/cluster fulfils it), loop thread only, never blocks.
 *
 * A lease is a document in the store. Its holder raises a number in it every LEASE_BEAT_MS; another process takes it over when
 * it has seen that number stand still for LEASE_LOST_MS by its own clock, so that clocks that differ do no harm. A holder that
 * could not raise it for LEASE_SAFE_MS gives up by itself, before anybody else can have taken it. On the embedded store there
 * is one process, and every lease is held as soon as the store is up.
 * A lease keeps two processes from doing the same work; what must never happen twice is also guarded by a version in the store.
 */
#ifndef LUCID_LEASE_H
#define LUCID_LEASE_H

#include "lucid/base.h"

#define LEASE_BEAT_MS 1000
#define LEASE_SAFE_MS 3000
#define LEASE_LOST_MS 5000

struct leases;
struct lease;

/* Try for it from now on. on_change comes from the loop, never from within these, each time it is won or lost. */
struct lease *lease_want(struct leases *l, const char *name, void (*on_change)(bool held, void *arg), void *arg);
bool lease_held(const struct lease *l);
/* Give it back, so that another can have it at once. Takes NULL. */
void lease_drop(struct lease *l);

#endif
