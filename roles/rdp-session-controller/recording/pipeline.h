/* pipeline: the four stages of a recording, as its recorder counts them. Floor F6, loop thread only, never blocks. */
#ifndef RECORDING_PIPELINE_H
#define RECORDING_PIPELINE_H

#include "roles/rdp-session-controller/recording/recordings.h"

void op_pipeline(struct call *c, void *recordings);
void recording_metrics(struct recordings *r); /* declares the metrics */
/* A listing has new figures of a recording: adds what is new in them to the metrics. Call it before r->figures is replaced. */
void recording_figures_count(struct recording *r, const json_t *item);

#endif
