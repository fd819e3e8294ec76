/* readiness: detects that a process is ready, and its heartbeats. Floor F1, loop thread; nothing blocks. Part of child.h, whose users need
 * only the kinds. */
#ifndef SYS_CHILD_READINESS_H
#define SYS_CHILD_READINESS_H

#include "lucid/loop.h"

enum child_readiness {
	CHILD_READY_AT_ONCE,
	CHILD_READY_BYTE, /* the child writes a byte to a descriptor; each further byte is a heartbeat */
	CHILD_READY_EOF,  /* the child closes that descriptor while it lives */
	CHILD_READY_PROBE, /* a probe returns true; called often at first, then at growing intervals */
	CHILD_READY_TOLD, /* the user calls child_ready */
};

enum readiness_sign { SIGN_BYTE, SIGN_CLOSED, SIGN_PROBED };

struct readiness;
/* Before the fork. `sign` is called on later turns, any number of times, and may free it; a probe that returned true is not called again.
 * NULL with errno if a pipe is needed and cannot be made; NULL with errno 0 if nothing is to be watched. */
struct readiness *readiness_new(struct loop *l, enum child_readiness kind, bool (*probe)(void *arg), void *probe_arg,
				void (*sign)(void *arg, enum readiness_sign s), void *arg);
int readiness_child_fd(const struct readiness *r); /* the child's end; -1: none */
void readiness_begin(struct readiness *r);	   /* after the fork */
void readiness_free(struct readiness *r);	   /* takes NULL */

#endif
