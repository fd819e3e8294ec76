/*
 * limits: announces and applies the limits of desktops: idle_timeout, disconnected_timeout and kill_disconnected of the server, and those
 * of the session (session_limits.h). The shortest one of each kind applies. Floor F3, supervisor only, loop thread; does not block.
 *
 * The sesman of xrdp 0.9.21 only passes its limits to the X server: xorgxrdp applies some of them, Xvnc none, and neither announces them. So
 * sesman.ini sets none, and the sweep measures how long no client is connected to a desktop, how old the desktop is, and asks the X server
 * how long there was no input, at the earliest when the limit can have to be announced.
 *
 *   idle            no input while a client is connected. The limit of the server disconnects the client, as xorgxrdp does; the limits on
 *                   time without a client then decide about the desktop. That of the session ends the desktop.
 *   disconnected    no client is connected: ends the desktop.
 *   max_duration    since the start of the leader: ends the desktop.
 *
 * limit_due.h says when. An announcement is the event xrdp.desktop.expiring and a message on the desktop, if a client is connected. All
 * times are of the clock since boot: changes of the wall clock have no effect. After a restart of the supervisor the measurement goes on:
 * from the record of the desktop, the start of its leader and of the connection's process, and the X server.
 */
#ifndef HOST_DESKTOP_LIMITS_H
#define HOST_DESKTOP_LIMITS_H

#include "host/observe/observed.h"

/* Once a second, after desktops_judge. */
void desktop_limits_sweep(struct instance *i);

#endif
