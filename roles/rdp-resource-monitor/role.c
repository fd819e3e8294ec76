#include "lucid/role.h"

#include "roles/contract/contract.h"
#include "roles/rdp-resource-monitor/monitor.h"

/* The place of figures: what hosts and servers use. Nothing is kept: they are read from the hosts' agents. */

static int init(const struct role_env *env, void **ret)
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

static void start(void *role)
{
}

void monitor_idle(struct monitor *m)
{
	if (m->under_way || !m->drained)
		return;
	void (*done)(void *) = m->drained;
	m->drained = NULL;
	done(m->drained_arg);
}

static void drain(void *role, void (*done)(void *arg), void *arg)
{
	struct monitor *m = role;
	m->drained = done;
	m->drained_arg = arg;
	monitor_idle(m);
}

static void release(void *role)
{
	struct monitor *m = role;
	if (!m->under_way) /* else replies may still come, and point to it */
		free(m);
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
	.drain = drain,
	.free = release,
};
