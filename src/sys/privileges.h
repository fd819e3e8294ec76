/* privileges: the account and capabilities of a process, and the ownership of its directories. Floor F1, before threads exist. */
#ifndef SYS_PRIVILEGES_H
#define SYS_PRIVILEGES_H

#include <sys/types.h>

#include "lucid/base.h"

struct run_user {
	uid_t uid;
	gid_t gid;
};

/* RUN_USER: the name of an account or a uid; "": the account lucid-rdp if it exists, otherwise uid 65532. False: no such account. */
bool run_user_find(const char *name, struct run_user *ret);

/* Drops, irrevocably: groups, ids, all capabilities and the bounding set; clears dumpable and sets no_new_privs. A process that is not
 * root has no groups, ids and bounding set to drop. 0, or -1 with errno: the caller must then exit. */
int privileges_drop(const struct run_user *u);

/* Enters a new, empty session keyring (session-keyring(7)), so that this process and its children neither have the keys of whoever started
 * the program nor share keys with other children. Where the kernel has no keyrings or forbids them, there is nothing to share. */
void privileges_leave_keyring(void);

/* Make a directory with this mode and owner, and its parents with 0755. As root, mode and owner are also set on a directory that exists,
 * but not on its parents. 0 or -1 with errno. */
int privileges_make_dir(const char *path, mode_t mode, const struct run_user *owner);

/* For a tree that belongs to another account, for example after a copy by root or a change of RUN_USER. As root, gives every directory
 * and every regular file with one link below `dir` to `owner`, `depth` directories deep (0: only the entries of `dir`). `dir` itself must
 * be the owner's already. Symbolic links, files with several hard links, other file systems and other types are not changed. If an entry
 * then still belongs to another account and the owner cannot use it: false, with its path and what to do in `why`. It blocks: only at the
 * start. */
bool privileges_hand_over(const char *dir, const struct run_user *owner, unsigned depth, char *why, size_t size);

#endif
