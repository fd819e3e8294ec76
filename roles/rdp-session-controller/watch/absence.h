/*
 * absence: what the sessions of a host say while it cannot be reached, and the end of those whose host was removed from the list of nodes.
 * Floor F6, loop thread only, never blocks.
 *
 * A host whose agent does not answer may be well, with people at work on it: its sessions keep their status, and status_reason is
 * node_unreachable. A host that was removed does not come back, so its sessions end. Only the process that leads the node does either.
 */
#ifndef SESSIONS_ABSENCE_H
#define SESSIONS_ABSENCE_H

#include "roles/rdp-session-controller/watch/server.h"

#define NODE_UNREACHABLE_REASON "node_unreachable"
#define NODE_REMOVED_REASON "node_removed"

/* After each attempt to list the instances of the node: brings the sessions in line with whether it can be reached. */
void absence_update(struct place *p);
bool absence_task(const struct object_task *t); /* it is one that absence_update or absence_final queued */
/* True if the node was removed from the list of nodes; then its sessions end, after a while, because a node that registers again is in the
 * list within seconds. */
bool absence_final(struct place *p);

#endif
