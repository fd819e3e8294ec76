/* list: GET /sessions, from the store. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_LIST_H
#define SESSIONS_LIST_H

#include "lucid/bus.h"

void op_sessions(struct call *c, void *controller);

#endif
