/*
 * rate: how much one caller may ask. Floor F3, loop thread only, never blocks. A token bucket per user, or per address
 * where there is no user (of IPv6 its /64, as who has one address there has them all), and class: it holds `burst` requests and fills at `per_minute`. The table is bounded; when it is
 * full the bucket that is fullest is forgotten, which loses least.
 */
#ifndef AUTH_RATE_H
#define AUTH_RATE_H

#include "lucid/base.h"

enum rate_class { RATE_ORDINARY, RATE_SESSIONS, RATE_BAD_TOKENS, RATE_CLASSES };
struct rate_limit {
	unsigned per_minute, burst; /* per_minute 0: no limit */
};
struct rate;
struct rate *rate_new(const struct rate_limit limits[RATE_CLASSES]);
void rate_free(struct rate *r); /* takes NULL */
/* New limits for what comes from now on; buckets keep their level. */
void rate_set(struct rate *r, const struct rate_limit limits[RATE_CLASSES]);

struct rate_answer {
	bool allowed;
	unsigned limit;	    /* what the bucket holds; 0: this class has no limit */
	unsigned remaining; /* requests that would be let through at once */
	unsigned reset_s;   /* until the bucket is full again */
	unsigned retry_s;   /* refused: until the next one is let through, at least 1 */
};
#define RATE_GROUP_SIZE 64
/* What stands for an address in buckets: itself, but of IPv6 the /64, and of an IPv4 address written as IPv6 that one. Returns dst. */
const char *rate_group(const char *address, char dst[RATE_GROUP_SIZE]);

/* Take one. `is_user` keeps users and addresses apart. */
void rate_take(struct rate *r, enum rate_class class, const char *who, bool is_user, struct rate_answer *ret);

/* For whoever keeps the same bucket elsewhere. What one request costs and what a full bucket is worth, in microseconds; false: this
 * class has no limit. */
bool rate_cost(const struct rate *r, enum rate_class class, int64_t *ret_step_us, int64_t *ret_depth_us);
/* The answer of a bucket that let one through, or did not, and is full in full_in_us. */
void rate_answer_of(const struct rate *r, enum rate_class class, bool allowed, int64_t full_in_us, struct rate_answer *ret);

#endif
