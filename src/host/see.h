/*
 * see: the seeing half of the room: desktops and connections of running instances, figures, logs, the host's own service.
 * Floor F3, supervisor only, loop thread; nothing blocks (what may hang runs as a job of watch.h).
 *
 * A sweep once a second, while there are instances, compares what the kernel shows with what was known. It tells of
 *   xrdp.desktop.started / ended      data: DesktopSession (ended: also reason, processes, forced)
 *   xrdp.connection.opened / closed   data: Connection; a connection is opened once it is on a desktop, with user and
 *                                     display known, and one that never logs in is listed but not told of.
 */
#ifndef HOST_SEE_H
#define HOST_SEE_H

#include "host/instance.h"

/* Set host->hooks, bind the hook socket, begin to sweep. A socket that cannot be bound is logged: desktops are then found
 * by the sweep. */
void see_init(struct host *h);
void see_free(struct host *h); /* forgets; touches nothing that runs. The instances are still there when it is called */

/* Entries of the rows of the same names (roles/contract/host.c). */
void host_connections(struct host *h, const json_t *in, host_done done, void *arg);
void host_connection_cut(struct host *h, const json_t *in, host_done done, void *arg);
void host_desktops(struct host *h, const json_t *in, host_done done, void *arg);
void host_desktop_end(struct host *h, const json_t *in, host_done done, void *arg);
void host_stats(struct host *h, const json_t *in, host_done done, void *arg);
void host_instance_stats(struct host *h, const json_t *in, host_done done, void *arg);
void host_logs(struct host *h, const json_t *in, host_done done, void *arg);
int host_log_file(struct host *h, const json_t *in, const char **ret_why); /* as host_open_fn */
void host_profiles(struct host *h, const json_t *in, host_done done, void *arg);
void host_service(struct host *h, const json_t *in, host_done done, void *arg);

#endif
