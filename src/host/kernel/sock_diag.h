/*
 * sock_diag: the kernel's list of sockets. Floor F3, any thread; two netlink dumps that take 0.5 ms together and do not block. Source:
 * sock_diag(7), linux/inet_diag.h, linux/unix_diag.h.
 * Not for: the process that owns a socket (proc.h finds it by inode).
 */
#ifndef HOST_KERNEL_SOCK_DIAG_H
#define HOST_KERNEL_SOCK_DIAG_H

#include <netinet/in.h>

#include "lucid/base.h"

struct tcp_sock {
	uint64_t inode;
	uint64_t cookie; /* the kernel's id of the socket, never reused */
	int state;	 /* TCP_ESTABLISHED … of netinet/tcp.h */
	uint16_t local_port, peer_port;
	char peer[INET6_ADDRSTRLEN]; /* v4-mapped addresses as v4 */
	bool local;		     /* the peer address is a loopback address */
	uint64_t bytes_in, bytes_out; /* received; acknowledged by the peer */
	uint32_t rtt_us;	      /* round-trip time as TCP has measured it, smoothed; 0: not known yet */
	uint32_t unread;	      /* bytes received that the process has not read */
	uid_t uid;		      /* of the account that created the socket */
	unsigned char family;
	uint32_t id[12]; /* struct inet_diag_sockid: identifies the socket to the kernel */
};

#define SOCK_DIAG_MAX 8192

/* Every connected TCP socket whose local port is in [first, last], of both families; at most `max`, the rest is left out. Returns the
 * number stored, or a negative errno. */
int sock_diag_tcp(uint16_t first, uint16_t last, struct tcp_sock *dst, size_t max);
/* The same for listening sockets. */
int sock_diag_listeners(uint16_t first, uint16_t last, struct tcp_sock *dst, size_t max);
/* Whether a socket bound to this address (AF_INET, AF_INET6) would conflict with it. A wildcard address conflicts with every other one. */
bool sock_diag_meets(const struct tcp_sock *s, int family, const void *address);

/* Aborts the connection; both ends get an error. 0, or a negative errno (-EOPNOTSUPP: the kernel lacks INET_DIAG_DESTROY). */
int sock_diag_destroy(const struct tcp_sock *s);

struct unix_sock {
	uint64_t inode, peer;
	char name[108];	 /* "" if it has none; abstract names begin with '@' */
	size_t name_len; /* of the whole name; an abstract name may contain NULs, and `name` ends at the first */
	int type;	 /* SOCK_STREAM … */
	bool connected;
	int64_t uid; /* of the account that created it; -1: not reported (Linux before 5.3) */
};
/* Every connected Unix socket, without uid. */
int sock_diag_unix(struct unix_sock *dst, size_t max);
/* Calls fn with every Unix socket of this network namespace, in any state, without its peer, until fn returns false. fn must not start
 * another dump. 0 or a negative errno. */
int sock_diag_unix_each(bool (*fn)(const struct unix_sock *s, void *arg), void *arg);

/* Parses one row of an answer; for the dumps above and for tests. False: it describes no socket. */
struct nlmsghdr;
bool sock_diag_parse_tcp(const struct nlmsghdr *h, struct tcp_sock *ret);
bool sock_diag_parse_unix(const struct nlmsghdr *h, struct unix_sock *ret);

#endif
