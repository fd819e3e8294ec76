#include "lucid/role.h"

#include "lucid/nodes.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/controller.h"
#include "roles/rdp-session-controller/export/export.h"
#include "roles/rdp-session-controller/foreign/foreign_target.h"
#include "roles/rdp-session-controller/foreign/secret_sweep.h"
#include "roles/rdp-session-controller/message/broadcast.h"
#include "roles/rdp-session-controller/message/message.h"
#include "roles/rdp-session-controller/operations/connect.h"
#include "roles/rdp-session-controller/operations/create.h"
#include "roles/rdp-session-controller/operations/end.h"
#include "roles/rdp-session-controller/operations/end_many.h"
#include "roles/rdp-session-controller/operations/figures.h"
#include "roles/rdp-session-controller/session/kind.h"
#include "roles/rdp-session-controller/session/limits.h"
#include "roles/rdp-session-controller/operations/list.h"
#include "roles/rdp-session-controller/operations/read.h"
#include "roles/rdp-session-controller/session/sweep.h"
#include "roles/rdp-session-controller/session/timeline.h"
#include "roles/rdp-session-controller/session/timeline_sweep.h"
#include "roles/rdp-session-controller/operations/update.h"
#include "roles/rdp-session-controller/recording/recordings.h"
#include "roles/rdp-session-controller/watch/events.h"
#include "roles/rdp-session-controller/watch/quotas_tell.h"
#include "roles/rdp-session-controller/watch/reconcile.h"

/* rdp-session-controller: its operations, settings, start and end. */

#define SERVERS_MAX 1000000
#define NAMES_MAX 4000000

static const struct {
	const char *op;
	call_handler handler;
} handlers[] = {
	{ "sessions.list", op_sessions },
	{ "sessions.get", op_session_get },
	{ "sessions.create", op_session_create },
	{ "sessions.put", op_session_update },
	{ "sessions.patch", op_session_update },
	{ "sessions.delete", op_session_delete },
	{ "sessions.terminate", op_session_terminate },
	{ "sessions.terminate_many", op_sessions_terminate },
	{ "sessions.message", op_session_message },
	{ "sessions.broadcast", op_sessions_broadcast },
	{ "sessions.connection", op_session_connection },
	{ "sessions.rdp_file", op_session_rdp_file },
	{ "sessions.statistics", op_session_statistics },
	{ "sessions.timeline", op_session_timeline },
	{ "sessions.summary", op_sessions_summary },
};

const char *controller_name(struct controller *c, const char *name)
{
	char *kept = name && *name ? map_get(c->names, name) : NULL;
	if (kept || !name || !*name)
		return kept ? kept : "";
	kept = xstrdup(name);
	if (map_put(c->names, name, kept, NULL))
		return kept;
	free(kept);
	return "";
}

static void sessions_make_metrics(struct controller *c)
{
	c->metrics.created = metric_series(metric_family("rdp_sessions_created_total", METRIC_COUNTER, NULL,
							 "Sessions declared or found by this controller."), NULL);
	c->metrics.terminated = metric_series(metric_family("rdp_sessions_terminated_total", METRIC_COUNTER, NULL,
							    "Ends of sessions that this controller stored, for whatever reason."), NULL);
}

static void look_due(void *arg)
{
	follow_all(arg);
}

static void read_settings(struct controller *c, const struct config *config)
{
	c->max_live = config_int(config, "MAX_CONCURRENT_SESSIONS");
	c->max_per_user = config_int(config, "MAX_SESSIONS_PER_USER");
	c->timeout_s = config_int(config, "SESSION_TIMEOUT");
	c->history_days = config_int(config, "SESSION_HISTORY_DAYS");
}

