/* message: POST /sessions/{session_id}/message: a message to the person on the desktop of a session. Floor F6, loop thread only, never
 * blocks. It is not a task on the strand of the session: an X server that hangs would delay its end. */
#ifndef SESSIONS_MESSAGE_H
#define SESSIONS_MESSAGE_H

#include "lucid/bus.h"

void op_session_message(struct call *c, void *controller);

#endif
