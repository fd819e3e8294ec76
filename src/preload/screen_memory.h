/*
 * screen_memory: closes the memory in which an X server draws for xrdp. Part of the preload library, in X servers: C library only, no
 * allocation.
 *
 * xorgxrdp passes the picture of a desktop to xrdp in System V shared memory, which it creates with mode 0777. The kernel has one table of
 * these segments for the whole host, and /proc/sysvipc/shm lists them, so every account could read and change the picture.
 */
#ifndef PRELOAD_SCREEN_MEMORY_H
#define PRELOAD_SCREEN_MEMORY_H

#include <sys/types.h>

/* In the session leader, before it executes the X server: makes the X server load this library, for an xrdp that runs as that uid. */
void screen_memory_pass(uid_t xrdp);
/* In the X server: every private segment that it creates from now on is open to its own user and to that uid only. */
void screen_memory_close(uid_t xrdp);

#endif
