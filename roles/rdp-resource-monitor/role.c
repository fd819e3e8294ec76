#include "lucid/role.h"

#include "roles/contract/contract.h"

/* The place of figures: what hosts, servers and sessions use, and alerts on it.
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

extern const struct role role_rdp_resource_monitor;
const struct role role_rdp_resource_monitor = {
	.name = ROLE_RESOURCES,
	.service = ROLE_RESOURCES,
	.base_path = "/api/v1/resources",
	.port_option = "RDP_RESOURCE_MONITOR_PORT",
	.url_option = "RDP_RESOURCE_MONITOR_URL",
	.alias = "rdp-monitor",
	.description = "Figures of hosts, servers and sessions, their history, and alerts on them",
	.init = init,
	.start = start,
	.free = release,
};
