/* broadcast: POST /sessions/broadcast: a message to the desktops of all sessions that match the filters of the list. Floor F6, loop thread
 * only, never blocks. */
#ifndef SESSIONS_BROADCAST_H
#define SESSIONS_BROADCAST_H

#include "lucid/bus.h"

void op_sessions_broadcast(struct call *c, void *controller);

#endif
