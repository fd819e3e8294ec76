/* listen: opens listening sockets. Floor F2, any thread, does not block. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include <sys/types.h>

#include "lucid/base.h"

/* A listening TCP socket, close-on-exec and non-blocking, with TCP_NODELAY. An IPv6 address accepts IPv6 only. 0, or -errno with a
 * sentence in why[size]. The caller owns *ret_fd. */
int listen_tcp(const char *address, int port, int *ret_fd, char *why, size_t size);

/* A listening Unix socket with mode 0660, owned by this user and the given group, close-on-exec and non-blocking. Replaces a stale socket;
 * -EADDRINUSE if a program listens on it. Not thread-safe (umask). */
int listen_unix(const char *path, gid_t gid, int *ret_fd, char *why, size_t size);
/* Unlinks the socket. Call it while `fd` still listens, so that it cannot unlink the socket of a successor. */
void listen_unix_remove(const char *path, int fd);

/* True: only this host can connect to it: a Unix socket, or bound to a loopback address. */
bool listen_is_local(int fd);

#endif
