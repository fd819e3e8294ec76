/*
 * hostcfg_keys: which sections and keys xrdp 0.9.21 knows in xrdp.ini and sesman.ini, what each may be, and what a change to
 * them may be. Floor F3, any process; allocates, does no input or output.
 *
 * A key that is not in the table may be changed only where the file has it already. No value can hold a control character,
 * what xrdp's reader takes for a comment, a section or a variable ('#' ';' '[' ']', a leading '$'), or a path outside the
 * places that its key allows. Passwords are shown as HOSTCFG_HIDDEN, which leaves them as they are when sent back.
 */
#ifndef HOST_HOSTCFG_KEYS_H
#define HOST_HOSTCFG_KEYS_H

#include "host/hostcfg_text.h"
#include "lucid/shape.h"

enum hostcfg_file { HOSTCFG_XRDP, HOSTCFG_SESMAN, HOSTCFG_FILES };
const char *hostcfg_file_name(enum hostcfg_file w); /* "xrdp.ini" */
enum hostcfg_file hostcfg_file_from(const char *s); /* "sesman"; anything else is xrdp */

#define HOSTCFG_HIDDEN "********"

/* Where absolute paths may lead beside the places that are fixed. */
struct hostcfg_dirs {
	const char *config; /* XRDP_CONFIG_PATH */
	const char *data;   /* DATA_DIR: certificates of ours */
	const char *log;    /* XRDP_LOG_PATH */
};

/* inifile_doc with types: {"Globals":{"port":3389,"fork":true}}; keys that repeat ("param") are arrays. */
json_t *hostcfg_typed(enum hostcfg_file w, const json_t *raw);

/* Check the sections of a change ({"Globals":{"max_bpp":24,"autorun":null},"Xvnc":null}) and make it in `f`. Faults are
 * named "sections.Globals.max_bpp"; with any, `f` is left half changed and thrown away. ret_changed (may be NULL) is an
 * array of "Globals.max_bpp", the caller's: only what is different afterwards. */
void hostcfg_change(enum hostcfg_file w, const struct hostcfg_dirs *dirs, struct inifile *f, const json_t *sections,
		    struct faults *faults, json_t **ret_changed);
/* Check a whole file: its size, what keys must be to each other and, with `values`, each known key's value (what an
 * administrator wrote by hand must not keep other keys from being changed). */
void hostcfg_check(enum hostcfg_file w, const struct hostcfg_dirs *dirs, const struct inifile *f, bool values,
		   struct faults *faults);

/* The port that xrdp will listen on; 0 when it is no TCP port of this host's loopback (vsock, a socket, another address). */
int hostcfg_xrdp_port(const struct inifile *f);
int hostcfg_sesman_port(const struct inifile *f);
/* The displays that sesman may give away: how many, from *ret_first on. */
int hostcfg_sesman_displays(const struct inifile *f, int *ret_first);
/* The last value of a key, borrowed from raw (inifile_doc); NULL: absent. Names in either case. */
const char *hostcfg_value(const json_t *raw, const char *section, const char *key);
/* Is something different that xrdp reads only when it starts? (The rest of xrdp.ini it reads for each connection.) */
bool hostcfg_needs_start(const char *before, const char *after);

#endif
