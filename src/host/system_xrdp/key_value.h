/* key_value: checks one value of a key of key_table.h and converts it to JSON. Floor F3, any process; does not block. For
 * system_xrdp/keys.c only. */
#ifndef HOST_SYSTEM_XRDP_KEY_VALUE_H
#define HOST_SYSTEM_XRDP_KEY_VALUE_H

#include "host/system_xrdp/dirs.h"
#include "host/system_xrdp/key_table.h"
#include "lucid/doc.h"

/* `row` NULL: an unknown key. False with a sentence on the allowed values in why[]. `first`: the first of several values. */
bool hostcfg_value_ok(const struct hostcfg_key *row, const struct hostcfg_dirs *dirs, const char *key, const char *value,
		      bool first, char *why, size_t size);
#define HOSTCFG_HIDDEN "********" /* shown instead of a password */
/* A new value; a string if it does not have the type of the row. */
json_t *hostcfg_value_typed(const struct hostcfg_key *row, const char *value);
/* Whether the value is a password. */
bool hostcfg_value_secret(const struct hostcfg_key *row, const char *value);
/* The first TCP port of a listen value that is reachable by loopback; 0: none. */
int hostcfg_listen_port(const char *value);

#endif
