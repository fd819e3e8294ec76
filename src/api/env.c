#include "api/env.h"

#include "lucid/str.h"
#include "roles/contract/contract.h"

static const struct role *role_named(const struct role *const *roles, const char *name)
{
	for (; *roles; roles++)
		if (str_eq((*roles)->name, name))
			return *roles;
	return NULL;
}

const char *api_env_service(const struct api_env *env, const char *role)
{
	const struct role *r = role_named(env->all_roles, role);
	return r ? r->service : role;
}

bool api_env_serves(const struct api_env *env, const char *role)
{
	return str_eq(role, ROLE_COMMON) ? env->store != NULL : role_named(env->roles, role) != NULL;
}
