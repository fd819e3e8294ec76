/*
 * ns: mount namespaces of instances. Floor F3, supervisor only. What says "in a child" changes the calling process and must
 * run between fork and exec or in a job; it never allocates.
 *
 * An instance's namespace has its own directories over /etc/xrdp and /run/xrdp and its own file over
 * /etc/pam.d/xrdp-sesman. Removing /run/xrdp on the host detaches that bind in every namespace; ns_heal puts it back.
 */
#ifndef HOST_NS_H
#define HOST_NS_H

#include <stdbool.h>
#include <sys/types.h>

struct ns_plan {
	const char *etc, *run; /* directories of the instance */
	const char *pam;       /* its PAM file */
};

/* In a child: may this process make mount namespaces? 0 or -errno. */
int ns_try(void);
/* In a child: a new namespace (propagation slave) with the plan's binds. 0 or -errno. */
int ns_make(const struct ns_plan *p);
/* In a child: go into an instance's namespace. 0 or -errno. */
int ns_enter(int ns_fd);
/* In a child that has entered: put back what is missing of the binds; 1 when something was, 0 when all is well, -errno. */
int ns_heal(const struct ns_plan *p);

/* Open the namespace of a process; -errno. */
int ns_open(pid_t pid);
/* Its inode: the same for every process of an instance, orphans included, and nobody else. 0 when the process is gone. */
ino_t ns_inode_of(pid_t pid);
ino_t ns_inode(int ns_fd);

#endif
