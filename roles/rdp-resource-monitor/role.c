#include "lucid/role.h"

#include "roles/contract/contract.h"
#include "roles/rdp-resource-monitor/alert/feed.h"
#include "roles/rdp-resource-monitor/server_gauges.h"
#include "roles/rdp-resource-monitor/history/history.h"
#include "roles/rdp-resource-monitor/history/keeper.h"
#include "roles/rdp-resource-monitor/monitor.h"
#include "roles/rdp-resource-monitor/sample.h"

/* rdp-resource-monitor: its operations, start and end. */

static const struct {
	const char *op;
	call_handler handler;
} handlers[] = {
	{ "resources.usage", op_usage },
	{ "resources.top", op_top },
	{ "resources.nodes.usage", op_usage_of_one },
	{ "resources.servers.usage", op_usage_of_one },
	{ "resources.sessions.usage", op_usage_of_one },
	{ "resources.nodes.history", op_history },
	{ "resources.servers.history", op_history },
	{ "resources.sessions.history", op_history },
};

static int monitor_init(const struct role_env *env, void **ret)
{
	struct monitor *m = XNEW(struct monitor);
	m->env = *env;
	m->stats = op_find("xrdp.stats");
	m->instance_stats = op_find("xrdp.instances.stats");
	m->server = op_find("rdp.servers.get");
	m->servers = op_find("rdp.servers.list");
	m->session = op_find("sessions.get");
	m->sampler = sampler_new(env);
	m->gauges = server_gauges_new(m->sampler);
	m->keeper = keeper_new(env, m->sampler, &m->under_way);
	m->alerts = alerts_new(env);
	alert_feed(m->alerts, m->sampler);
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		bus_serve(env->bus, op_find(handlers[i].op), handlers[i].handler, m);
	*ret = m;
	return 0;
}

static void monitor_start(void *role)
{
	struct monitor *m = role;
	keeper_start(m->keeper);
	alerts_start(m->alerts);
	sampler_start(m->sampler);
}

/* Responses in progress have ended; now the alerts. */
static void monitor_drained(void *role)
{
	struct monitor *m = role;
	alerts_drain(m->alerts, m->drained, m->drained_arg);
}

static void monitor_drain(void *role, void (*done)(void *arg), void *arg)
{
	struct monitor *m = role;
	keeper_stop(m->keeper);
	sampler_stop(m->sampler); /* so that another monitor takes over at once */
	m->drained = done;
	m->drained_arg = arg;
	under_way_wait(&m->under_way, monitor_drained, m);
}

static void monitor_release(void *role)
{
	struct monitor *m = role;
	alerts_free(m->alerts);
	if (m->under_way.n) /* pending replies still refer to it */
		return;
	sampler_free(m->sampler);
	keeper_free(m->keeper);
	server_gauges_free(m->gauges);
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
	.start = monitor_start,
	.drain = monitor_drain,
	.free = monitor_release,
};
