/* foreign_connect: how a client connects to a foreign RDP host: what rdp_config says, without the password. Floor F6, loop thread only, never
 * blocks. */
#ifndef SESSIONS_FOREIGN_CONNECT_H
#define SESSIONS_FOREIGN_CONNECT_H

#include "roles/rdp-session-controller/operations/read.h"

/* Both answer the call and end the reading. */
void foreign_connection(struct session_reading *r);
void foreign_rdp_file(struct session_reading *r);

#endif
