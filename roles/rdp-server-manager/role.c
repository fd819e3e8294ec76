#include "lucid/role.h"
#include "lucid/str.h"
#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/node/leader.h"
#include "roles/rdp-server-manager/node/node_alerts.h"
#include "roles/rdp-server-manager/node/nodes_api.h"
#include "roles/rdp-server-manager/node/reconcile.h"
#include "roles/rdp-server-manager/node/status_events.h"
#include "roles/rdp-server-manager/port/claims_sweep.h"
#include "roles/rdp-server-manager/port/ports_api.h"
#include "roles/rdp-server-manager/connect/connection.h"
#include "roles/rdp-server-manager/server/create.h"
#include "roles/rdp-server-manager/server/kind.h"
#include "roles/rdp-server-manager/server/list.h"
#include "roles/rdp-server-manager/server/read.h"
#include "roles/rdp-server-manager/server/start.h"
#include "roles/rdp-server-manager/server/stop.h"
#include "roles/rdp-server-manager/server/update.h"

/* rdp-server-manager: its operations, settings, start and end. */

static const struct {
	const char *op;
	call_handler handler;
} handlers[] = {
	{ "rdp.servers.list", op_list },
	{ "rdp.servers.create", op_create },
	{ "rdp.servers.get", op_get },
	{ "rdp.servers.put", op_update },
	{ "rdp.servers.patch", op_update },
	{ "rdp.servers.delete", op_delete },
	{ "rdp.servers.start", op_start },
	{ "rdp.servers.stop", op_stop },
	{ "rdp.servers.restart", op_restart },
	{ "rdp.servers.status", op_status },
	{ "rdp.servers.config", op_config },
	{ "rdp.servers.logs", op_logs },
	{ "rdp.servers.log_file", op_log_file },
	{ "rdp.servers.connection", op_connection },
	{ "rdp.servers.rdp_file", op_rdp_file },
	{ "rdp.ports.list", op_ports },
	{ "rdp.nodes.list", op_nodes },
	{ "rdp.nodes.get", op_node },
	{ "rdp.nodes.put", op_node_put },
};

static void make_metrics(struct manager *m)
{
	m->metrics.created = metric_series(metric_family("rdp_servers_created_total", METRIC_COUNTER, NULL, "Servers created by this manager."), NULL);
	m->metrics.deleted = metric_series(metric_family("rdp_servers_deleted_total", METRIC_COUNTER, NULL, "Servers deleted by this manager."), NULL);
	m->metrics.ports = metric_series(metric_family("rdp_ports_in_use", METRIC_GAUGE, NULL, "RDP ports allocated to servers or reserved for them, on all nodes."), NULL);
}

static void look_due(void *arg)
{
	reconcile_all(arg);
}

static int init(const struct role_env *env, void **ret)
{
	struct manager *m = XNEW(struct manager);
	m->env = *env;
	m->agent = (struct agent_ops){
		.start = op_find("xrdp.instances.start"), .list = op_find("xrdp.instances.list"),
		.get = op_find("xrdp.instances.get"), .stop = op_find("xrdp.instances.stop"),
		.config = op_find("xrdp.instances.config"), .logs = op_find("xrdp.instances.logs"),
		.log_file = op_find("xrdp.instances.log_file"),
		.desktops = op_find("xrdp.instances.desktops"), .ports = op_find("xrdp.ports.check"),
		.profiles = op_find("xrdp.desktops"), .account = op_find("xrdp.accounts.check"),
		.limits = op_find("xrdp.instances.limits"),
	};
	m->strays = map_new(STRAYS_MAX);
	m->one_host = !nodes_shared(env->nodes);
	m->max_live = config_int(env->config, "MAX_CONCURRENT_SERVERS");
	m->max_per_user = config_int(env->config, "MAX_SERVERS_PER_USER");
	m->host = config_str(env->config, "NODE_PUBLIC_HOST");
	if (!*m->host)
		m->host = env->node;
	make_metrics(m);
	m->objects = objects_new(&(struct objects_env){ .kind = &server_kind, .loop = env->loop, .bus = env->bus, .store = env->store,
							.leases = env->leases, .alone = m->one_host, .home = env->node, .ctx = m });
	m->look_timer = loop_timer_new(env->loop, look_due, m);
	m->events = bus_subscribe(env->bus, "xrdp.instance.*", reconcile_event, m);
	m->gaps = bus_subscribe(env->bus, BUS_GAP, reconcile_gap, m);
	node_status_begin(m);
	m->node_alerts = node_alerts_new(m);
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		bus_serve(env->bus, op_find(handlers[i].op), handlers[i].handler, m);
	*ret = m;
	return 0;
}

