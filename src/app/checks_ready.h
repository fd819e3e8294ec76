/* checks_ready: what readiness asks. Floor F7. The checks are plain functions over what the server holds. */
#ifndef APP_CHECKS_READY_H
#define APP_CHECKS_READY_H

#include "api/api.h"

struct redis;

void checks_ready_add(struct api *a, struct store *store, bool mongodb, struct redis *redis, struct bus *b, const struct role *const *roles);

#endif
