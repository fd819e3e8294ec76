/* reconcile: compare the servers of a node with the instances that its agent lists. Floor F6, loop thread only, never blocks. */
#ifndef SERVERS_RECONCILE_H
#define SERVERS_RECONCILE_H

#include "roles/rdp-server-manager/node/place.h"

void reconcile_node(struct place *p);
void reconcile_all(struct manager *m);
void reconcile_event(const struct event *e, void *manager); /* xrdp.instance.* */
void reconcile_gap(const struct event *e, void *manager);   /* events may have been missed */

#endif
