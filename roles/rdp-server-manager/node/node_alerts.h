/*
 * node_alerts: which nodes are above their thresholds, as the open alerts of rdp-resource-monitor say. Floor F6, loop thread only, never blocks.
 *
 * The list is read periodically, and again after each event about an alert of a node. While no monitor answers, the last list is used for
 * NODE_ALERTS_STALE_MS. After that nothing is known, which a log line and GET /nodes say, and placement does without.
 */
#ifndef SERVERS_NODE_ALERTS_H
#define SERVERS_NODE_ALERTS_H

#include "roles/rdp-server-manager/manager.h"

#define NODE_ALERTS_STALE_MS 30000

struct node_alerts;
struct node_alerts *node_alerts_new(struct manager *m);
void node_alerts_start(struct node_alerts *a); /* the servers have been read from the store */
void node_alerts_stop(struct node_alerts *a);
/* When the objects of the manager are not in use any more. Takes NULL. */
void node_alerts_free(struct node_alerts *a);

/* The metrics of the open alerts of a node, an array of strings, borrowed until the loop's turn ends. NULL: it has none, or nothing is known. */
const json_t *node_alerts_of(const struct node_alerts *a, const char *node);
/* The same for a response: an empty array, or null if nothing is known. The caller owns it. */
json_t *node_alerts_shown(const struct node_alerts *a, const char *node);

#endif
