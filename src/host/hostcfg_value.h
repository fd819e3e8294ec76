/* hostcfg_value: one value of a row of hostcfg_table: may it be this, and what is it in JSON. Floor F3, any process; nothing
 * waits. For hostcfg_keys.c alone. */
#ifndef HOST_HOSTCFG_VALUE_H
#define HOST_HOSTCFG_VALUE_H

#include "host/hostcfg_table.h"

/* `row` NULL: a key nobody knows. False with a sentence of what is allowed in why[]. `first`: the first of several. */
bool hostcfg_value_ok(const struct hostcfg_key *row, const struct hostcfg_dirs *dirs, const char *key, const char *value,
		      bool first, char *why, size_t size);
/* A new value; a string where it is not what the row says. */
json_t *hostcfg_value_typed(const struct hostcfg_key *row, const char *value);
/* Is a password shown in the clear by it? */
bool hostcfg_value_secret(const struct hostcfg_key *row, const char *value);
/* The TCP port of a listen value that this host's loopback reaches; 0: none. Of several the first. */
int hostcfg_listen_port(const char *value);

#endif
