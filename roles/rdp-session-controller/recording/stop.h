/* stop: POST recording/stop. Floor F6, loop thread only, never blocks. */
#ifndef RECORDING_STOP_H
#define RECORDING_STOP_H

#include "lucid/bus.h"

void op_recording_stop(struct call *c, void *recordings);

#endif
