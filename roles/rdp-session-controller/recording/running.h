/* running: the chunk that a recorder is writing, as its agent sees it. Floor F6, loop thread only, never blocks. */
#ifndef RECORDING_RUNNING_H
#define RECORDING_RUNNING_H

#include "roles/rdp-session-controller/recording/recordings.h"

/* `chunk`: as chunk_shown, borrowed; NULL: none has begun, or its agent does not answer. Called once, possibly inside running_chunk. */
typedef void (*running_got)(const json_t *chunk, void *arg);
void running_chunk(struct recording *r, const struct call *call, running_got got, void *arg);

#endif
