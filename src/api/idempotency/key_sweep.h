/*
 * key_sweep: deletes expired idempotency keys from the store and counts the others. Floor F5, loop thread, never blocks. Not for: claims
 * and responses (idempotency.c).
 */
#ifndef API_IDEMPOTENCY_KEY_SWEEP_H
#define API_IDEMPOTENCY_KEY_SWEEP_H

#include "lucid/loop.h"
#include "lucid/store.h"

struct key_sweep;
struct key_sweep *key_sweep_new(struct loop *l, struct store *s);
void key_sweep_stop(struct key_sweep *w); /* makes no further requests to the store; takes NULL */
void key_sweep_free(struct key_sweep *w); /* also while the store has not called back; takes NULL */
/* The number of stored keys: of the last sweep, and as counted since. */
int64_t key_sweep_kept(const struct key_sweep *w);
void key_sweep_count(struct key_sweep *w, int64_t more);

#endif
