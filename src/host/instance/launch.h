/* launch: the daemons of an instance as supervised children. Floor F3, supervisor only, loop thread; a fork, no waiting. */
#ifndef HOST_INSTANCE_LAUNCH_H
#define HOST_INSTANCE_LAUNCH_H

#include "host/instance/instance.h"
#include "sys/child/child.h"

/* A new instance with its two children, not started. A start that fails is reported as an end of the child. */
struct instance *instance_with_daemons(struct host *h, const json_t *spec);
void daemon_call_off(struct daemon *d); /* cancels a pending restart; a running process is left alone */
void daemon_tag(struct daemon *d); /* sets d->tag */
bool daemon_listens(void *arg); /* a struct daemon: whether its process listens on its port at this moment */

/* deaths.c: whether a daemon is restarted after an end, and what the end means to its instance. */
enum child_verdict daemon_verdict(void *arg, const struct child_end *e);
void daemon_entered(void *arg, enum child_state now, const struct child_end *e);

#endif
