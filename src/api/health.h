/*
 * health: liveness and readiness. Floor F5, loop thread only, never blocks. Readiness is a round of named checks, which run in parallel, at
 * most once a second, with a time limit of 5 s.
 */
#ifndef API_HEALTH_H
#define API_HEALTH_H

#include "lucid/config.h"
#include "lucid/loop.h"

struct request;
struct health;

enum api_health { API_HEALTHY, API_UNHEALTHY, API_DISABLED };
typedef void (*api_check_done)(void *token, enum api_health health, const char *message);
typedef void (*api_check)(void *arg, api_check_done done, void *token); /* calls done exactly once, immediately or later */

struct health *health_new(struct loop *l);
void health_free(struct health *h); /* answers the waiting requests */
void health_reload(struct health *h, const struct config *c);
/* `essential`: if it is unhealthy, readiness is 503; otherwise the program is only degraded. name is static ("store", "xrdp", a role). */
void health_add(struct health *h, const char *name, bool essential, api_check check, void *arg);

/* --- pages */
void health_page(struct request *q);
void health_live_page(struct request *q);
void health_ready_page(struct request *q);
void root_page(struct request *q);

#endif
