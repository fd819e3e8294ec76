#include "net/server/http_share.h"

#include <arpa/inet.h>

static bool key_of(const struct sockaddr *sa, char dst[INET6_ADDRSTRLEN])
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)sa;
	if (sa && sa->sa_family == AF_INET)
		return inet_ntop(AF_INET, &in4->sin_addr, dst, INET6_ADDRSTRLEN);
	if (!sa || sa->sa_family != AF_INET6)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], dst, INET6_ADDRSTRLEN);
	struct in6_addr net = in6->sin6_addr;
	if (!IN6_IS_ADDR_LOOPBACK(&net))
		memset(&net.s6_addr[8], 0, 8);
	return inet_ntop(AF_INET6, &net, dst, INET6_ADDRSTRLEN);
}

unsigned share_count(const struct map *shares, const struct sockaddr *sa)
{
	char key[INET6_ADDRSTRLEN];
	const struct share *s = key_of(sa, key) ? map_get(shares, key) : NULL;
	return s ? s->n : 0;
}

struct share *share_take(struct map *shares, const struct sockaddr *sa)
{
	char key[INET6_ADDRSTRLEN];
	if (!key_of(sa, key))
		return NULL;
	struct share *s = map_get(shares, key);
	if (!s) {
		s = XNEW(struct share);
		memcpy(s->key, key, sizeof key);
		if (!map_put(shares, key, s, NULL)) {
			free(s);
			return NULL;
		}
	}
	s->n++;
	return s;
}

void share_drop(struct map *shares, struct share *s)
{
	if (!s || --s->n)
		return;
	map_remove(shares, s->key);
	free(s);
}
