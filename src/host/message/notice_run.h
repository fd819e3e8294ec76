/* notice_run: becomes the process of a message window. Floor F3, in a forked child only. */
#ifndef HOST_MESSAGE_NOTICE_RUN_H
#define HOST_MESSAGE_NOTICE_RUN_H

#include "host/desktop/xprobe.h"
#include "host/message/notice_wire.h"

struct cgroup;

struct notice_run {
	struct xprobe x;
	struct cgroup *cgroup; /* NULL: none */
	bool is_root;
	ino_t ns_inode; /* of the supervisor's mount namespace */
	int program;	/* of the supervisor: its descriptor of the program, until the fork */
	struct notice_input input;
	const char *text;
};

/* Connects to the X server, enters group and namespace of the desktop, becomes its user, and executes the program in descriptor
 * NOTICE_PROGRAM. Returns only if that fails: an exit code of notice_wire.h. */
int notice_run(void *run);

#endif
