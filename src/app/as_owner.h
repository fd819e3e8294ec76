/* as_owner: the part of backup and restore that touches the store, in a process of its own that has the rights of the store's
 * owner and no more: what lies in the store's folder was written by who reads the network. Floor F7; sub-commands only; blocks. */
#ifndef APP_AS_OWNER_H
#define APP_AS_OWNER_H

#include "lucid/config.h"
#include "store/backup.h"

#define OWNER_WHY_SIZE 700

/* Where the embedded store of these settings is; to be freed. */
char *store_path(const struct config *c);
/* BACKUP_DIR, or what it is by default; to be freed. */
char *backup_dir(const struct config *c);

/* Run `work` there, at the lowest priority if `gently`. What it returns and fills in comes back. -ERR_INTERNAL with a sentence
 * when the process could not be made or did not come to its end. */
int as_owner(const struct config *c, bool gently, int (*work)(void *arg, struct backup_facts *ret, char *why, size_t size), void *arg,
	     struct backup_facts *ret, char why[OWNER_WHY_SIZE]);
/* As root: the store's folder, for a host that has none yet. False with a sentence. */
bool owner_make_dirs(const struct config *c, char why[OWNER_WHY_SIZE]);

#endif
