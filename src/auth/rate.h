/*
 * rate: rate limits. Floor F3, loop thread only, never blocks. A token bucket for each caller and class: it holds `burst` requests and
 * fills at `per_minute`. The caller is a user, or, without one, an address; of an IPv6 address its /64, because a client usually has
 * all addresses of one. The table is bounded: when a set is full, the fullest bucket is replaced, which loses the least information.
 */
#ifndef AUTH_RATE_H
#define AUTH_RATE_H

#include "lucid/base.h"

enum rate_class { RATE_ORDINARY, RATE_SESSIONS, RATE_MESSAGES, RATE_VIEWS, RATE_BAD_TOKENS, RATE_CLASSES };
struct rate_limit {
	unsigned per_minute, burst; /* per_minute 0: no limit */
};
struct rate;
struct rate *rate_new(const struct rate_limit limits[RATE_CLASSES]);
void rate_free(struct rate *r); /* takes NULL */
/* Change the limits; buckets keep their level. */
void rate_set(struct rate *r, const struct rate_limit limits[RATE_CLASSES]);

struct rate_answer {
	bool allowed;
	unsigned limit;	    /* capacity of the bucket; 0: this class has no limit */
	unsigned remaining; /* requests that are allowed now */
	unsigned reset_s;   /* until the bucket is full again */
	unsigned retry_s;   /* if refused: until the next request is allowed, at least 1 */
};
#define RATE_GROUP_SIZE 64
/* The form of an address that identifies its bucket: for IPv6 its /64, for an IPv4-mapped IPv6 address the IPv4 address, otherwise the
 * address itself. Returns dst. */
const char *rate_group(const char *address, char dst[RATE_GROUP_SIZE]);

/* Count one request. `is_user` keeps a user and an address of the same text apart. */
void rate_take(struct rate *r, enum rate_class class, const char *who, bool is_user, struct rate_answer *ret);

/* For a bucket that is kept elsewhere (Redis): the cost of one request and the capacity of the bucket, in microseconds. False: this class
 * has no limit. */
bool rate_cost(const struct rate *r, enum rate_class class, int64_t *ret_step_us, int64_t *ret_depth_us);
/* Fills in the answer for a bucket that is full in full_in_us, after it allowed or refused a request. */
void rate_answer_of(const struct rate *r, enum rate_class class, bool allowed, int64_t full_in_us, struct rate_answer *ret);

#endif
