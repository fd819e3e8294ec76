#include "lucid/role.h"

#include "lucid/str.h"
#include "roles/rdp-server-manager/servers.h"

/* rdp-server-manager: what it offers and how it begins and ends. */

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
	struct metric_family *total = metric_family("rdp_servers_total", METRIC_GAUGE, "status", "Servers by status");
	for (int i = 0; i < SERVER_STATUS_COUNT; i++)
		m->metrics.total[i] = metric_with(total, server_status_to_string((enum server_status)i));
	m->metrics.created = metric_series(metric_family("rdp_servers_created_total", METRIC_COUNTER, NULL, "Servers created"), NULL);
	m->metrics.deleted = metric_series(metric_family("rdp_servers_deleted_total", METRIC_COUNTER, NULL, "Servers deleted"), NULL);
	m->metrics.ports = metric_series(metric_family("rdp_ports_in_use", METRIC_GAUGE, NULL, "Ports of the range held by a claim"), NULL);
}

static void load(void *arg)
{
	manager_load(arg);
}

static void look(void *arg)
{
	manager_look(arg);
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
		.profiles = op_find("xrdp.desktops"),
	};
	m->servers = map_new(SERVERS_MAX);
	m->owners = map_new(SERVERS_MAX);
	m->places = map_new(PLACES_MAX);
	m->strays = map_new(STRAYS_MAX);
	m->one_host = !nodes_shared(env->nodes);
	if (m->one_host)
		place_of(m, env->node);
	m->renew_ms = RENEW_MS;
	m->busy_ms = BUSY_MS;
	m->scan_ms = SCAN_MS;
	m->max_live = config_int(env->config, "MAX_CONCURRENT_SERVERS");
	m->max_per_user = config_int(env->config, "MAX_SERVERS_PER_USER");
	m->host = config_str(env->config, "NODE_PUBLIC_HOST");
	if (!*m->host)
		m->host = env->node;
	list_init(&m->parked);
	make_metrics(m);
	m->load_timer = loop_timer_new(env->loop, load, m);
	m->look_timer = loop_timer_new(env->loop, look, m);
	m->events = bus_subscribe(env->bus, "xrdp.instance.*", manager_event, m);
	m->gaps = bus_subscribe(env->bus, BUS_GAP, manager_gap, m);
	manager_tell_begin(m);
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		bus_serve(env->bus, op_find(handlers[i].op), handlers[i].handler, m);
	*ret = m;
	return 0;
}

static void start(void *role)
{
	struct manager *m = role;
	manager_load(m);
	shared_begin(m);
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

/* What is under way has had its time. It is looked at again at the next start. */
static void drain_over(void *arg)
{
	struct manager *m = arg;
	void (*done)(void *) = m->drained;
	m->drained = NULL;
	if (done)
		done(m->drained_arg);
}

static void drain(void *role, void (*done)(void *arg), void *arg)
{
	struct manager *m = role;
	m->draining = true;
	m->drained = done;
	m->drained_arg = arg;
	m->drain_timer = loop_timer_new(m->env.loop, drain_over, m);
	loop_timer_set(m->drain_timer, DRAIN_MS);
	manager_lead_end(m); /* another manager takes over at once */
	manager_unpark(m); /* they are told that the program stops */
	manager_idle(m);
}

static void free_server(void *s)
{
	server_free(s);
}

static void free_role(void *role)
{
	struct manager *m = role;
	bus_unsubscribe(m->events);
	bus_unsubscribe(m->gaps);
	manager_tell_end(m);
	shared_end(m);
	manager_lead_end(m);
	loop_timer_free(m->drain_timer);
	loop_timer_free(m->load_timer);
	loop_timer_free(m->look_timer);
	if (m->under_way || m->loading || m->looking || m->sweeping)
		return; /* answers may still come while the store closes: what they point to stays until the end */
	map_free(m->servers, free_server);
	map_free(m->owners, free);
	map_free(m->places, place_free);
	map_free(m->strays, free);
	json_decref(m->profiles);
	free(m);
}

extern const struct role role_rdp_server_manager;
const struct role role_rdp_server_manager = {
	.name = ROLE_SERVERS,
	.service = ROLE_SERVERS,
	.base_path = "/api/v1/rdp",
	.port_option = "RDP_SERVER_MANAGER_PORT",
	.url_option = "RDP_SERVER_MANAGER_URL",
	.description = "RDP servers: definitions, lifecycle, ports, quotas",
	.init = init,
	.start = start,
	.drain = drain,
	.free = free_role,
	.reload = reload,
};
