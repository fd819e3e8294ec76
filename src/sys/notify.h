/*
 * notify: sd_notify messages to the service manager, and the sockets that it passes. Floor F1; the main thread; does not block. The only
 * module that includes systemd's headers. Without systemd, nothing is sent and no sockets are found.
 * Not for: starting units (src/host).
 */
#ifndef SYS_NOTIFY_H
#define SYS_NOTIFY_H

#include "lucid/base.h"

/* READY=1 with a status; it also ends a reload. The status may be NULL; line breaks in it become spaces. */
void notify_ready(const char *status);
void notify_status(const char *status);
void notify_stopping(void);
void notify_reloading(void);
void notify_watchdog(void);
/* The interval within which notify_watchdog must be called; 0: no watchdog is configured. Call it twice as often. */
uint64_t notify_watchdog_us(void);

#define NOTIFY_FDS_MAX 64
/* The listening sockets that the service manager passes, with their names (FileDescriptorName of the .socket unit). Returns how many;
 * those beyond NOTIFY_FDS_MAX are closed. The caller frees the names. The sockets are close-on-exec; the caller sets whether they
 * block. It works once: it clears the environment variables, so that no child takes the sockets for its own. */
size_t notify_listen_fds(int ret_fds[NOTIFY_FDS_MAX], char *ret_names[NOTIFY_FDS_MAX]);

#endif
