/*
 * redis: what REDIS_URL and RATE_LIMIT_STORAGE_URL switch on: events and limits that processes share, and their readiness. Floor
 * F7, loop thread only, never blocks. Without either setting there is nothing of it: no connection, no timer, no call.
 */
#ifndef APP_REDIS_H
#define APP_REDIS_H

#include "api/api.h"
#include "sys/config.h"

struct redis;
/* The URLs and the number of connections; one sentence a line. */
void redis_check(const struct config *c, struct strbuf *faults);
/* NULL: neither is set. It is the bus's carrier of events where REDIS_URL is. */
struct redis *redis_new(struct loop *l, struct bus *b, const struct config *c, const struct role *const *roles);
/* For api_env; takes NULL. */
struct rate_redis *redis_rates(struct redis *r);
/* The readiness check `redis`; r NULL: disabled. */
void redis_add_check(struct redis *r, struct api *a);
void redis_free(struct redis *r); /* after the api, before the bus; takes NULL */

#endif
