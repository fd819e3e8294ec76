/* verify: GET recording/verify: checks the files of a recording as they arrive from their host, and compares them with the rows that were stored when
 * the chunks were closed. Floor F6, loop thread only, never blocks: the check runs on the threads of recordings->pool. */
#ifndef RECORDING_VERIFY_H
#define RECORDING_VERIFY_H

#include "lucid/bus.h"

void op_recording_verify(struct call *c, void *recordings);

#endif
