/* end_many: POST /sessions/terminate: ends all sessions that match the filters of the list. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_END_MANY_H
#define SESSIONS_END_MANY_H

#include "lucid/bus.h"

void op_sessions_terminate(struct call *c, void *controller);

#endif
