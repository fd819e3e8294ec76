/* status_events: publishes the event "node.status" once for each change of a node, from the manager that leads it. Floor F6, loop thread only,
 * never blocks. */
#ifndef SERVERS_STATUS_EVENTS_H
#define SERVERS_STATUS_EVENTS_H

#include "roles/rdp-server-manager/node/place.h"

#define NODE_STATUS_OWED_MS 10000 /* how long to wait for the event of another manager */

void node_status_begin(struct manager *m);
void node_status_end(struct manager *m);
void node_status_publish(struct place *p);	   /* publishes the owed event of a node whose lease we hold */
void node_status_publish_due(struct manager *m); /* publishes events that are owed for too long, or whose lease we hold */

#endif
