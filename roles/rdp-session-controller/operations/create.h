/* create: POST /sessions: declares a session on a server. The next login of its user there is joined with it. Floor F6, loop thread only,
 * never blocks. */
#ifndef SESSIONS_CREATE_H
#define SESSIONS_CREATE_H

#include "lucid/bus.h"

void op_session_create(struct call *c, void *controller);

#endif
