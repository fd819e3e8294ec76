/* export: audit entries as CSV, one page of the store after another, as fast as the reader takes them. Floor F5, loop thread only, never blocks. */
#ifndef API_AUDIT_EXPORT_H
#define API_AUDIT_EXPORT_H

#include "lucid/bus.h"
#include "lucid/store.h"

/* Answers the call with the entries that match the query, which is sorted by id; its page is ignored. If the first page cannot be read the
 * call fails; if a later one cannot, the stream breaks off, which its reader notices. */
void audit_export(struct call *consume_call, struct loop *l, struct store *s, const struct store_query *q);

#endif
