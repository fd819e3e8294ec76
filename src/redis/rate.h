/*
 * rate: token buckets as in auth/rate.h, kept in Redis and shared by several processes. Floor F3, loop thread only, never blocks. A script
 * takes from a bucket atomically, by Redis' own clock. The bucket of this process is checked first, so that a request that it refuses
 * costs Redis nothing. A request waits RATE_REDIS_MS at most for Redis; without an answer, the bucket of this process alone decides.
 * Not for: which requests are limited, and how they are refused (src/api).
 */
#ifndef REDIS_RATE_H
#define REDIS_RATE_H

#include "redis/link.h"

#define RATE_REDIS_MS 50

struct rate_redis;
struct rate_ask;
/* rate_redis_free comes after redis_link_free(k). */
struct rate_redis *rate_redis_new(struct loop *l, struct redis_link *k);
/* After the link was freed, which ends pending checks without an answer. Takes NULL. */
void rate_redis_free(struct rate_redis *r);

struct rate_want {
	const char *class; /* static: "default" */
	const char *who;   /* user or address; only its digest is sent */
	bool is_user;
	int64_t step_us, depth_us; /* cost of one request, capacity of a bucket */
};
struct rate_word {
	bool allowed;
	int64_t full_in_us; /* until the bucket is full again */
};
/* w NULL: no answer in time. Called once, from the loop. */
typedef void (*rate_word_done)(const struct rate_word *w, void *arg);
/* NULL: Redis is down, slow or has too many pending commands; done is not called. */
struct rate_ask *rate_redis_take(struct rate_redis *r, const struct rate_want *want, rate_word_done done, void *arg);
void rate_redis_forget(struct rate_ask *a); /* done will not be called; takes NULL */
/* What is wrong with the answers of Redis; "" if nothing is. */
const char *rate_redis_why(const struct rate_redis *r);

#endif
