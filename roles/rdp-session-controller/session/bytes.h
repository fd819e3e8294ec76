/* bytes: counts what closed connections have transferred. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_BYTES_H
#define SESSIONS_BYTES_H

#include "roles/rdp-session-controller/watch/server.h"

/* A connection to the server was closed: adds its bytes to the session of its display. */
void bytes_count(struct watched *w, const json_t *connection);

#endif
