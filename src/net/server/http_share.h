/*
 * http_share: the number of connections of each address, to keep one client from using them all. Floor F2, loop thread. An IPv6 /64
 * counts as one address, since a client usually has a whole /64. Bounded by the number of connections.
 */
#ifndef NET_SERVER_HTTP_SHARE_H
#define NET_SERVER_HTTP_SHARE_H

#include <netinet/in.h>

#include "lucid/map.h"

struct share {
	unsigned n;
	char key[INET6_ADDRSTRLEN];
};

/* The connections of the address. */
unsigned share_count(const struct map *shares, const struct sockaddr *sa);
/* Counts a connection; NULL: it is not counted (Unix sockets). */
struct share *share_take(struct map *shares, const struct sockaddr *sa);
void share_drop(struct map *shares, struct share *s); /* takes NULL */

#endif
