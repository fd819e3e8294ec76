/*
 * server_limits: a change of the limits that a running server sets for its desktops: idle_timeout, disconnected_timeout and
 * kill_disconnected. They are part of the definition in the record of the instance, so that they hold over restarts of the supervisor.
 * limits.h applies them. Floor F3, supervisor only, loop thread; does not block.
 */
#ifndef HOST_DESKTOP_SERVER_LIMITS_H
#define HOST_DESKTOP_SERVER_LIMITS_H

#include "host/callbacks.h"

struct host;

/* Entry for host.instance.limits. */
void host_instance_limits(struct host *h, const json_t *in, host_done done, void *arg);

#endif
