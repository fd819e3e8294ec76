/*
 * redis_link: a connection to Redis that comes back by itself. Floor F3, loop thread only, never blocks. hiredis knows no
 * time-outs, so a connection that does not stand in 300 ms, and one whose oldest question waits for 500 ms, is given up and
 * dialled again, after 50 ms at first and 2 s at last. Whoever asks while it is away is refused at once; whoever had asked hears
 * REDIS_NOTHING, exactly once. Not for: hiredis itself (redis_wire.h), what is asked (rate_redis.h, bus/redis_events.h).
 */
#ifndef CACHE_REDIS_LINK_H
#define CACHE_REDIS_LINK_H

#include "cache/redis_url.h"
#include "cache/redis_wire.h"

#define REDIS_MAX_PENDING 4096 /* questions without an answer; past that ERR_BUSY at once */

struct resolver;
struct redis_link;
struct redis_link_events {
	/* It stands, with its login, database and subscriptions; or has gone. */
	void (*state)(bool up, void *arg);
	/* What was published to a channel that it subscribes to; NULL where there is none. */
	void (*message)(const char *channel, const char *data, size_t len, void *arg);
};
/* Dials at once. `label` is static: of metrics, and a part of the connection's name in Redis. channels: up to REDIS_MAX_ITEMS, NULL-ended,
 * copied, or NULL; a link with channels takes no questions. Nothing here calls back from within; events come from the loop. */
struct redis_link *redis_link_new(struct loop *l, struct resolver *r, const struct redis_url *u, const char *label,
				  const char *const *channels, const struct redis_link_events *events, void *arg);
void redis_link_free(struct redis_link *k); /* takes NULL; not from a callback. Who waits hears REDIS_NOTHING */

bool redis_link_up(const struct redis_link *k);
/* Why it is not up, a sentence without a subject ("refuses the password: …"); "" when it is. */
const char *redis_link_why(const struct redis_link *k);
/* How long the oldest question has waited; 0: none does. */
int64_t redis_link_waits_us(const struct redis_link *k);
/* Ask: argc words, lens NULL when all are terminated. 0, -ERR_UNAVAILABLE (it is not up) or -ERR_BUSY; then done is not called.
 * done may be NULL. What is asked in one turn leaves together at its end. */
int redis_ask(struct redis_link *k, int argc, const char *const *argv, const size_t *lens, redis_done done, void *arg);
/* Send now what was asked, as far as the socket takes it: before the end. */
void redis_link_flush(struct redis_link *k);
/* Give the connection up and dial anew: somebody found that it is of no use. why is copied. */
void redis_link_reset(struct redis_link *k, const char *why);

#endif
