/* monitor: the inside of rdp-resource-monitor. Floor F6, loop thread only, never blocks. */
#ifndef MONITOR_H
#define MONITOR_H

#include "lucid/role.h"

struct monitor {
	struct role_env env;
	const struct op *stats, *server, *servers;
	size_t under_way; /* answers that are being put together */
	void (*drained)(void *arg);
	void *drained_arg;
};

void op_usage(struct call *c, void *monitor); /* usage.c */
void monitor_idle(struct monitor *m);	      /* something came to an end: a drain may be over */

#endif
