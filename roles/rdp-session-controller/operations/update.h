/* update: PUT and PATCH of a session. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_UPDATE_H
#define SESSIONS_UPDATE_H

#include "lucid/bus.h"

void op_session_update(struct call *c, void *controller);

#endif
