/*
 * settle: what is left to do when a recording was not followed for a while, or has ended: rows of chunks that are missing here, the final state, the
 * seal, the acknowledgement that lets the agent forget it. Also takes over recordings that have a directory but no document. Floor F6, loop thread
 * only, never blocks.
 */
#ifndef RECORDING_SETTLE_H
#define RECORDING_SETTLE_H

#include "roles/rdp-session-controller/recording/recordings.h"

/* The recording was deleted before the task ran. */
void recording_settle_unrun(struct recording_task *t);
/* state NULL: only the rows; otherwise the state in which it has ended on its host. A failure is repeated after the next listing. */
void recording_settle(struct recording *r, const char *state, const char *reason);
/* It has ended, and its seal is missing. */
bool recording_unsettled(const struct recording *r);
/* Settles what is unsettled on the host. */
void settle_place(struct recording_place *p);
/* Tells the agent that it may forget a recording that has ended. */
void recording_acknowledge(struct recording *r);
/* The agent lists a recording without a document. item: of the listing. */
void recording_adopt(struct recordings *all, const char *node, const json_t *item);

#endif
