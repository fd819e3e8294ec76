/*
 * sock_diag: the kernel's own list of sockets. Floor F3, any thread; two short netlink dumps, 0.5 ms together, no waiting on
 * anybody. Source: sock_diag(7), linux/inet_diag.h, linux/unix_diag.h.
 * Not for: who owns a socket (proc.h: inode → process).
 */
#ifndef HOST_SOCK_DIAG_H
#define HOST_SOCK_DIAG_H

#include <netinet/in.h>

#include "lucid/base.h"

struct tcp_sock {
	uint64_t inode;
	uint64_t cookie; /* the kernel's own id of the socket, never used again */
	int state;	 /* TCP_ESTABLISHED … of netinet/tcp.h */
	uint16_t local_port, peer_port;
	char peer[INET6_ADDRSTRLEN]; /* v4-mapped addresses as v4 */
	bool local;		     /* the peer is this machine by loopback */
	uint64_t bytes_in, bytes_out; /* received; acknowledged by the peer */
};

#define SOCK_DIAG_MAX 8192

/* Every connected TCP socket whose own port lies in [first, last], both families. The number stored, or a negative errno.
 * When there are more than `max` the rest is left out. */
int sock_diag_tcp(uint16_t first, uint16_t last, struct tcp_sock *dst, size_t max);

struct unix_sock {
	uint64_t inode, peer;
	char name[108]; /* "" when it has none; abstract names begin with '@' */
};
int sock_diag_unix(struct unix_sock *dst, size_t max);

/* One answer of the kernel; for the dumps above and for tests. False: not a connected socket. */
struct nlmsghdr;
bool sock_diag_parse_tcp(const struct nlmsghdr *h, struct tcp_sock *ret);
bool sock_diag_parse_unix(const struct nlmsghdr *h, struct unix_sock *ret);

#endif
