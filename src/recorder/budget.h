/* budget: keeps a recording within so many megabytes a minute, by lowering its quality in time. Floor F5, in the recorder; pure. */
#ifndef RECORDER_BUDGET_H
#define RECORDER_BUDGET_H

#include "recorder/quality.h"

#define BUDGET_SECONDS 60

struct budget {
	uint64_t bytes_per_min; /* 0: no bound */
	uint64_t written[BUDGET_SECONDS]; /* in each of the last seconds; a ring */
	uint64_t total;			  /* bytes at the last look */
	size_t at;
	unsigned waited; /* seconds since the last step, at most BUDGET_SECONDS */
};
void budget_init(struct budget *b, unsigned max_mb_per_min);
/* Call each second with the bytes written since the start. Returns the quality for the next second, one step from `now` at most and never
 * above `best`. It goes down when half of the bound was written in 10 s, or all of it in a minute; up when a minute stayed within a quarter of
 * it, because the next quality writes several times as much. Each step begins to count anew. */
enum quality budget_second(struct budget *b, uint64_t total_bytes, enum quality now, enum quality best);

#endif
