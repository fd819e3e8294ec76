#include "lucid/backoff.h"

#include "lucid/id.h"

int64_t backoff_ms(int64_t first_ms, int64_t most_ms, unsigned tries)
{
	int64_t ms = first_ms;
	while (tries-- > 1 && ms < most_ms)
		ms *= 2;
	return MIN(ms, most_ms);
}

int64_t backoff_next(struct backoff *b)
{
	uint32_t chance;
	if (b->tries < 64) /* by then the wait has reached most_ms; a larger count would only overflow */
		b->tries++;
	int64_t ms = backoff_ms(b->first_ms, b->most_ms, b->tries);
	id_random(&chance, sizeof chance);
	return ms / 2 + (int64_t)(chance % (uint64_t)(ms + 1));
}
