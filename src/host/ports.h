/* ports: what is free on this host. Floor F3, supervisor only; a bind or a stat each, nothing waits. */
#ifndef HOST_PORTS_H
#define HOST_PORTS_H

#include <sys/types.h>

#include "host/core.h"

/* A real bind as xrdp does it (all addresses, both families, SO_REUSEADDR). */
bool port_is_free(int port);
/* The same on loopback, as sesman does it; false also means: somebody listens there. */
bool port_is_free_local(int port);

/* Does this process listen on it? Somebody else there would be told passwords. */
bool port_is_of(int port, pid_t pid);

#define PORTS_DISPLAYS 52 /* width of a block: the most max_sessions can be, and room for two that are skipped */

/* A sesman port and a block of displays that nobody has: not the host's sesman, no instance, no X server, and none of the
 * ports that go with a display hits one of ours. Where the search begins depends on `server_id`, so that two daemons on one
 * host do not meet. 0 or -ERR_NO_PORT. */
int ports_choose(struct host *h, const char *server_id, int *ret_sesman_port, int *ret_display_first);

#endif
