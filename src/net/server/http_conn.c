#include "net/server/http_conn.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define TO(state) (1u << CONN_##state)

/* The legal transitions. Every state except DEAD may enter DEAD. */
static const unsigned NEXT[CONN_STATES] = {
	[CONN_IDLE] = TO(HEAD) | TO(BODY) | TO(BUSY) | TO(LINGER) | TO(DEAD),
	[CONN_HEAD] = TO(BODY) | TO(BUSY) | TO(LINGER) | TO(DEAD),
	[CONN_BODY] = TO(BUSY) | TO(LINGER) | TO(DEAD),
	[CONN_BUSY] = TO(WRITE) | TO(OPEN) | TO(PARTS) | TO(UPGRADED) | TO(DEAD),
	[CONN_WRITE] = TO(IDLE) | TO(LINGER) | TO(DEAD),
	[CONN_OPEN] = TO(WRITE) | TO(DEAD),
	[CONN_PARTS] = TO(WRITE) | TO(DEAD),
	[CONN_UPGRADED] = TO(WRITE) | TO(DEAD),
	[CONN_LINGER] = TO(DEAD),
	[CONN_DEAD] = 0,
};

void http_conn_enter(struct http_conn *c, enum http_conn_state to)
{
	if (!(NEXT[c->state] & (1u << to)))
		abort();
	c->state = to;
}

void http_conn_peer(char dst[INET6_ADDRSTRLEN], const struct sockaddr *sa)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)sa;
	strcpy(dst, "unix");
	if (sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &in4->sin_addr, dst, INET6_ADDRSTRLEN);
	else if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], dst, INET6_ADDRSTRLEN);
	else if (sa->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &in6->sin6_addr, dst, INET6_ADDRSTRLEN);
}

bool http_conn_is_idle(const struct http_conn *c)
{
	int waiting = 0;
	if (c->ssl && (!c->shaken || tls_has_more(c->ssl)))
		return false;
	return c->state == CONN_IDLE && evbuffer_get_length(bufferevent_get_input(c->bev)) == 0 &&
	       (ioctl(c->fd, FIONREAD, &waiting) < 0 || waiting == 0);
}

void http_conn_free(struct http_conn *c)
{
	free(c->buf);
	free(c);
}
