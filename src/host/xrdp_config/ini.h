/*
 * ini: xrdp.ini, sesman.ini and startwm.sh of an instance, as text. Floor F3, any process; allocates, does no input or output.
 *
 * No text of a request is copied into them: choices go through tables, and numbers are printed as numbers. The name of the server is in
 * none of them. Paths come from the configuration and are checked. Only keys that xrdp 0.9.21 knows are written.
 */
#ifndef HOST_XRDP_CONFIG_INI_H
#define HOST_XRDP_CONFIG_INI_H

#include <sys/types.h>

#include "lucid/doc.h"

struct ini_in {
	const json_t *spec; /* InstanceSpec with defaults */
	int sesman_port, display_first;
	uid_t xrdp_uid; /* the account of this server's xrdp, the only one that may log in through its sesman */
	const char *cert, *key;	  /* paths in the daemon's namespace */
	const char *log;	  /* directory */
	const char *program;	  /* for pam_exec */
	const char *hook_socket;
	bool common_auth;	  /* the host's PAM files follow Debian */
	bool desks;		  /* desktops have namespaces of their own (desk_ns.h) */
	bool shared;		  /* no namespace; uses the host's sesman */
};
/* In the first line of each file. */
#define INI_MADE "made by lucid-rdp for one server; changes here are lost when it starts"

/* Whether a path may be written to these files: absolute, at most 200 of [A-Za-z0-9._/+@:=,-], no "..". */
bool ini_path_ok(const char *path);

/* All return text the caller frees. */
char *ini_xrdp(const struct ini_in *in);
char *ini_sesman(const struct ini_in *in);
/* The script that starts a desktop (startwm.c). Name, command and names for XDG_CURRENT_DESKTOP ("": none) come from a profile, so from the
 * configuration. */
char *ini_startwm(const char *name, const char *command, const char *xdg_desktop);

#endif
