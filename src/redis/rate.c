#include "redis/rate.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/log.h"
#include "lucid/metrics.h"
#include "lucid/str.h"

#define SHA_SIZE 41
#define WHO_HEX 32 /* of the digest: 128 bits */

/* A bucket is stored as the time at which it will be full (as in auth/rate.c). Its key expires at that time. */
static const char script[] =
	"if redis.replicate_commands then redis.replicate_commands() end\n"
	"local t = redis.call('TIME')\n"
	"local now, step, depth = t[1] * 1000000 + t[2], tonumber(ARGV[1]), tonumber(ARGV[2])\n"
	"local full = tonumber(redis.call('GET', KEYS[1]) or 0) or 0\n"
	"if full < now then full = now end\n"
	"if full > now + depth then full = now + depth end\n"
	"if full + step - now > depth then return {0, full - now} end\n"
	"full = full + step\n"
	"redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))\n"
	"return {1, full - now}\n";

enum { ALLOWED, REFUSED, LATE, FAILED, OUTCOMES };
static const char *const outcomes[OUTCOMES] = { "allowed", "refused", "late", "failed" };

struct rate_redis {
	struct loop *loop;
	struct redis_link *link;
	char sha[SHA_SIZE]; /* of the script, as SCRIPT LOAD returned it; "": not yet */
	struct list waiting; /* for an answer, oldest first */
	struct loop_timer *bound;
	char why[200];
	struct metric *count[OUTCOMES];
};

/* Lives until Redis has replied, even if its caller no longer waits. */
struct rate_ask {
	struct list node;
	struct rate_redis *all;
	int64_t since_us;
	rate_word_done done; /* NULL: the caller no longer waits */
	void *arg;
	bool whole; /* the script itself was sent */
	char key[64], step[24], depth[24];
};

static void rate_ask_answer(struct rate_ask *a, const struct rate_word *w, int outcome)
{
	rate_word_done done = a->done;
	if (!done)
		return;
	a->done = NULL;
	list_remove(&a->node);
	metric_add(a->all->count[outcome], 1);
	done(w, a->arg);
}

static void on_bound(void *arg)
{
	struct rate_redis *r = arg;
	while (!list_empty(&r->waiting)) {
		struct rate_ask *a = CONTAINER_OF(r->waiting.next, struct rate_ask, node);
		int64_t left_us = a->since_us + RATE_REDIS_MS * 1000 - clock_mono_us();
		if (left_us > 0) {
			loop_timer_set_us(r->bound, left_us);
			return;
		}
		rate_ask_answer(a, NULL, LATE);
	}
}

static int send(struct rate_ask *a, bool whole);

static void set_why(struct rate_redis *r, const char *why)
{
	if (*why && !str_eq(r->why, why))
		log_warn("redis", "rate limits are counted by this process only: Redis answered %s", why);
	snprintf(r->why, sizeof r->why, "%s", why);
}

static void on_answer(const struct redis_answer *answer, void *arg)
{
	struct rate_ask *a = arg;
	struct rate_redis *r = a->all;
	/* Redis was restarted, or its scripts were flushed: send the script itself, once for each check */
	if (answer->kind == REDIS_FAULT && str_starts(answer->text, "NOSCRIPT") && !a->whole && send(a, true) == 0)
		return;
	if (answer->kind == REDIS_LIST && answer->n == 2 && answer->items[0].kind == REDIS_NUMBER && answer->items[1].kind == REDIS_NUMBER) {
		struct rate_word w = { answer->items[0].number != 0, MAX(answer->items[1].number, 0) };
		set_why(r, "");
		rate_ask_answer(a, &w, w.allowed ? ALLOWED : REFUSED);
	} else {
		if (answer->kind != REDIS_NOTHING)
			set_why(r, answer->kind == REDIS_FAULT ? answer->text : "an unexpected reply to the script");
		rate_ask_answer(a, NULL, FAILED);
	}
	free(a);
}

static int send(struct rate_ask *a, bool whole)
{
	struct rate_redis *r = a->all;
	a->whole = whole || !*r->sha;
	const char *words[] = { a->whole ? "EVAL" : "EVALSHA", a->whole ? script : r->sha, "1", a->key, a->step, a->depth };
	return redis_ask(r->link, ARRAY_LEN(words), words, NULL, on_answer, a);
}

static void on_sha(const struct redis_answer *a, void *arg)
{
	struct rate_redis *r = arg;
	if (a->kind == REDIS_TEXT && a->len == SHA_SIZE - 1)
		str_copy(r->sha, sizeof r->sha, a->text);
}

struct rate_ask *rate_redis_take(struct rate_redis *r, const struct rate_want *want, rate_word_done done, void *arg)
{
	char digest[ID_DIGEST_SIZE];
	/* if the oldest command is late already, this one would be late too */
	if (!redis_link_up(r->link) || redis_link_waits_us(r->link) > RATE_REDIS_MS * 1000)
		return NULL;
	struct rate_ask *a = XNEW(struct rate_ask);
	*a = (struct rate_ask){ .all = r, .since_us = clock_mono_us(), .done = done, .arg = arg };
	list_init(&a->node);
	id_digest(digest, want->who, strlen(want->who));
	snprintf(a->key, sizeof a->key, "lucid:rate:%.14s:%c:%.*s", want->class, want->is_user ? 'u' : 'a', WHO_HEX, digest);
	snprintf(a->step, sizeof a->step, "%lld", (long long)want->step_us);
	snprintf(a->depth, sizeof a->depth, "%lld", (long long)want->depth_us);
	if (send(a, false) < 0) {
		free(a);
		return NULL;
	}
	if (!*r->sha)
		redis_ask(r->link, 3, (const char *[]){ "SCRIPT", "LOAD", script }, NULL, on_sha, r);
	list_append(&r->waiting, &a->node);
	if (!loop_timer_pending(r->bound))
		loop_timer_set(r->bound, RATE_REDIS_MS);
	return a;
}

void rate_redis_forget(struct rate_ask *a)
{
	if (!a)
		return;
	a->done = NULL;
	list_remove(&a->node);
}

const char *rate_redis_why(const struct rate_redis *r)
{
	return r->why;
}

struct rate_redis *rate_redis_new(struct loop *l, struct redis_link *k)
{
	struct rate_redis *r = XNEW(struct rate_redis);
	r->loop = l;
	r->link = k;
	list_init(&r->waiting);
	r->bound = loop_timer_new(l, on_bound, r);
	struct metric_family *f = metric_family("rdp_rate_limit_shared_total", METRIC_COUNTER, "outcome",
						"Rate limit checks in Redis, by outcome; after a late or failed check, the count of this process decides.");
	for (size_t i = 0; i < OUTCOMES; i++)
		r->count[i] = metric_with(f, outcomes[i]);
	return r;
}

void rate_redis_free(struct rate_redis *r)
{
	if (!r)
		return;
	loop_timer_free(r->bound);
	free(r);
}
