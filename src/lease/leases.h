/* leases: creates and frees the leases of lucid/lease.h. Floor F4, loop thread only, never blocks. */
#ifndef LEASE_LEASES_H
#define LEASE_LEASES_H

#include "lucid/lease.h"
#include "lucid/loop.h"
#include "lucid/store.h"

struct leases_env {
	struct loop *loop;
	struct store *store;
	bool shared;	    /* other processes use the same store; if not, every lease is held without writing */
	const char *holder; /* identifies this process: unique among all processes, past ones included */
	unsigned beat_ms;   /* 0: LEASE_BEAT_MS; tests set another, and the other times are scaled with it */
	unsigned lost_ms;   /* 0: scaled with beat_ms; tests in which a pause of the machine must not lose a lease set it */
};
struct leases *leases_new(const struct leases_env *env);
/* When the store is open. */
void leases_begin(struct leases *l);
/* After the store was closed, so that no operation is in progress. Takes NULL. */
void leases_free(struct leases *l);

#endif
