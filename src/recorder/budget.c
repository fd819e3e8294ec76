#include "recorder/budget.h"

#define SHORT_SECONDS 10
#define DOWN_SECONDS 5 /* between two steps, so that the first one can have an effect */

void budget_init(struct budget *b, unsigned max_mb_per_min)
{
	*b = (struct budget){ .bytes_per_min = (uint64_t)max_mb_per_min * 1000000, .waited = DOWN_SECONDS };
}

static uint64_t written_in(const struct budget *b, size_t seconds)
{
	uint64_t sum = 0;
	for (size_t k = 0; k < seconds; k++)
		sum += b->written[(b->at + BUDGET_SECONDS - k) % BUDGET_SECONDS];
	return sum;
}

enum quality budget_second(struct budget *b, uint64_t total_bytes, enum quality now, enum quality best)
{
	b->at = (b->at + 1) % BUDGET_SECONDS;
	b->written[b->at] = total_bytes >= b->total ? total_bytes - b->total : total_bytes; /* less: another writer */
	b->total = total_bytes;
	b->waited = MIN(b->waited + 1, (unsigned)BUDGET_SECONDS);
	enum quality next = now;
	if (now > best)
		return best;
	if (!b->bytes_per_min)
		return best;
	uint64_t minute = written_in(b, BUDGET_SECONDS);
	bool over = written_in(b, SHORT_SECONDS) > b->bytes_per_min / 2 || minute > b->bytes_per_min;
	if (over && now > QUALITY_LOW && b->waited >= DOWN_SECONDS)
		next = (enum quality)(now - 1);
	else if (minute < b->bytes_per_min / 4 && now < best && b->waited >= BUDGET_SECONDS)
		next = (enum quality)(now + 1);
	if (next != now) {
		b->waited = 0;
		memset(b->written, 0, sizeof b->written);
	}
	return next;
}
