/*
 * sesman_peer: finds the peer of the request that sesman is handling. Floor F3, any process that is root; two or three netlink dumps, does
 * not block.
 *
 * sesman 0.9 listens on loopback, where every account of the host can connect. It has one thread, reads a whole request, answers it in the
 * same call (PAM included) and closes the connection. xrdp sends its request in one piece. So during a PAM call, the current connection is
 * the one from xrdp whose bytes are all read and that has no answer yet. A foreign connection may look the same while it sends a request in
 * pieces; it is the current one only if none from xrdp is.
 */
#ifndef HOST_LOGIN_SESMAN_PEER_H
#define HOST_LOGIN_SESMAN_PEER_H

#include "host/kernel/sock_diag.h"

enum sesman_peer { PEER_XRDP, PEER_STRANGER, PEER_NONE };
struct sesman_request {
	enum sesman_peer peer;
	struct tcp_sock client; /* the socket of the peer; set unless PEER_NONE */
};

/* The socket of sesman, and that of the client. */
struct sesman_pair {
	struct tcp_sock sesman, client;
};
/* The accepted connections to that port, at most `max`. Returns their number, or a negative errno. */
int sesman_pairs(uint16_t port, struct sesman_pair *dst, size_t max);
/* Finds the one that is being handled. Pure function. */
void sesman_current(const struct sesman_pair *p, size_t n, uid_t xrdp, struct sesman_request *ret);

#endif
