/*
 * profiles: what a desktop can run. Floor F3, supervisor only. Commands come from configuration (DESKTOP_PROFILES) or are
 * found on the host, never from a request; a request names a profile.
 */
#ifndef HOST_PROFILES_H
#define HOST_PROFILES_H

#include "lucid/base.h"

struct profiles;
struct profile {
	char name[33];
	char *command; /* for sh -c */
	bool installed;
};
/* `configured`: "name=command", NULL-ended, or NULL: look for those known. */
struct profiles *profiles_new(const char *const *configured, const char *default_name);
void profiles_free(struct profiles *p); /* takes NULL */
size_t profiles_count(const struct profiles *p);
const struct profile *profiles_at(const struct profiles *p, size_t n);
/* By name; NULL or "" takes the default. NULL: unknown, or none is installed. `installed` is looked at again. */
const struct profile *profiles_find(struct profiles *p, const char *name);
const char *profiles_default(const struct profiles *p); /* "" when there is none */
void profiles_refresh(struct profiles *p); /* look again at what is installed */

#endif
