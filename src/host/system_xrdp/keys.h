/*
 * keys: the sections and keys that xrdp 0.9.21 knows in xrdp.ini and sesman.ini, their values, and the changes that are allowed. Floor F3,
 * any process; allocates, does no input or output.
 *
 * A key that is not in the table may be changed only if the file has it. No value may contain a control character, a character that xrdp's
 * parser takes for a comment, a section or a variable ('#' ';' '[' ']', a leading '$'), or a path outside the directories that its key
 * allows. A password is shown as HOSTCFG_HIDDEN; that value leaves it unchanged.
 */
#ifndef HOST_SYSTEM_XRDP_KEYS_H
#define HOST_SYSTEM_XRDP_KEYS_H

#include "host/system_xrdp/dirs.h"
#include "host/system_xrdp/inifile.h"
#include "lucid/shape.h"

enum hostcfg_file { HOSTCFG_XRDP, HOSTCFG_SESMAN, HOSTCFG_FILES };
const char *hostcfg_file_name(enum hostcfg_file w); /* "xrdp.ini" */
enum hostcfg_file hostcfg_file_from(const char *s); /* "sesman"; anything else is xrdp */

/* inifile_doc with types: {"Globals":{"port":3389,"fork":true}}; repeated keys ("param") are arrays. */
json_t *hostcfg_typed(enum hostcfg_file w, const json_t *raw);

/* Checks the sections of a change ({"Globals":{"max_bpp":24,"autorun":null},"Xvnc":null}) and applies it to `f`. Faults are named
 * "sections.Globals.max_bpp"; after a fault, discard `f`, which is partly changed. *ret_changed (may be NULL) is an array of the keys that
 * differ afterwards ("Globals.max_bpp"); the caller frees. */
void hostcfg_change(enum hostcfg_file w, const struct hostcfg_dirs *dirs, struct inifile *f, const json_t *sections,
		    struct faults *faults, json_t **ret_changed);
/* Checks a whole file: its size, relations between keys and, with `values`, the value of each known key. Without, a value that an
 * administrator wrote does not prevent the change of another key. */
void hostcfg_check(enum hostcfg_file w, const struct hostcfg_dirs *dirs, const struct inifile *f, bool values,
		   struct faults *faults);

/* The port that xrdp will listen on; 0 if it is not a TCP port reachable by loopback (vsock, a Unix socket, another address). */
int hostcfg_xrdp_port(const struct inifile *f);
int hostcfg_sesman_port(const struct inifile *f);
/* The displays that sesman may use: their number, from *ret_first on. */
int hostcfg_sesman_displays(const struct inifile *f, int *ret_first);
/* The last value of a key, borrowed from raw (inifile_doc); NULL: absent. Ignores case. */
const char *hostcfg_value(const json_t *raw, const char *section, const char *key);
/* Whether a key differs that xrdp reads only when it starts. It reads the other keys of xrdp.ini at each connection. */
bool hostcfg_needs_start(const char *before, const char *after);

#endif
