/*
 * observe: observes running instances: desktops, connections, logins. Also answers requests for them, for metrics, logs, and the host's own
 * xrdp. Floor F3, supervisor only, loop thread; does not block, slow work runs in a job.
 *
 * While there are instances, a sweep once a second compares the kernel's processes and sockets with what is known. It publishes
 *   xrdp.desktop.started / ended      data: DesktopSession (ended: also reason, processes, forced)
 *   xrdp.desktop.expiring             display, username, started_at, limit (idle, disconnected, max_duration), seconds until it is applied,
 *                                     action (end, disconnect); once for each approach of a limit
 *   xrdp.connection.opened / closed   data: Connection. Opened is published when the connection shows a desktop, so that user and display are
 *                                     known. A connection that never logs in is listed, without events.
 *   xrdp.display.taken                display, holder_uid (null: unknown): a process outside the instance holds the abstract X name of the
 *                                     display, so sesman cannot use it. Detected when a login skips it; published once until it is free
 *   xrdp.login.succeeded / failed     a login over RDP, or at sesman's port: username, client_address, reason, detail and local_uid
 *                                     (failed)
 *   xrdp.connections.refused          connections that were closed because of a bound: counts by reason, at most once in 10 s
 */
#ifndef HOST_OBSERVE_OBSERVE_H
#define HOST_OBSERVE_OBSERVE_H

#include "host/instance/instance.h"

/* Sets host->hooks, binds the hook socket, starts the sweep. If the socket cannot be bound, that is logged, and the sweep finds the
 * desktops. */
void observe_init(struct host *h);
void hook_release(struct host *h); /* logins that waited for mounts.h continue */
void hook_look(struct host *h); /* once a second: binds the hook socket again if it was removed */
void observe_free(struct host *h); /* desktops and connections stay; called before the instances are freed */

/* Entries for the rows of the same names (roles/contract/host.c). */
void host_connections(struct host *h, const json_t *in, host_done done, void *arg);
void host_connection_cut(struct host *h, const json_t *in, host_done done, void *arg);
void host_desktops(struct host *h, const json_t *in, host_done done, void *arg);
void host_desktop_end(struct host *h, const json_t *in, host_done done, void *arg);
void host_quotas(struct host *h, const json_t *in, host_done done, void *arg);
void host_stats(struct host *h, const json_t *in, host_done done, void *arg);
void host_instance_stats(struct host *h, const json_t *in, host_done done, void *arg);
void host_logs(struct host *h, const json_t *in, host_done done, void *arg);
int host_log_file(struct host *h, const json_t *in, const char **ret_why); /* as host_open_fn */
void host_profiles(struct host *h, const json_t *in, host_done done, void *arg);
void host_service(struct host *h, const json_t *in, host_done done, void *arg);

#endif
