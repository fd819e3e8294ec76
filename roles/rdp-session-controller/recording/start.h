/* start: begins recordings, on request and by configuration. Floor F6, loop thread only, never blocks. */
#ifndef RECORDING_START_H
#define RECORDING_START_H

#include "roles/rdp-session-controller/recording/recordings.h"

void op_recording_start(struct call *c, void *recordings);
/* The signed manifest of a recording, from its document. The caller frees it. NULL: it has no key, or there is no MASTER_KEY. */
char *recording_manifest_text(const struct recordings *r, const json_t *doc);
/* Begins a recording of the session if its configuration wants one and none runs. doc: of the session. */
void recording_consider(struct recordings *r, const json_t *session);
/* The recording was deleted before the task ran. */
void recording_start_unrun(struct recording_task *t);
/* The agent has the recording, but no recorder: its supervisor was restarted while the desktop lived. Continues it. */
void recording_continue(struct recording *r);

#endif
