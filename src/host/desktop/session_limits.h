/*
 * session_limits: the limits that rdp-session-controller sets for a desktop, besides those of its server. Floor F3, supervisor only, loop
 * thread; does not block. They are kept in the record of the desktop, so that they hold while no controller runs. limits.h applies them.
 */
#ifndef HOST_DESKTOP_SESSION_LIMITS_H
#define HOST_DESKTOP_SESSION_LIMITS_H

#include "host/callbacks.h"

struct desktop;
struct host;

/* Entry for host.desktop.limits. */
void host_desktop_limits(struct host *h, const json_t *in, host_done done, void *arg);

/* {idle_timeout, max_duration, disconnected_timeout} in seconds; the caller frees. */
json_t *desktop_limits_doc(const struct desktop *d);
void desktop_limits_read(struct desktop *d, const json_t *doc); /* absent members are 0: none */
/* What was announced, for the record of the desktop; the caller frees. */
json_t *limit_notices_doc(const struct desktop *d);
void limit_notices_read(struct desktop *d, const json_t *doc);

#endif
