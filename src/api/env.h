/* env: what the REST API depends on, and the roles it serves. Floor F5; plain data, any thread. */
#ifndef API_ENV_H
#define API_ENV_H

#include "lucid/role.h"

struct token_keys; /* auth/token.h */
struct rate_redis; /* redis/rate.h */

struct api_env {
	struct loop *loop;
	struct bus *bus;
	const struct config *config;
	struct token_keys *keys;
	struct store *store; /* for Idempotency-Keys and the audit log; NULL: such keys are refused, and there is no audit log */
	struct rate_redis *shared_rate; /* rate limits shared with other processes; NULL: none */
	const struct role *const *roles; /* in this process, NULL-ended */
	const struct role *const *all_roles; /* NULL-ended */
};
/* The service name of a role in logs, metrics and errors; `role` itself if it is unknown. */
const char *api_env_service(const struct api_env *env, const char *role);
/* Whether this process serves the role. */
bool api_env_serves(const struct api_env *env, const char *role);

#endif
