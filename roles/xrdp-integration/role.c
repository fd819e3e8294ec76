#include "lucid/role.h"

#include "roles/contract/contract.h"
#include "roles/xrdp-integration/accounts.h"
#include "roles/xrdp-integration/figures.h"
#include "roles/xrdp-integration/forward.h"

/* xrdp-integration, the agent of a host: offers the supervisor's operations. The table in forward.c maps them. The supervisor itself publishes
 * the events xrdp.*, over the same socket pair. */

struct agent {
	struct route *routes;
	struct figures *figures;
	struct accounts *accounts;
};

static int agent_init(const struct role_env *env, void **ret)
{
	struct agent *a = XNEW(struct agent);
	a->routes = forward_serve(env->bus, env->nodes);
	a->figures = figures_new(env->bus);
	a->accounts = accounts_serve(env->bus, env->loop);
	*ret = a;
	return 0;
}

static void agent_release(void *role)
{
	struct agent *a = role;
	accounts_free(a->accounts);
	figures_free(a->figures);
	free(a->routes);
	free(a);
}

extern const struct role role_xrdp_integration;
const struct role role_xrdp_integration = {
	.name = ROLE_XRDP,
	.service = ROLE_XRDP,
	.base_path = "/api/v1/xrdp",
	.option = ROLE_OPTIONS("XRDP_INTEGRATION"),
	.port = "8091",
	.supervised = true,
	.description = "The agent of a host: starts, monitors and ends xrdp instances and their desktops",
	.host = "agent",
	.about_host = "The agent: runs as root on each host with desktops. The other roles need no root.",
	.host_settings = "# This host: its node name (default: the host name), the URL at which managers reach this agent, and the address that .rdp\n"
			 "# files contain.\n"
			 "#NODE_NAME=\n"
			 "NODE_URL=http://${AGENT_HOST:-agent.internal}:8091\n"
			 "NODE_PUBLIC_HOST=${AGENT_HOST:-agent.internal}\n"
			 "#NODE_LABELS=room=lab\n",
	.init = agent_init,
	.free = agent_release,
};
