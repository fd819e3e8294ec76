/* roles: the list of all roles, from roles/contract/roles.def. Floor F7. */
#ifndef APP_ROLES_H
#define APP_ROLES_H

#include "lucid/role.h"

#define ROLE(name, table) +1
enum {
	ROLES_N = 0
#include "roles/contract/roles.def"
};
#undef ROLE

extern const struct role *const all_roles[ROLES_N + 1]; /* in starting order; NULL-ended */

/* A role by its name or alias; NULL: unknown. */
const struct role *role_find(const char *name);

/* The roles in a list of names or "all": in starting order, NULL-ended, each once. False with a message in why[size] that lists the valid
 * names. */
bool roles_select(const char *const *names, const struct role *ret[ROLES_N + 1], char *why, size_t size);

#endif
