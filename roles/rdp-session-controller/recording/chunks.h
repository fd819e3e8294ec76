/*
 * chunks: the rows of closed chunks in the store (recording_chunks), each an index entry of the recording with its hash, stored when the agent
 * reports it. They are never changed: what is on the disk later is compared with them. Floor F6, loop thread only, never blocks.
 */
#ifndef RECORDING_CHUNKS_H
#define RECORDING_CHUNKS_H

#include "roles/rdp-session-controller/recording/recordings.h"

#define CHUNK_ID_SIZE 56
/* The id of a row. Returns dst. */
const char *chunk_id(char dst[CHUNK_ID_SIZE], const char *recording_id, int64_t seq);
/* The row of an entry that the agent reports; NULL: it is not one. The caller owns it. */
json_t *chunk_row(const char *recording_id, const json_t *entry);
/* As callers see a row. A new reference. */
json_t *chunk_shown(const json_t *row);

/* The agent has closed a chunk: stores its row, adds it to the totals, and publishes it. */
void recording_chunk_closed(struct recording *r, const json_t *entry);
/* Adds a stored row to the totals of the recording, whose task runs. Rows are added in order. */
void recording_count_chunk(struct recording *r, const json_t *row);

void recording_publish_chunk(struct recording *r, const json_t *row); /* the same: it has a task */

void op_chunks(struct call *c, void *recordings);
void op_chunk(struct call *c, void *recordings);
void op_recording_activity(struct call *c, void *recordings);

#endif
