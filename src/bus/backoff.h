/* backoff: how long to wait before the next try: doubling up to a bound, each half to one and a half times as long by chance, so
 * that many do not come at once. Floor F4, pure. */
#ifndef BUS_BACKOFF_H
#define BUS_BACKOFF_H

#include "lucid/base.h"

struct backoff {
	int64_t first_ms, most_ms;
	int64_t next_ms; /* 0: the first */
};

int64_t backoff_next(struct backoff *b);
static inline void backoff_reset(struct backoff *b)
{
	b->next_ms = 0;
}

#endif
