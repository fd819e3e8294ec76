/*
 * limits: enforces idle_timeout, disconnected_timeout and kill_disconnected of a server. Floor F3, supervisor only, loop thread; does not
 * block.
 *
 * The sesman of xrdp 0.9.21 only passes its limits to the X server: xorgxrdp applies some of them, Xvnc none. So the sweep measures how
 * long no client is connected to a desktop, and asks the X server how long there was no input, at the earliest when the limit can have been
 * reached. After idle_timeout the client is disconnected, as xorgxrdp does; the other two settings then decide about the desktop. Changes
 * of the clock have no effect, and after a restart of the supervisor the measurement goes on: from the record of the desktop, the start of
 * the connection's process, and the X server.
 */
#ifndef HOST_DESKTOP_LIMITS_H
#define HOST_DESKTOP_LIMITS_H

#include "host/observe/observed.h"

/* Once a second, after desktops_judge. */
void desktop_limits_sweep(struct instance *i);

#endif
