/*
 * config: settings, read once into a snapshot. Floor F1, any thread after the load; those that SIGHUP may change (OPT_LIVE of
 * their row) on the loop thread alone: ask for them when they are needed, or take them up in the role's reload.
 * The rows stand in src/app/options.c; asking for a name that has no row is a programming error.
 */
#ifndef LUCID_CONFIG_H
#define LUCID_CONFIG_H

#include "lucid/base.h"

struct config;

/* Text as given or by default; "" when the setting has no value. Borrowed from the snapshot. */
const char *config_str(const struct config *c, const char *name);
int64_t config_int(const struct config *c, const char *name);
bool config_bool(const struct config *c, const char *name);
/* NULL-ended list of the items; borrowed. */
const char *const *config_list(const struct config *c, const char *name);
bool config_given(const struct config *c, const char *name); /* somebody set it; it is not the default */
/* Where the value came from: "default", "environment", "--set", or the file's path. */
const char *config_source(const struct config *c, const char *name);

#endif
