/*
 * breaker: circuit breaker for calls to another process. Floor F4, pure: the time is an argument. Closed until BREAKER_FAILURES calls
 * fail in succession; then open: all calls fail at once; after a back-off half open: single calls pass as probes, and the first success
 * closes it. Not for: what counts as a failure (rest.c).
 */
#ifndef BUS_BREAKER_H
#define BUS_BREAKER_H

#include "lucid/backoff.h"

#define BREAKER_FAILURES 5
#define BREAKER_MEMORY_MS 30000 /* after this long without a failure, the count starts again */
#define BREAKER_FIRST_MS 500
#define BREAKER_MOST_MS 4000
#define BREAKER_PROBE_MS 1000 /* between probes */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
struct breaker {
	enum breaker_state state;
	unsigned failures;
	int64_t failed_ms; /* the latest failure */
	int64_t until_ms;  /* open: when it becomes half open; half open: when the next probe may pass */
	struct backoff wait;
};

void breaker_init(struct breaker *b);
/* Whether a call may be made now. If half open, the call counts as the probe. */
bool breaker_allows(struct breaker *b, int64_t now_ms);
/* A call succeeded. True: this closed the breaker. */
bool breaker_good(struct breaker *b);
/* A call failed. True: this opened the breaker. */
bool breaker_bad(struct breaker *b, int64_t now_ms);
/* The time until a call may be made; 0: now. */
int64_t breaker_wait_ms(const struct breaker *b, int64_t now_ms);

#endif
