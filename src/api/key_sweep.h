/*
 * key_sweep: what idempotency keys leave in the store goes when it has expired, and is counted. Floor F5, loop thread, never
 * blocks. Not for: claims and answers (idempotency.c).
 */
#ifndef API_KEY_SWEEP_H
#define API_KEY_SWEEP_H

#include "lucid/loop.h"
#include "lucid/store.h"

struct key_sweep;
struct key_sweep *key_sweep_new(struct loop *l, struct store *s);
void key_sweep_stop(struct key_sweep *w); /* nothing more is asked of the store; takes NULL */
void key_sweep_free(struct key_sweep *w); /* also while the store owes an answer; takes NULL */
/* How many are kept: as the last sweep found, and what was counted since. */
int64_t key_sweep_kept(const struct key_sweep *w);
void key_sweep_count(struct key_sweep *w, int64_t more);

#endif
