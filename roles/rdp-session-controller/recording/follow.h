/*
 * follow: what the agents report of recordings, by events and in listings, brought into the documents. The process with the lease of a host does
 * it. A listing replaces all events missed before it. Floor F6, loop thread only, never blocks.
 */
#ifndef RECORDING_FOLLOW_H
#define RECORDING_FOLLOW_H

#include "roles/rdp-session-controller/recording/recordings.h"

void recordings_follow_begin(struct recordings *r);
void recordings_follow_end(struct recordings *r);
void recordings_look(void *recordings); /* runs the timer r->look */
/* A task has ended, or was dropped without running. */
void recording_followed(struct object_task *t);
/* The state that the agent reports: {state, reason, bytes …}, as in its events. */
void recording_observe(struct recording *r, const json_t *report);

#endif
