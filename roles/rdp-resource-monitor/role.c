#include "lucid/role.h"

#include "roles/contract/contract.h"
#include "roles/rdp-resource-monitor/monitor.h"

/* rdp-resource-monitor: current resource usage of hosts and servers. It stores nothing; the data come from the agents of the hosts. */

static int monitor_init(const struct role_env *env, void **ret)
{
	struct monitor *m = XNEW(struct monitor);
	m->env = *env;
	m->stats = op_find("xrdp.stats");
	m->server = op_find("rdp.servers.get");
	m->servers = op_find("rdp.servers.list");
	bus_serve(env->bus, op_find("resources.usage"), op_usage, m);
	*ret = m;
	return 0;
}

static void monitor_drain(void *role, void (*done)(void *arg), void *arg)
{
	struct monitor *m = role;
	under_way_wait(&m->under_way, done, arg);
}

static void monitor_release(void *role)
{
	struct monitor *m = role;
	if (!m->under_way.n) /* otherwise pending replies still refer to it */
		free(m);
}

extern const struct role role_rdp_resource_monitor;
const struct role role_rdp_resource_monitor = {
	.name = ROLE_RESOURCES,
	.service = ROLE_RESOURCES,
	.base_path = "/api/v1/resources",
	.option = ROLE_OPTIONS("RDP_RESOURCE_MONITOR"),
	.port = "8093",
	.alias = "rdp-monitor",
	.description = "Resource usage of hosts and servers",
	.host = "monitor",
	.about_host = "Reports the resource usage of all hosts.",
	.init = monitor_init,
	.drain = monitor_drain,
	.free = monitor_release,
};
