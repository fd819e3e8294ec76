/*
 * delete: removes recordings: on request of an admin, and by retention, oldest first. Floor F6, loop thread only, never blocks.
 *
 * First the document says `deleting`; then the files go, then the rows, then the document. A deletion that was interrupted is completed by the
 * sweep. A recording under hold is not deleted.
 */
#ifndef RECORDING_DELETE_H
#define RECORDING_DELETE_H

#include "roles/rdp-session-controller/recording/recordings.h"

void op_recording_delete(struct call *c, void *recordings);
/* The storage_config of a session has changed: it is that of its recordings, too. session: its document. */
void recordings_retain(struct recordings *r, const json_t *session);
void recordings_sweep(void *recordings); /* runs the timer r->sweep: retention, interrupted deletions, keys */
/* The recording was deleted before the task ran. */
void recording_delete_unrun(struct recording_task *t);

#endif
