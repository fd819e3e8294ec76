/* sessions: the inside of rdp-session-controller. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_H
#define SESSIONS_H

#include "lucid/role.h"

struct controller {
	struct role_env env;
	const struct op *instances, *desktops, *server;
	size_t under_way; /* lists that are being put together */
	void (*drained)(void *arg);
	void *drained_arg;
};

void op_sessions(struct call *c, void *controller); /* list.c */
void controller_idle(struct controller *s);	    /* something came to an end: a drain may be over */

#endif
