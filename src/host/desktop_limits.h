/*
 * desktop_limits: idle_timeout, disconnected_timeout and kill_disconnected of a server, kept by ourselves. Floor F3, supervisor
 * only, loop thread; nothing waits.
 *
 * Sesman of xrdp 0.9.21 only hands its limits on to the X server: xorgxrdp acts on them in its own way, Xvnc on none. So the
 * sweep counts how long nobody is connected to a desktop, and asks the X server how long nobody has touched it, no sooner than
 * the limit can have been reached. After idle_timeout the client is disconnected, as xorgxrdp does it; what then becomes of the
 * desktop the other two say. Counting begins anew when the supervisor does.
 */
#ifndef HOST_DESKTOP_LIMITS_H
#define HOST_DESKTOP_LIMITS_H

#include "host/see_state.h"

/* Once a second, after the states of its desktops were judged. */
void desktop_limits_sweep(struct instance *i);

#endif
