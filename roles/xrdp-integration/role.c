#include "lucid/role.h"

#include "roles/contract/contract.h"
#include "roles/xrdp-integration/figures.h"
#include "roles/xrdp-integration/forward.h"

/* The host agent: the face of the supervisor. Its operations are the table in forward.c; its events (xrdp.*) the
 * supervisor publishes itself, over the same pair that answers the calls. */

struct agent {
	struct route *routes;
	struct figures *figures;
};

static int init(const struct role_env *env, void **ret)
{
	struct agent *a = XNEW(struct agent);
	a->routes = forward_serve(env->bus, env->nodes);
	a->figures = figures_new(env->bus);
	*ret = a;
	return 0;
}

/* Nothing is kept in the store: instances are found again by the supervisor. */
static void start(void *role)
{
}

static void release(void *role)
{
	struct agent *a = role;
	figures_free(a->figures);
	free(a->routes);
	free(a);
}

extern const struct role role_xrdp_integration;
const struct role role_xrdp_integration = {
	.name = ROLE_XRDP,
	.service = ROLE_XRDP,
	.base_path = "/api/v1/xrdp",
	.port_option = "XRDP_INTEGRATION_PORT",
	.url_option = "XRDP_INTEGRATION_URL",
	.alias = NULL,
	.description = "The host agent: starts, watches and ends xrdp instances and the desktops on them",
	.init = init,
	.start = start,
	.free = release,
};