static int controller_init(const struct role_env *env, void **ret)
{
	struct controller *c = XNEW(struct controller);
	c->env = *env;
	c->ops = (struct controller_ops){
		.instances = op_find("xrdp.instances.list"), .desktops = op_find("xrdp.instances.desktops"),
		.desktop_end = op_find("xrdp.instances.desktops.end"), .desktop_message = op_find("xrdp.instances.desktops.message"),
		.desktop_limits = op_find("xrdp.instances.desktops.limits"), .connections = op_find("xrdp.instances.connections"),
		.connection_cut = op_find("xrdp.instances.connections.cut"), .quotas = op_find("xrdp.quotas"), .server = op_find("rdp.servers.get"),
		.connection = op_find("rdp.servers.connection"),
		.rdp_file = op_find("rdp.servers.rdp_file"),
	};
	c->one_host = !nodes_shared(env->nodes);
	c->servers = map_new(SERVERS_MAX);
	c->names = map_new(NAMES_MAX);
	list_init(&c->due);
	read_settings(c, env->config);
	sessions_make_metrics(c);
	foreign_begin(c);
	secret_sweep_begin(c);
	timeline_sweep_begin(c);
	c->objects = objects_new(&(struct objects_env){ .kind = &session_kind, .loop = env->loop, .bus = env->bus, .store = env->store,
							.leases = env->leases, .alone = c->one_host, .home = env->node, .ctx = c });
	c->recordings = stored_recordings_new(c);
	c->exports = exports_new(c);
	c->look_timer = loop_timer_new(env->loop, look_due, c);
	events_begin(c);
	sweep_begin(c);
	quotas_tell_begin(c);
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		bus_serve(env->bus, op_find(handlers[i].op), handlers[i].handler, c);
	*ret = c;
	return 0;
}

static void controller_start(void *role)
{
	struct controller *c = role;
	objects_start(c->objects);
	stored_recordings_start(c->recordings);
}

static int controller_reload(void *role, const struct config *next, bool apply, UNUSED char *why, UNUSED size_t size)
{
	if (apply) {
		read_settings(role, next);
		quotas_changed(role);
		limits_check_all(role);
		foreign_allow(role, next);
		secret_sweep_soon(role); /* MASTER_KEY may have changed */
		stored_recordings_reload(((struct controller *)role)->recordings);
	}
	return 0;
}

/* The sessions are drained after the recordings, whose tasks read them. */
static void recordings_drained(void *arg)
{
	struct controller *c = arg;
	objects_drain(c->objects, c->drained, c->drained_arg);
}

static void controller_drain(void *role, void (*done)(void *arg), void *arg)
{
	struct controller *c = role;
	c->drained = done;
	c->drained_arg = arg;
	exports_cancel(c->exports);
	objects_drain(c->recordings->objects, recordings_drained, c);
}

static void controller_release(void *role)
{
	struct controller *c = role;
	events_end(c);
	sweep_end(c);
	quotas_tell_end(c);
	loop_timer_free(c->look_timer);
	foreign_end(c);
	secret_sweep_end(c);
	timeline_sweep_end(c);
	exports_free(c->exports);
	bool free_recordings = stored_recordings_free(c->recordings);
	if (!objects_free(c->objects) || !free_recordings)
		return; /* responses may still arrive while the store closes; the memory they refer to must stay valid until then */
	map_free(c->servers, watched_free);
	watched_free(c->foreign);
	map_free(c->names, free);
	free(c);
}

static const struct option settings[] = {
	{ .name = "MAX_CONCURRENT_SESSIONS", .type = OPT_INT, .flags = OPT_LIVE, .min = 1, .max = 100000, .unit = "sessions", .otherwise = "100",
	  .help = "Maximum number of sessions that have not ended.", .after = "LOGIN_TIMEOUT" },
	{ .name = "MAX_SESSIONS_PER_USER", .type = OPT_INT, .flags = OPT_LIVE, .min = 1, .max = 100000, .unit = "sessions", .otherwise = "10",
	  .help = "Maximum number of sessions of one user that have not ended." },
	{ .name = "SESSION_TIMEOUT", .type = OPT_INT, .flags = OPT_LIVE, .min = 0, .max = 31536000, .unit = "s", .otherwise = "3600",
	  .help = "Time without a client after which a session ends, and after which a declared session that nobody used expires. 0: never. Limits of the "
		  "server and the session apply too; the shortest wins." },
	{ .name = "SESSION_HISTORY_DAYS", .type = OPT_INT, .flags = OPT_LIVE, .min = 1, .max = 3650, .unit = "days", .otherwise = "90",
	  .help = "How long ended sessions are kept.", .after = "METRICS_PUBLIC" },
};

extern const struct role role_rdp_session_controller;
const struct role role_rdp_session_controller = {
	.name = ROLE_SESSIONS,
	.service = ROLE_SESSIONS,
	.base_path = "/api/v1/sessions",
	.option = ROLE_OPTIONS("RDP_SESSION_CONTROLLER"),
	.port = "8092",
	.settings = settings,
	.n_settings = ARRAY_LEN(settings),
	.alias = "rdp-controller",
	.description = "Sessions: who uses which server, on all hosts",
	.host = "controller",
	.about_host = "Follows the sessions on all hosts. Several may run side by side.",
	.init = controller_init,
	.start = controller_start,
	.reload = controller_reload,
	.drain = controller_drain,
	.free = controller_release,
};
