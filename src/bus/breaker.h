/*
 * breaker: whether another process is worth asking. Floor F4, pure: time is handed in. Closed until BREAKER_FAILURES in a row,
 * none of them long ago; then open for a while, when nobody asks; then half open: a call now and then is let through, and the
 * first answer closes it. Not for: what counts as a failure (rest.c).
 */
#ifndef BUS_BREAKER_H
#define BUS_BREAKER_H

#include "bus/backoff.h"

#define BREAKER_FAILURES 5
#define BREAKER_MEMORY_MS 30000 /* a failure that old does not count */
#define BREAKER_FIRST_MS 500
#define BREAKER_MOST_MS 4000
#define BREAKER_PROBE_MS 1000 /* between calls that are let through */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
struct breaker {
	enum breaker_state state;
	unsigned failures;
	int64_t failed_ms; /* the latest */
	int64_t until_ms;  /* open: until then; half open: the next call after it */
	struct backoff wait;
};

void breaker_init(struct breaker *b);
/* Whether a call may be made now; in half open it is taken as made. */
bool breaker_allows(struct breaker *b, int64_t now_ms);
/* It answered. True: it was not closed before. */
bool breaker_good(struct breaker *b);
/* It did not. True: it was closed before, and is not now. */
bool breaker_bad(struct breaker *b, int64_t now_ms);
/* Until a call may be made; 0: at once. */
int64_t breaker_wait_ms(const struct breaker *b, int64_t now_ms);

#endif
