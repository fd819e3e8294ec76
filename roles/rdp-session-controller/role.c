#include "lucid/role.h"

#include "roles/contract/contract.h"
#include "roles/rdp-session-controller/sessions.h"

/* rdp-session-controller: lists the live desktops. It stores nothing; the data come from the agents of the hosts. */

static int controller_init(const struct role_env *env, void **ret)
{
	struct controller *s = XNEW(struct controller);
	s->env = *env;
	s->instances = op_find("xrdp.instances.list");
	s->desktops = op_find("xrdp.instances.desktops");
	s->server = op_find("rdp.servers.get");
	bus_serve(env->bus, op_find("sessions.list"), op_sessions, s);
	*ret = s;
	return 0;
}

static void controller_drain(void *role, void (*done)(void *arg), void *arg)
{
	struct controller *s = role;
	under_way_wait(&s->under_way, done, arg);
}

static void controller_release(void *role)
{
	struct controller *s = role;
	if (!s->under_way.n) /* otherwise pending replies still refer to it */
		free(s);
}

/* Defined already, so that a configuration with them is refused with a message that names the missing part. */
static const char part[] = "the session API";
static const struct option settings[] = {
	{ .name = "MAX_CONCURRENT_SESSIONS", .type = OPT_INT, .flags = OPT_NOT_BUILT, .min = 1, .max = 100000, .unit = "sessions", .otherwise = "100",
	  .help = "Maximum number of sessions.", .part = part, .after = "LOGIN_TIMEOUT" },
	{ .name = "MAX_SESSIONS_PER_USER", .type = OPT_INT, .flags = OPT_NOT_BUILT, .min = 1, .max = 100000, .unit = "sessions", .otherwise = "10",
	  .help = "Maximum number of sessions of one user.", .part = part },
	{ .name = "SESSION_TIMEOUT", .type = OPT_INT, .flags = OPT_NOT_BUILT, .min = 60, .max = 31536000, .unit = "s", .otherwise = "3600",
	  .help = "Time after which an unused session ends.", .part = part },
	{ .name = "SESSION_HISTORY_DAYS", .type = OPT_INT, .flags = OPT_NOT_BUILT, .min = 1, .max = 3650, .unit = "days", .otherwise = "90",
	  .help = "How long ended sessions are kept.", .part = part, .after = "METRICS_PUBLIC" },
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
	.description = "Sessions: live desktops on all servers and hosts",
	.host = "controller",
	.about_host = "Lists the live desktops of all hosts.",
	.init = controller_init,
	.drain = controller_drain,
	.free = controller_release,
};
