/* read: GET of one session. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_READ_H
#define SESSIONS_READ_H

#include "roles/rdp-session-controller/controller.h"

/* A call that first reads the stored document of its session. */
struct session_reading {
	struct controller *c;
	struct call *call;
	json_t *doc;
	void (*then)(struct session_reading *r); /* called with doc set; frees the reading */
};
/* Reads the document and calls `then`. If there is no such session or the caller may not see it, the call is answered. */
void session_read_begin(struct controller *c, struct call *call, void (*then)(struct session_reading *r));
void session_read_end(struct session_reading *r);

void op_session_get(struct call *c, void *controller);

#endif
