#include "host/login/sesman_peer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* A request has a length, a version, a code and two strings; with less, sesman does not call PAM. */
#define REQUEST_MIN 14
/* The handshake may count as one byte; the shortest answer has 14 bytes. */
#define UNANSWERED_MAX 1
#define SOCKS_MAX 64 /* at most 16 connections of sesman, and copies in its session leaders */

/* An address of struct inet_diag_sockid as IPv6. */
static void widen(unsigned char family, const uint32_t address[4], uint32_t dst[4])
{
	memcpy(dst, address, 16);
	if (family != AF_INET)
		return;
	dst[0] = dst[1] = 0;
	dst[2] = htonl(0xffff);
	dst[3] = address[0];
}

/* Compares addresses and ports of both ends; a port alone may be shared by sockets of other accounts. */
static bool is_other_end(const struct tcp_sock *a, const struct tcp_sock *b)
{
	enum { SOURCE = 1, DESTINATION = 5 };
	uint32_t from[4], to[4], other_from[4], other_to[4];
	widen(a->family, &a->id[SOURCE], from);
	widen(a->family, &a->id[DESTINATION], to);
	widen(b->family, &b->id[SOURCE], other_from);
	widen(b->family, &b->id[DESTINATION], other_to);
	return a->local_port == b->peer_port && a->peer_port == b->local_port && memcmp(from, other_to, sizeof from) == 0 &&
	       memcmp(to, other_from, sizeof to) == 0;
}

/* The socket of the client; inode 0: there is none. */
static struct tcp_sock other_end(const struct tcp_sock *own)
{
	struct tcp_sock s[SOCKS_MAX];
	int n = own->local ? sock_diag_tcp(own->peer_port, own->peer_port, s, SOCKS_MAX) : 0;
	for (int k = 0; k < n; k++)
		if (is_other_end(own, &s[k]))
			return s[k];
	return (struct tcp_sock){ 0 };
}

int sesman_pairs(uint16_t port, struct sesman_pair *dst, size_t max)
{
	struct tcp_sock own[SOCKS_MAX];
	int n = sock_diag_tcp(port, port, own, SOCKS_MAX);
	size_t stored = 0;
	for (int k = 0; k < n && stored < max; k++)
		dst[stored++] = (struct sesman_pair){ own[k], other_end(&own[k]) };
	return n < 0 ? n : (int)stored;
}

static bool may_be_current(const struct tcp_sock *s)
{
	return s->state == TCP_ESTABLISHED && s->unread == 0 && s->bytes_in >= REQUEST_MIN && s->bytes_out <= UNANSWERED_MAX;
}

void sesman_current(const struct sesman_pair *p, size_t n, uid_t xrdp, struct sesman_request *ret)
{
	*ret = (struct sesman_request){ .peer = PEER_NONE };
	for (size_t k = 0; k < n; k++) {
		bool ours = p[k].client.inode && p[k].client.uid == xrdp;
		/* a foreign one may be answered more than once (protocol version 1) */
		if (ours ? !may_be_current(&p[k].sesman) : p[k].sesman.bytes_in < REQUEST_MIN)
			continue;
		if (ret->peer == PEER_NONE || ours)
			*ret = (struct sesman_request){ ours ? PEER_XRDP : PEER_STRANGER, p[k].client };
	}
}
