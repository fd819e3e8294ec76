/* list: GET /api/v1/audit. Floor F5, loop thread only, never blocks. */
#ifndef API_AUDIT_LIST_H
#define API_AUDIT_LIST_H

#include "lucid/bus.h"

/* The handler of audit.list; the context is the store. */
void audit_list(struct call *c, void *store);

#endif
