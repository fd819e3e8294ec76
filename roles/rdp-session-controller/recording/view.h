/* view: the content of a chunk, decrypted for a caller while its file arrives from the host. Floor F6, loop thread only, never blocks: chunks are
 * decoded on the threads of recordings->pool. */
#ifndef RECORDING_VIEW_H
#define RECORDING_VIEW_H

#include "roles/rdp-session-controller/recording/recordings.h"

void op_chunk_data(struct call *c, void *recordings);
/* Forgets who viewed what long ago; then the next view is an audit entry again. */
void recording_viewings_expire(struct recordings *r);

#endif
