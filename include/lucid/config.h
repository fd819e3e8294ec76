/*
 * config: settings, read once into a snapshot. Floor F1, any thread after the load. Settings that SIGHUP may change (OPT_LIVE in their
 * row) are for the loop thread only: read them when they are needed, or in the role's reload callback.
 * The rows are in src/app/settings/options.c; a name without a row is a programming error.
 */
#ifndef LUCID_CONFIG_H
#define LUCID_CONFIG_H

#include "lucid/base.h"

struct config;

/* Text as given or by default; "" when the setting has no value. Borrowed from the snapshot. */
const char *config_str(const struct config *c, const char *name);
int64_t config_int(const struct config *c, const char *name);
bool config_bool(const struct config *c, const char *name);
/* NULL-terminated list of the items; borrowed. */
const char *const *config_list(const struct config *c, const char *name);
/* The numbers of the ports on which the program listens (OPT_LISTENS), whichever roles run; terminated by 0; the caller frees. */
int *config_listen_ports(const struct config *c);
bool config_given(const struct config *c, const char *name); /* it was set, possibly to its default */
/* Where the value came from: "default", "environment", "--set", or the file's path. */
const char *config_source(const struct config *c, const char *name);

#endif
