#include "app/roles.h"

#include <stdio.h>

#include "lucid/str.h"

extern const struct role role_rdp_server_manager, role_xrdp_integration, role_rdp_session_controller, role_rdp_resource_monitor;

const struct role *const all_roles[] = {
	&role_rdp_server_manager, &role_xrdp_integration, &role_rdp_session_controller, &role_rdp_resource_monitor, NULL,
};

const struct role *role_find(const char *name)
{
	for (const struct role *const *r = all_roles; *r; r++)
		if (str_eq(name, (*r)->name) || ((*r)->alias && str_eq(name, (*r)->alias)))
			return *r;
	return NULL;
}

static void explain(const char *name, char *why, size_t size)
{
	size_t n = (size_t)snprintf(why, size, "there is no role \"%s\"; the roles are: all", name);
	for (const struct role *const *r = all_roles; *r && n < size; r++)
		n += (size_t)snprintf(why + n, size - n, ", %s%s%s%s", (*r)->name, (*r)->alias ? " (also " : "",
				      (*r)->alias ? (*r)->alias : "", (*r)->alias ? ")" : "");
}

bool roles_select(const char *const *names, const struct role *ret[8], char *why, size_t size)
{
	bool wanted[8] = { false };
	size_t n = 0;
	for (; *names; names++) {
		const struct role *role = role_find(*names);
		if (!role && !str_eq(*names, "all")) {
			explain(*names, why, size);
			return false;
		}
		for (size_t i = 0; all_roles[i]; i++)
			wanted[i] |= !role || all_roles[i] == role;
	}
	for (size_t i = 0; all_roles[i]; i++)
		if (wanted[i])
			ret[n++] = all_roles[i];
	ret[n] = NULL;
	if (!n)
		explain("", why, size);
	return n > 0;
}
