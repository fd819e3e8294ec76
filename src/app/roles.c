#include "app/roles.h"

#include <stdio.h>

#include "lucid/near.h"
#include "lucid/str.h"

#define ROLE(name, table) extern const struct role role_##name;
#include "roles/contract/roles.def"
#undef ROLE

#define ROLE(name, table) &role_##name,
const struct role *const all_roles[ROLES_N + 1] = {
#include "roles/contract/roles.def"
};
#undef ROLE

const struct role *role_find(const char *name)
{
	for (const struct role *const *r = all_roles; *r; r++)
		if (str_eq(name, (*r)->name) || ((*r)->alias && str_eq(name, (*r)->alias)))
			return *r;
	return NULL;
}

static void explain(const char *name, char *why, size_t size)
{
	const char *meant = NULL;
	for (const struct role *const *r = all_roles; *r && !meant; r++)
		meant = near_alike(name, (*r)->name) ? (*r)->name : NULL;
	size_t n = (size_t)snprintf(why, size, "unknown role \"%s\"; %s%s%s roles are: all", name, meant ? "did you mean " : "", meant ? meant : "",
				    meant ? "? The" : "the");
	for (const struct role *const *r = all_roles; *r && n < size; r++)
		n += (size_t)snprintf(why + n, size - n, ", %s%s%s%s", (*r)->name, (*r)->alias ? " (also " : "",
				      (*r)->alias ? (*r)->alias : "", (*r)->alias ? ")" : "");
}

bool roles_select(const char *const *names, const struct role *ret[ROLES_N + 1], char *why, size_t size)
{
	bool wanted[ROLES_N] = { false };
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
