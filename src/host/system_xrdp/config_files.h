/*
 * config_files: the host's xrdp.ini and sesman.ini, and their dated backups beside them. Floor F3, supervisor only; reads and writes small
 * files directly.
 */
#ifndef HOST_SYSTEM_XRDP_CONFIG_FILES_H
#define HOST_SYSTEM_XRDP_CONFIG_FILES_H

#include "host/core.h"
#include "host/system_xrdp/keys.h"

#define HOSTCFG_BACKUPS_MAX 20 /* of a file; older ones are removed when one is added */
#define HOSTCFG_BACKUP_NAME 64

char *hostcfg_path(const struct host *h, enum hostcfg_file w);
/* The text; the caller frees. NULL with *ret_err and a static sentence if it cannot be read. */
char *hostcfg_read(const struct host *h, enum hostcfg_file w, int *ret_err, const char **ret_why);
/* The host's sesman.ini, parsed; empty if there is none. */
struct inifile *hostcfg_sesman(const struct host *h);
/* A hash of the text. */
int64_t hostcfg_version(const char *text);

/* Copies the file to a backup with the time in its name, then replaces its text. 0 or -errno; `backup` is the name of the copy. Owner root;
 * group and mode stay. */
int hostcfg_write(const struct host *h, enum hostcfg_file w, const char *text, char backup[HOSTCFG_BACKUP_NAME]);
/* Restores this text without a backup. */
int hostcfg_restore(const struct host *h, enum hostcfg_file w, const char *text);

/* [{name, file, created_at, size_bytes}], newest first. */
json_t *hostcfg_backups(const struct host *h, enum hostcfg_file w);
/* The text of a backup in that list ("" or NULL: the newest); NULL: there is no such backup. */
char *hostcfg_backup_read(const struct host *h, enum hostcfg_file w, const char *name);

#endif
