#include "auth/rate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/map.h"

#define SETS 2048
#define WAYS 8

/* A bucket is one number for each class (GCRA): the time at which it is full again. If that is in the past, it is full. */
struct bucket {
	uint64_t who;
	int64_t full_at_us[RATE_CLASSES];
};

struct rate {
	struct {
		int64_t step_us, depth_us; /* the cost of one request; the capacity of the bucket */
		unsigned burst;
	} class[RATE_CLASSES];
	struct bucket (*sets)[WAYS]; /* zeroed pages that are never used take no memory */
};

struct rate *rate_new(const struct rate_limit limits[RATE_CLASSES])
{
	struct rate *r = XNEW(struct rate);
	r->sets = xcalloc(SETS, sizeof *r->sets);
	rate_set(r, limits);
	return r;
}

void rate_free(struct rate *r)
{
	if (!r)
		return;
	free(r->sets);
	free(r);
}

void rate_set(struct rate *r, const struct rate_limit limits[RATE_CLASSES])
{
	for (size_t i = 0; i < RATE_CLASSES; i++) {
		unsigned burst = MAX(limits[i].burst, 1u);
		int64_t step = limits[i].per_minute ? 60000000 / (int64_t)limits[i].per_minute : 0;
		r->class[i].step_us = limits[i].per_minute ? MAX(step, 1) : 0;
		r->class[i].depth_us = r->class[i].step_us * burst;
		r->class[i].burst = burst;
	}
}

static int64_t latest(const struct bucket *b)
{
	int64_t t = 0;
	for (size_t i = 0; i < RATE_CLASSES; i++)
		t = MAX(t, b->full_at_us[i]);
	return t;
}

static struct bucket *bucket_of(struct rate *r, uint64_t who)
{
	struct bucket *set = r->sets[who % SETS], *fullest = &set[0];
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].who == who)
			return &set[i];
		if (latest(&set[i]) < latest(fullest))
			fullest = &set[i];
	}
	*fullest = (struct bucket){ .who = who };
	return fullest;
}

static unsigned seconds_up(int64_t us)
{
	return us <= 0 ? 0 : (unsigned)((us + 999999) / 1000000);
}

bool rate_cost(const struct rate *r, enum rate_class class, int64_t *ret_step_us, int64_t *ret_depth_us)
{
	*ret_step_us = r->class[class].step_us;
	*ret_depth_us = r->class[class].depth_us;
	return *ret_step_us;
}

void rate_answer_of(const struct rate *r, enum rate_class class, bool allowed, int64_t full_in_us, struct rate_answer *ret)
{
	int64_t step = r->class[class].step_us, depth = r->class[class].depth_us;
	*ret = (struct rate_answer){ .allowed = allowed, .limit = r->class[class].burst };
	if (!allowed)
		ret->retry_s = MAX(seconds_up(full_in_us + step - depth), 1u);
	ret->remaining = full_in_us < depth ? (unsigned)((depth - full_in_us) / step) : 0;
	ret->reset_s = seconds_up(full_in_us);
}

const char *rate_group(const char *address, char dst[RATE_GROUP_SIZE])
{
	struct in6_addr a;
	char scoped[RATE_GROUP_SIZE];
	snprintf(scoped, sizeof scoped, "%.*s", (int)strcspn(address, "%"), address); /* fe80::1%eth0 */
	if (inet_pton(AF_INET6, scoped, &a) != 1) {
		snprintf(dst, RATE_GROUP_SIZE, "%s", address);
	} else if (IN6_IS_ADDR_V4MAPPED(&a)) {
		inet_ntop(AF_INET, &a.s6_addr[12], dst, RATE_GROUP_SIZE);
	} else {
		memset(&a.s6_addr[8], 0, 8);
		inet_ntop(AF_INET6, &a, dst, RATE_GROUP_SIZE - 4);
		strcat(dst, "/64");
	}
	return dst;
}

void rate_take(struct rate *r, enum rate_class class, const char *who, bool is_user, struct rate_answer *ret)
{
	int64_t step, depth;
	if (!rate_cost(r, class, &step, &depth)) {
		*ret = (struct rate_answer){ .allowed = true };
		return;
	}
	char group[RATE_GROUP_SIZE];
	if (!is_user)
		who = rate_group(who, group);
	/* a keyed 64-bit hash identifies the caller: collisions are too rare to store the names */
	uint64_t hash = map_hash(who, strlen(who));
	struct bucket *b = bucket_of(r, is_user ? hash : ~hash);
	int64_t now = clock_mono_us(), full_at = MAX(b->full_at_us[class], now);
	full_at = MIN(full_at, now + depth); /* after the limits were lowered */
	bool allowed = full_at + step - now <= depth;
	b->full_at_us[class] = full_at + (allowed ? step : 0);
	rate_answer_of(r, class, allowed, b->full_at_us[class] - now, ret);
}
