/* list: GET /api/v1/audit, and with format=csv all entries that match, however many there are. Floor F5, loop thread only, never blocks. */
#ifndef API_AUDIT_LIST_H
#define API_AUDIT_LIST_H

#include "lucid/bus.h"
#include "lucid/store.h"

struct audit_reader {
	struct loop *loop;
	struct store *store;
};
/* The handler of audit.list; the context is a struct audit_reader. */
void audit_list(struct call *c, void *reader);

#endif
