/*
 * ns: mount namespaces of instances. Floor F3, supervisor only. Functions marked "in a child" change the calling process: call them between
 * fork and exec, or in a job. They do not allocate.
 *
 * In its namespace, an instance has its own directory mounted over /etc/xrdp (read-only), a private tmpfs over /run/xrdp, and its own file
 * over /etc/pam.d/xrdp-sesman. The tmpfs is anchored at the instance's `run` directory and bind-mounted from there: removing /run/xrdp on
 * the host detaches that bind mount in every namespace, and ns_heal restores it. Contents of the tmpfs:
 *
 *   sockdir  root's, with links into desk and nothing else     desk  one mount for each desktop (host/desktop/desk_ns.h)
 *   bin      the instance's programs, read-only                log   its logs
 *   ipc      the instance's IPC namespace
 */
#ifndef HOST_KERNEL_NS_H
#define HOST_KERNEL_NS_H

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

#define NS_RUN "/run/xrdp"
#define NS_BIN NS_RUN "/bin"
#define NS_LOG NS_RUN "/log"

struct ns_plan {
	const char *etc, *run; /* directories of the instance */
	const char *pam;       /* its PAM file */
	const char *bin, *log;
	gid_t gid; /* of its xrdp */
	int display_first, display_count;
};

/* In a child: whether this process may create mount namespaces and enter them again. 0, -NS_CHROOT or another -errno. */
#define NS_CHROOT EXDEV /* not from within a chroot */
int ns_try(void);
/* In a child: enters a new namespace (propagation slave) with the mounts of the plan. 0 or -errno. */
int ns_make(const struct ns_plan *p);
/* In a child: enters the namespace of an instance. 0 or -errno. */
int ns_enter(int ns_fd);
/* In a child that has entered: enters the IPC namespace too. 0, also if there is none (an instance of an older version), or -errno. */
int ns_enter_ipc(void);
/* In a child that has entered: restores missing bind mounts; 1: some were missing, 0: none, or -errno. */
int ns_heal(const struct ns_plan *p);
/* In a child that has entered: binds the directories of files and logs again if they were removed and made again. 0 or -errno. */
int ns_refresh(const struct ns_plan *p);

/* Opens the namespace of a process; -errno. */
int ns_open(pid_t pid);
/* The inode that identifies the namespace of a process. The daemons of an instance share a namespace, each desktop has its own. 0: no such
 * process. */
ino_t ns_inode_of(pid_t pid);
ino_t ns_inode(int ns_fd);

#endif
