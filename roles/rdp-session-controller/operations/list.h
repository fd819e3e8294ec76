/* list: GET /sessions, from the store. Floor F6, loop thread only, never blocks. */
#ifndef SESSIONS_LIST_H
#define SESSIONS_LIST_H

#include "lucid/bus.h"
#include "lucid/store.h"

/* The query to the store for the sessions that a call's filters match and its caller may see, at most STORE_MAX_PAGE; without the filter
 * `status`, those that have not ended. */
void sessions_query_live(struct call *c, struct store_query *ret);
void op_sessions(struct call *c, void *controller);

#endif
