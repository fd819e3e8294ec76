/*
 * notify: what a service manager is told, and the sockets it hands over. Floor F1; the main thread; does not block. The only
 * file that includes systemd's headers. Without systemd all of it does nothing and finds nothing.
 * Not for: starting units (src/host).
 */
#ifndef SYS_NOTIFY_H
#define SYS_NOTIFY_H

#include "lucid/base.h"

/* READY=1 with a status line; also ends a reload. The status is one line and may be NULL. */
void notify_ready(const char *status);
void notify_status(const char *status);
void notify_stopping(void);
void notify_reloading(void);
void notify_watchdog(void);
/* How often notify_watchdog must come at the latest; 0: nobody waits for it. Call it at half that. */
uint64_t notify_watchdog_us(void);

#define NOTIFY_FDS_MAX 64
/* Listening sockets handed over by name (the FileDescriptorName of each .socket unit). Returns how many; what is past
 * NOTIFY_FDS_MAX is closed. The names are the caller's to free. They are close-on-exec; whether they block is for
 * the caller to set. Asked once: the environment is cleared so that no child takes them for its own. */
size_t notify_listen_fds(int ret_fds[NOTIFY_FDS_MAX], char *ret_names[NOTIFY_FDS_MAX]);

#endif
