#include "lucid/role.h"

#include "roles/contract/contract.h"

/* The place of sessions: who is on which desktop, since when and for how long.
 * It listens and answers health, readiness, metrics, errors and forwarding like every role; it offers no operation, so it
 * keeps nothing and has nothing to begin or to end. */

static int init(const struct role_env *env, void **ret)
{
	*ret = NULL;
	return 0;
}

static void start(void *role)
{
}

static void release(void *role)
{
}

extern const struct role role_rdp_session_controller;
const struct role role_rdp_session_controller = {
	.name = ROLE_SESSIONS,
	.service = ROLE_SESSIONS,
	.base_path = "/api/v1/sessions",
	.port_option = "RDP_SESSION_CONTROLLER_PORT",
	.url_option = "RDP_SESSION_CONTROLLER_URL",
	.alias = "rdp-controller",
	.description = "Sessions: who is on which desktop, their limits and how they end",
	.init = init,
	.start = start,
	.free = release,
};
