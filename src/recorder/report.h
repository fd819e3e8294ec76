/* report: the figures that a recorder sends each second. Floor F5, in the recorder. */
#ifndef RECORDER_REPORT_H
#define RECORDER_REPORT_H

#include "recorder/state.h"

/* Adds the figures of a writer that is about to be freed to those that remain. */
void report_keep(struct recorder *r);
uint64_t report_bytes(const struct recorder *r); /* written to the disk since the start */

/* Whether something happened since the last report, or the heartbeat is due. */
bool report_is_due(const struct recorder *r, int64_t now_us);
void report_send(struct recorder *r, int64_t now_us);

struct report_load {
	unsigned per_mille; /* of a core, since the last call */
};
struct report_load report_load(struct recorder *r, int64_t now_us);

#endif
