/*
 * recording_hold: keeps a new desktop from starting its session until it is recorded. Floor F3, supervisor only, loop thread.
 *
 * For a server with recording.mode "on", the PAM hook makes the file recording-N in the instance's /etc/xrdp, which is read-only there, before
 * sesman starts the X server. The login script (xrdp_config/startwm.c) waits until it is gone, at most RECORDING_HOLD_MS after the X server
 * answers; so the person sees a desktop, but no program runs on it yet. Without a supervisor, or without a recorder in that time, the
 * content decides: "allow" starts the session, "refuse" ends the desktop.
 */
#ifndef HOST_RECORDING_RECORDING_HOLD_H
#define HOST_RECORDING_RECORDING_HOLD_H

#include "host/core.h"

#define RECORDING_HOLD_MS 3000

struct desktop;

void recording_hold_begin(const struct desktop *d); /* if its server wants it */
void recording_hold_end(struct host *h, const char *server_id, int display); /* it is recorded, or has ended */
void recording_hold_failed(struct host *h, const char *server_id, int display); /* no recorder started: nothing is to be waited for */

#endif
