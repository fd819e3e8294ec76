/* listen: opens listening sockets. Floor F2, any thread, does not block. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include <sys/types.h>

#include "lucid/base.h"

/* A listening TCP socket, close-on-exec and non-blocking, no delay. IPv6 addresses take IPv6 alone. 0 or -errno, with a
 * sentence in why[size]; *ret_fd is the caller's. */
int listen_tcp(const char *address, int port, int *ret_fd, char *why, size_t size);

/* A listening Unix socket, mode 0660, of this user and the given group, close-on-exec and non-blocking. One that is there and
 * that nobody answers on is replaced; -EADDRINUSE when somebody does. Single-threaded (umask). */
int listen_unix(const char *path, gid_t gid, int *ret_fd, char *why, size_t size);
/* Take its name away again. While `fd` still listens there no successor can have taken its place. */
void listen_unix_remove(const char *path, int fd);

/* Whether who reaches it is on this host: a Unix socket, or bound to a loopback address. */
bool listen_is_local(int fd);

#endif
