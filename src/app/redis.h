/*
 * redis: events and rate limits shared by processes through Redis (REDIS_URL, RATE_LIMIT_STORAGE_URL), and its readiness. Floor F7, loop
 * thread only, never blocks. Without either setting it has no connection and no timer.
 */
#ifndef APP_REDIS_H
#define APP_REDIS_H

#include "api/api.h"
#include "sys/config/config.h"

struct redis;
/* Checks the URLs and the number of connections; adds one line for each fault. */
void redis_check(const struct config *c, struct strbuf *faults);
/* NULL: neither is set. With REDIS_URL, it carries the bus's events. */
struct redis *redis_new(struct loop *l, struct bus *b, const struct config *c, const struct role *const *roles);
/* For api_env; takes NULL. */
struct rate_redis *redis_rates(struct redis *r);
/* The readiness check `redis`; r NULL: disabled. */
void redis_add_check(struct redis *r, struct api *a);
void redis_free(struct redis *r); /* after the api, before the bus; takes NULL */

#endif
