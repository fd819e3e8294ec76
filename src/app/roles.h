/* roles: the one place that names all four. Floor F7. */
#ifndef APP_ROLES_H
#define APP_ROLES_H

#include "lucid/role.h"

extern const struct role *const all_roles[]; /* in the order they start; NULL-ended */

/* A role by its name or another accepted one; NULL: unknown. */
const struct role *role_find(const char *name);

/* The roles that a list names ("all", or names), in starting order, NULL-ended, each once. False with a sentence that lists
 * the right names in why[size]. */
bool roles_select(const char *const *names, const struct role *ret[8], char *why, size_t size);

#endif
