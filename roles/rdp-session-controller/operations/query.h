/* query: which sessions a call is about: its filters, and what its caller may see. Floor F6, pure. */
#ifndef SESSIONS_QUERY_H
#define SESSIONS_QUERY_H

#include "lucid/bus.h"
#include "lucid/listing.h"

/* Whose view the call has: the user, "" for an admin. Borrowed from the call. */
const char *sessions_viewer(const struct call *c);
/* The query to the store for a page of the sessions that a query's filters match and the viewer sees; "": all. Borrows both. */
void sessions_query(const json_t *query, const char *viewer, const struct listing_page *page, struct store_query *ret);
/* The same for the sessions that a call's filters match and its caller may see, at most STORE_MAX_PAGE; without the filter
 * `status`, those that have not ended. */
void sessions_query_live(struct call *c, struct store_query *ret);

/* What an answer about many sessions says of one of them, with an outcome and without a message. The caller owns it. */
json_t *sessions_outcome(const json_t *doc, const char *outcome);

#endif
