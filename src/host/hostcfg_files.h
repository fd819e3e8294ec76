/*
 * hostcfg_files: the host's xrdp.ini and sesman.ini on the disk, and their dated backups beside them. Floor F3, supervisor
 * only; a small file each, read or written at once.
 */
#ifndef HOST_HOSTCFG_FILES_H
#define HOST_HOSTCFG_FILES_H

#include "host/core.h"
#include "host/hostcfg_keys.h"

#define HOSTCFG_BACKUPS_MAX 20 /* of a file; older ones go when another is made */
#define HOSTCFG_BACKUP_NAME 64

char *hostcfg_path(const struct host *h, enum hostcfg_file w);
/* NULL with *ret_err and a sentence (static) when there is none or it cannot be read. */
char *hostcfg_read(const struct host *h, enum hostcfg_file w, int *ret_err, const char **ret_why);
/* A number that changes with the text. */
int64_t hostcfg_version(const char *text);

/* Put `text` in the file's place, after a copy of what is there was put beside it under a name with the time. 0 or -errno;
 * `backup` is the copy's name. Owner root, group and mode as they were. */
int hostcfg_write(const struct host *h, enum hostcfg_file w, const char *text, char backup[HOSTCFG_BACKUP_NAME]);
/* Back to exactly this text, without another copy. */
int hostcfg_restore(const struct host *h, enum hostcfg_file w, const char *text);

/* [{name, file, created_at, size_bytes}], newest first. */
json_t *hostcfg_backups(const struct host *h, enum hostcfg_file w);
/* The text of one that is in that list ("" or NULL: the newest); NULL: there is none of that name. */
char *hostcfg_backup_read(const struct host *h, enum hostcfg_file w, const char *name);

#endif
