#include "bus/backoff.h"

#include "lucid/id.h"

int64_t backoff_next(struct backoff *b)
{
	uint32_t chance;
	int64_t ms = MAX(b->next_ms, b->first_ms);
	id_random(&chance, sizeof chance);
	b->next_ms = MIN(ms * 2, b->most_ms);
	return ms / 2 + (int64_t)(chance % (uint64_t)(ms + 1));
}
