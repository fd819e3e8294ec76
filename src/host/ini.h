/*
 * ini: the files an instance is started from, as text. Floor F3, any process; allocates, does no input or output.
 *
 * Nothing a caller wrote is copied: choices go through tables, numbers are printed as numbers, account names must have the
 * form of an account name. A server's name stands in none of these files. Paths are the administrator's, and are checked.
 * Only keys that xrdp 0.9.21 knows.
 */
#ifndef HOST_INI_H
#define HOST_INI_H

#include "lucid/doc.h"

struct ini_in {
	const json_t *spec; /* InstanceSpec with defaults */
	int sesman_port, display_first;
	const char *cert, *key;	  /* as the daemon sees them */
	const char *log;	  /* directory */
	const char *program;	  /* for pam_exec */
	const char *hook_socket;
	bool common_auth;	  /* the host's PAM files are Debian's */
	bool shared;		  /* no namespace: host's sesman */
};
/* A path that may stand in these files: absolute, at most 200 of [A-Za-z0-9._/+@:=,-], no "..". */
bool ini_path_ok(const char *path);

/* All return text the caller frees. */
char *ini_xrdp(const struct ini_in *in);
char *ini_sesman(const struct ini_in *in);
char *ini_pam(const struct ini_in *in);
/* What the PAM file includes: which accounts are let in; changes with the definition. */
char *ini_pam_access(const json_t *spec);
/* One name a line, for pam_listfile; NULL when the list is empty (everybody). */
char *ini_names(const json_t *spec, const char *list);
/* What a desktop starts with. `command` is a profile's, from configuration. */
char *ini_startwm(const char *command);

#endif
