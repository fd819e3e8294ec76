/*
 * rate_redis: the buckets of auth/rate.h once more, kept in Redis for several processes together. Floor F3, loop thread only,
 * never blocks. One script takes from a bucket atomically, by Redis' own clock. It is asked behind the bucket of this process, so
 * that who is refused here costs Redis nothing, and its word is waited for RATE_REDIS_MS at most: who gets none goes by the verdict
 * of this process alone. Not for: what is refused, and how (src/api).
 */
#ifndef CACHE_RATE_REDIS_H
#define CACHE_RATE_REDIS_H

#include "cache/redis_link.h"

#define RATE_REDIS_MS 50

struct rate_redis;
struct rate_ask;
/* k outlives it. */
struct rate_redis *rate_redis_new(struct loop *l, struct redis_link *k);
/* After k was freed, which ends what is under way: who still waits is told that no word came. Takes NULL. */
void rate_redis_free(struct rate_redis *r);

struct rate_want {
	const char *class; /* static: "default" */
	const char *who;   /* never sent as it is */
	bool is_user;
	int64_t step_us, depth_us; /* what one request costs, what a full bucket is worth */
};
struct rate_word {
	bool allowed;
	int64_t full_in_us; /* until the bucket is full again */
};
/* w NULL: no word in time. Comes once, from the loop. */
typedef void (*rate_word_done)(const struct rate_word *w, void *arg);
/* NULL: Redis is away, slow or full at this moment, and done is not called. */
struct rate_ask *rate_redis_take(struct rate_redis *r, const struct rate_want *want, rate_word_done done, void *arg);
void rate_redis_forget(struct rate_ask *a); /* done will not be called; takes NULL */
/* What is wrong with Redis' answers, "" when nothing is. */
const char *rate_redis_why(const struct rate_redis *r);

#endif
