#include "lucid/role.h"

#include "roles/contract/contract.h"
#include "roles/rdp-session-controller/sessions.h"

/* The place of sessions: who is on which desktop. Nothing is kept: what lives is read from the hosts' agents. */

static int init(const struct role_env *env, void **ret)
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

static void start(void *role)
{
}

void controller_idle(struct controller *s)
{
	if (s->under_way || !s->drained)
		return;
	void (*done)(void *) = s->drained;
	s->drained = NULL;
	done(s->drained_arg);
}

static void drain(void *role, void (*done)(void *arg), void *arg)
{
	struct controller *s = role;
	s->drained = done;
	s->drained_arg = arg;
	controller_idle(s);
}

static void release(void *role)
{
	struct controller *s = role;
	if (!s->under_way) /* else replies may still come, and point to it */
		free(s);
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
	.drain = drain,
	.free = release,
};
