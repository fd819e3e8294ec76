#include "bus/breaker.h"

void breaker_init(struct breaker *b)
{
	*b = (struct breaker){ .wait = { BREAKER_FIRST_MS, BREAKER_MOST_MS, 0 } };
}

int64_t breaker_wait_ms(const struct breaker *b, int64_t now_ms)
{
	return b->state == BREAKER_CLOSED ? 0 : MAX(b->until_ms - now_ms, 0);
}

bool breaker_allows(struct breaker *b, int64_t now_ms)
{
	if (b->state == BREAKER_CLOSED)
		return true;
	if (now_ms < b->until_ms)
		return false;
	b->state = BREAKER_HALF_OPEN;
	b->until_ms = now_ms + BREAKER_PROBE_MS;
	return true;
}

bool breaker_good(struct breaker *b)
{
	bool was_closed = b->state == BREAKER_CLOSED;
	breaker_init(b);
	return !was_closed;
}

static void breaker_open(struct breaker *b, int64_t now_ms)
{
	b->state = BREAKER_OPEN;
	b->until_ms = now_ms + backoff_next(&b->wait);
}

bool breaker_bad(struct breaker *b, int64_t now_ms)
{
	if (now_ms - b->failed_ms > BREAKER_MEMORY_MS)
		b->failures = 0;
	b->failures++;
	b->failed_ms = now_ms;
	if (b->state == BREAKER_HALF_OPEN)
		breaker_open(b, now_ms);
	if (b->state != BREAKER_CLOSED || b->failures < BREAKER_FAILURES)
		return false; /* if it is open already, the call was in flight when it opened */
	breaker_open(b, now_ms);
	return true;
}
