/* profiles: desktop profiles, as the agent of this host lists them. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_PROFILES_H
#define SERVERS_PROFILES_H

#include "roles/rdp-server-manager/manager.h"

/* True if the list is fresh enough to check this document: the document names no profile and the last list has a usable default, or the
 * list was fetched for this call. Otherwise asks the agent and runs `again` after its response. If the agent does not respond, the previous
 * list is used. */
bool profiles_fresh(struct manager *m, struct call *c, const json_t *doc, call_handler again);
void profiles_ask(struct manager *m);

#endif
