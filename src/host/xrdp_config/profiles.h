/*
 * profiles: the desktop environments of this host. Floor F3, supervisor only. Commands come from the configuration (DESKTOP_PROFILES) or
 * are found on the host, never from a request, which only names a profile.
 */
#ifndef HOST_XRDP_CONFIG_PROFILES_H
#define HOST_XRDP_CONFIG_PROFILES_H

#include "lucid/base.h"

struct profiles;
struct profile {
	char name[33];
	char *command; /* for sh -c */
	bool installed;
	bool bare; /* found on the host; a window manager without panel, menu and terminal */
};
/* `configured`: "name=command", NULL-ended; NULL: searches for known ones. */
struct profiles *profiles_new(const char *const *configured, const char *default_name);
void profiles_free(struct profiles *p); /* takes NULL */
size_t profiles_count(const struct profiles *p);
const struct profile *profiles_at(const struct profiles *p, size_t n);
/* By name; NULL or "" selects the default. NULL: unknown, or none is installed. Updates `installed`. */
const struct profile *profiles_find(struct profiles *p, const char *name);
/* DESKTOP_DEFAULT, else the first that is installed. A bare window manager that was found on the host shows an empty screen, so it is not
 * the default; it can be named. "": there is none. */
const char *profiles_default(const struct profiles *p);
/* The names of those that are installed, parted by commas: "xfce, icewm"; "" when there is none. The caller frees. */
char *profiles_installed(const struct profiles *p);
/* What XDG_CURRENT_DESKTOP is for a command of a desktop that is known; "" for others. */
const char *profiles_xdg(const char *command);
void profiles_refresh(struct profiles *p); /* look again at what is installed */
/* Why a server that names this profile (NULL or "": none) cannot start, and what to do; NULL: it can. Looks again at what is installed.
 * The caller frees. */
char *profiles_fault(struct profiles *p, const char *name);

#endif
