/* port: whether a TCP port is free, and whether a process listens on it. Floor F3, supervisor only; does not block. */
#ifndef HOST_KERNEL_PORT_H
#define HOST_KERNEL_PORT_H

#include <sys/types.h>

#include "lucid/base.h"

/* Tries to bind it as xrdp does: all addresses, both families, SO_REUSEADDR. */
bool port_is_free(int port);
/* The same on loopback, as sesman does; false also means that a process listens there. */
bool port_is_free_local(int port);

/* Whether this process listens on it. Another process there would receive passwords. */
bool port_is_of(int port, pid_t pid);

#endif
