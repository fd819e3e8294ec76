/* launch: one daemon of an instance, forked by the supervisor. Floor F3, loop thread; a fork, no waiting. */
#ifndef HOST_LAUNCH_H
#define HOST_LAUNCH_H

#include "host/instance.h"

/* Fork and exec d (i->xrdp or i->sesman) inside the instance's namespace and group; its death comes to daemon_died. 0 or
 * -errno. */
int launch(struct instance *i, struct daemon *d);
/* supervise.c */
void daemon_died(void *arg, pid_t pid, bool known, int status);

#endif
