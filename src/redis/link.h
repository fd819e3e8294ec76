/*
 * link: a connection to Redis that reconnects. Floor F3, loop thread only, never blocks. hiredis has no timeouts: this module closes a
 * connection that is not established within 300 ms, or whose oldest command has had no reply for 500 ms, and reconnects with a back-off
 * from 50 ms to 2 s. While it is down, commands are refused at once. A pending command gets exactly one reply, REDIS_NOTHING if the
 * connection is lost. Not for: hiredis itself (redis/wire.h), the commands (redis/rate.h, bus/redis_events.h).
 */
#ifndef REDIS_LINK_H
#define REDIS_LINK_H

#include "redis/url.h"
#include "redis/wire.h"

#define REDIS_MAX_PENDING 4096 /* commands without a reply; further ones are refused with ERR_BUSY */

struct resolver;
struct redis_link;
struct redis_link_events {
	/* Up: connected, logged in, the database selected and channels subscribed. */
	void (*state)(bool up, void *arg);
	/* A message was published to a subscribed channel. NULL for a link without channels. */
	void (*message)(const char *channel, const char *data, size_t len, void *arg);
};
/* Connects at once. `label` is static: it labels metrics and is part of the connection's name in Redis. channels: up to REDIS_MAX_ITEMS,
 * NULL-terminated, copied; NULL: none. A link with channels takes no commands. Callbacks come from the loop, never from within these
 * functions. */
struct redis_link *redis_link_new(struct loop *l, struct resolver *r, const struct redis_url *u, const char *label,
				  const char *const *channels, const struct redis_link_events *events, void *arg);
void redis_link_free(struct redis_link *k); /* takes NULL; not from a callback. Pending commands get REDIS_NOTHING */

bool redis_link_up(const struct redis_link *k);
/* Why it is not up, a sentence without a subject ("rejects the user or password of its URL: …"); "" if it is up. */
const char *redis_link_why(const struct redis_link *k);
/* Age of the oldest pending command; 0: there is none. */
int64_t redis_link_waits_us(const struct redis_link *k);
/* Sends a command of argc words; lens NULL if all are terminated. 0, or -ERR_UNAVAILABLE (not up) or -ERR_BUSY, and done is not called.
 * done may be NULL. The commands of one turn of the loop are sent together at its end. */
int redis_ask(struct redis_link *k, int argc, const char *const *argv, const size_t *lens, redis_done done, void *arg);
/* Sends pending commands now, as far as the socket accepts them; for the end of the program. */
void redis_link_flush(struct redis_link *k);
/* Closes the connection and reconnects, after the caller has found it useless. why is copied. */
void redis_link_reset(struct redis_link *k, const char *why);

#endif
