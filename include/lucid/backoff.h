/* backoff: exponential back-off: the wait before the next attempt doubles up to a bound. Floor F0, pure. */
#ifndef LUCID_BACKOFF_H
#define LUCID_BACKOFF_H

#include "lucid/base.h"

/* The wait after `tries` failed attempts (0 counts as 1). */
int64_t backoff_ms(int64_t first_ms, int64_t most_ms, unsigned tries);

/* The same with a counter and jitter: each wait is multiplied by a random factor between 0.5 and 1.5, so that many clients do not
 * reconnect at the same moment. */
struct backoff {
	int64_t first_ms, most_ms;
	unsigned tries; /* consecutive failures */
};
/* Counts one more failure and returns the wait before the next attempt, in ms. */
int64_t backoff_next(struct backoff *b);
/* After a success: the next wait is the first one again. */
static inline void backoff_reset(struct backoff *b)
{
	b->tries = 0;
}

#endif
