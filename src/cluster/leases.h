/* leases: makes and ends what lucid/lease.h describes. Floor F5, loop thread only, never blocks. */
#ifndef CLUSTER_LEASES_H
#define CLUSTER_LEASES_H

#include "lucid/lease.h"
#include "lucid/loop.h"
#include "lucid/store.h"

struct leases_env {
	struct loop *loop;
	struct store *store;
	bool shared;	    /* with other processes; if not, every lease is held without writing */
	const char *holder; /* what this process is called there: unlike any other that is, was or will be */
	unsigned beat_ms;   /* 0: LEASE_BEAT_MS; for tests, and the other times go with it */
};
struct leases *leases_new(const struct leases_env *env);
/* The store is up. */
void leases_begin(struct leases *l);
/* After the store was closed: nothing may be under way any more. Takes NULL. */
void leases_free(struct leases *l);

#endif
