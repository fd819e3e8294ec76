/* connect: how a client connects to a session: what rdp-server-manager says of its server, for the account of the session. Floor F6, loop
 * thread only, never blocks. */
#ifndef SESSIONS_CONNECT_H
#define SESSIONS_CONNECT_H

#include "lucid/bus.h"

void op_session_connection(struct call *c, void *controller);
void op_session_rdp_file(struct call *c, void *controller);

#endif
