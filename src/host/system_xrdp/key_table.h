/*
 * key_table: the keys of xrdp.ini and sesman.ini, one row each. Floor F3; a table without code. Bounds are those in the sources of xrdp
 * 0.9.21, or else useful ones. For system_xrdp/keys.c and the tests only.
 */
#ifndef HOST_SYSTEM_XRDP_KEY_TABLE_H
#define HOST_SYSTEM_XRDP_KEY_TABLE_H

#include "lucid/base.h"

enum hostcfg_type {
	HC_BOOL,
	HC_INT,	   /* min, max */
	HC_HEX,	   /* 0x04, 00000409 */
	HC_COLOUR, /* 009cb5 */
	HC_CHOICE, /* values */
	HC_CHOICES, /* several of values, separated by commas */
	HC_TEXT,
	HC_SECRET, /* a password, unless it is a keyword ("ask…", "same", "na", "") */
	HC_PATH,   /* places */
	HC_LISTEN, /* xrdp's port: 3389, tcp://:3389, tcp://.:3389, tcp6://…, vsock://…, several with commas */
	HC_PORT,   /* of a session kind: -1, a number, ask…, a socket of xrdp's */
	HC_PARAMS, /* arguments of an X server, one per line */
	HC_ENV,	   /* a variable of the sessions */
};
enum { /* where a path may lead */
	AT_CONFIG = 1 << 0, /* XRDP_CONFIG_PATH; a relative path is below it */
	AT_TLS = 1 << 1,
	AT_LOG = 1 << 2,
	AT_SHARE = 1 << 3, /* pictures */
	AT_MOUNT = 1 << 4, /* drives of clients */
	AT_PLAIN = 1 << 5, /* a name without directory */
	ABSOLUTE = 1 << 6, /* with AT_CONFIG: no relative path, which xrdp would replace by its default file */
};
struct hostcfg_key {
	const char *section; /* "*": a kind of session (any section of xrdp.ini with a name of its own) */
	const char *key;     /* "*": any */
	enum hostcfg_type type;
	int64_t min, max;
	const char *const *values;
	unsigned places;
};
extern const struct hostcfg_key hostcfg_xrdp_keys[], hostcfg_sesman_keys[];
extern const size_t hostcfg_xrdp_keys_n, hostcfg_sesman_keys_n;
/* Sections that must not be removed; NULL-ended. */
extern const char *const hostcfg_xrdp_sections[], *const hostcfg_sesman_sections[];

#endif
