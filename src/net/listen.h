/* listen: opens listening sockets. Floor F2, any thread, does not block. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "lucid/base.h"

/* A listening TCP socket, close-on-exec and non-blocking, no delay. IPv6 addresses take IPv6 alone. 0 or -errno, with a
 * sentence in why[size]; *ret_fd is the caller's. */
int listen_tcp(const char *address, int port, int *ret_fd, char *why, size_t size);

#endif