static void start(void *role)
{
	struct manager *m = role;
	objects_start(m->objects);
}

static int reload(void *role, const struct config *next, bool apply, UNUSED char *why, UNUSED size_t size)
{
	struct manager *m = role;
	if (apply) {
		m->max_live = config_int(next, "MAX_CONCURRENT_SERVERS");
		m->max_per_user = config_int(next, "MAX_SERVERS_PER_USER");
	}
	return 0;
}

static void drain(void *role, void (*done)(void *arg), void *arg)
{
	struct manager *m = role;
	node_leader_end(m); /* so that another manager takes over at once */
	node_alerts_stop(m->node_alerts);
	objects_drain(m->objects, done, arg);
}

static void free_role(void *role)
{
	struct manager *m = role;
	bus_unsubscribe(m->events);
	bus_unsubscribe(m->gaps);
	node_status_end(m);
	node_alerts_stop(m->node_alerts);
	node_leader_end(m);
	loop_timer_free(m->look_timer);
	if (!objects_free(m->objects))
		return; /* responses may still arrive while the store closes; the memory they refer to must stay valid until then */
	node_alerts_free(m->node_alerts);
	map_free(m->strays, free);
	json_decref(m->profiles);
	free(m);
}

static const struct option settings[] = {
	{ .name = "MAX_CONCURRENT_SERVERS", .type = OPT_INT, .flags = OPT_LIVE, .min = 1, .max = 1000, .unit = "servers", .otherwise = "50",
	  .help = "Maximum number of servers that are not stopped.", .after = "PORT_RANGE_END" },
	{ .name = "MAX_SERVERS_PER_USER", .type = OPT_INT, .flags = OPT_LIVE, .min = 1, .max = 100000, .unit = "servers", .otherwise = "10",
	  .help = "Maximum number of server definitions of one user." },
	{ .name = "MAX_CPU_USAGE", .type = OPT_INT, .flags = OPT_LIVE, .min = 1, .max = 100, .unit = "%", .otherwise = "80",
	  .help = "CPU usage of a node above which no server that starts at once is placed on it; 100: never refuse.", .after = "LOGIN_TIMEOUT" },
	{ .name = "MAX_MEMORY_USAGE", .type = OPT_INT, .flags = OPT_LIVE, .min = 1, .max = 100, .unit = "%", .otherwise = "80",
	  .help = "Memory usage of a node above which no server that starts at once is placed on it; 100: never refuse." },
};

extern const struct role role_rdp_server_manager;
const struct role role_rdp_server_manager = {
	.name = ROLE_SERVERS,
	.service = ROLE_SERVERS,
	.base_path = "/api/v1/rdp",
	.option = ROLE_OPTIONS("RDP_SERVER_MANAGER"),
	.port = "8090",
	.settings = settings,
	.n_settings = ARRAY_LEN(settings),
	.description = "RDP servers: definitions, lifecycle, ports, quotas",
	.host = "manager",
	.about_host = "Manages the definitions of servers, their lifecycle, ports and hosts. Several may run side by side.",
	.init = init,
	.start = start,
	.drain = drain,
	.free = free_role,
	.reload = reload,
};
