/* checks_ready: the readiness checks of store, Redis and xrdp. Floor F7, loop thread. */
#ifndef APP_SETTINGS_CHECKS_READY_H
#define APP_SETTINGS_CHECKS_READY_H

#include "api/api.h"

struct redis;

void checks_ready_add(struct api *a, struct store *store, bool mongodb, struct redis *redis, struct bus *b, const struct role *const *roles);

#endif
