/*
 * x_start: extends how long sesman waits for the X server of a desktop. Part of the preload library: C library only, no allocation.
 *
 * sesman checks 41 times, every 250 ms, whether the socket in /tmp/.X11-unix exists; if it does not, the login fails. On a small or busy
 * host, an X server may need more than these 10 s, and xrdp waits 30 s for it. So the check itself waits, as long as xrdp does, provided
 * that the X server still runs.
 */
#ifndef PRELOAD_X_START_H
#define PRELOAD_X_START_H

typedef int (*access_function)(const char *path, int mode);

/* Called by the session leader, before it forks the X server and the login script. */
void x_start_leader(void);
/* Replaces access() of the X server's socket, in the leader or one of its children. */
int x_start_access(const char *path, int mode, access_function real);

#endif
