/* as_owner: runs the part of a sub-command that accesses the store in a child process, with the rights of the store's owner only. The
 * process that reads the network writes the store's folder, so root must not trust its content. Floor F7; sub-commands only; blocks. */
#ifndef APP_COMMANDS_AS_OWNER_H
#define APP_COMMANDS_AS_OWNER_H

#include "lucid/config.h"
#include "store/sqlite/backup.h"

#define OWNER_WHY_SIZE 700

/* The path of the embedded store; the caller frees. */
char *store_path(const struct config *c);
/* BACKUP_DIR or its default; the caller frees. */
char *backup_dir(const struct config *c);

/* Run `work` in that process, with the lowest priority if `gently`. Returns its result and its outputs; -ERR_INTERNAL with a reason if the
 * process could not be started or died. */
int as_owner(const struct config *c, bool gently, int (*work)(void *arg, struct backup_facts *ret, char *why, size_t size), void *arg,
	     struct backup_facts *ret, char why[OWNER_WHY_SIZE]);
/* As root: make the store's folder, if this host has none yet. False with a reason. */
bool owner_make_dirs(const struct config *c, char why[OWNER_WHY_SIZE]);

#endif
