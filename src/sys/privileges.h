/* privileges: who a process runs as. Floor F1, before threads exist. */
#ifndef SYS_PRIVILEGES_H
#define SYS_PRIVILEGES_H

#include <sys/types.h>

#include "lucid/base.h"

struct run_user {
	uid_t uid;
	gid_t gid;
};

/* RUN_USER: an account's name or a number; "": lucid-rdp where that account exists, else 65532. False: no such account. */
bool run_user_find(const char *name, struct run_user *ret);

/* For ever: groups, ids, every capability, the bounding set, and no_new_privs. Where the process is not root there is only
 * the last to do. 0, or -1 with errno: the caller must then end the process. */
int privileges_drop(const struct run_user *u);

/* Make a directory (and its parents, 0755) with this mode and owner; fine when it is there. Mode and owner of what is there
 * are set only on the last one, and only as root. 0 or -1 with errno. */
int privileges_make_dir(const char *path, mode_t mode, const struct run_user *owner);

#endif
