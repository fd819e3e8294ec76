/* listener_wait: waits until the host's own xrdp listens on its port. Floor F3, loop thread; nothing blocks. That xrdp is a service of the
 * host and no child of ours, so sys/child cannot watch its start. It asks the kernel for the owner of the listening socket and never
 * connects: xrdp logs seven errors for each client that leaves before it has logged in. */
#ifndef HOST_SYSTEM_XRDP_LISTENER_WAIT_H
#define HOST_SYSTEM_XRDP_LISTENER_WAIT_H

#include <sys/types.h>

#include "lucid/loop.h"

struct listener_wait;
typedef void (*listener_wait_fn)(void *arg, bool listens);
typedef pid_t (*listener_pid_fn)(void *arg); /* the process as it is now; 0: there is none yet */
/* Calls `fn` once, on a later turn; the wait frees itself before that. */
struct listener_wait *listener_wait_start(struct loop *l, int port, unsigned deadline_ms, listener_pid_fn pid, listener_wait_fn fn, void *arg);
void listener_wait_cancel(struct listener_wait *w); /* takes NULL */

#endif
