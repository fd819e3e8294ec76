/* read: GET of one recording and of the recordings of a session. Floor F6, loop thread only, never blocks. */
#ifndef RECORDING_READ_H
#define RECORDING_READ_H

#include "lucid/bus.h"

void op_recording_get(struct call *c, void *recordings);
void op_recordings(struct call *c, void *recordings);

#endif
