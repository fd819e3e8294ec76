/* sessions: the internal interface of rdp-session-controller. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_H
#define SESSIONS_H

#include "lucid/role.h"
#include "lucid/under_way.h"

struct controller {
	struct role_env env;
	const struct op *instances, *desktops, *server;
	struct under_way under_way; /* lists in progress */
};

void op_sessions(struct call *c, void *controller); /* list.c */

#endif
