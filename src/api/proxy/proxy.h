/*
 * proxy: the address of the original client behind proxies (TRUSTED_PROXIES). Floor F5, any thread, never blocks. Forwarded headers are
 * evaluated hop by hop from the right, as long as each hop is a trusted proxy.
 */
#ifndef API_PROXY_PROXY_H
#define API_PROXY_PROXY_H

#include "api/proxy/forwarded.h"

struct proxies;
/* `list` is NULL-ended: addresses, networks ("10.0.0.0/8", "fd00::/8"), or "unix" for peers on a Unix socket. Other items are ignored with
 * a warning. NULL if the list is empty: no proxy is trusted. */
struct proxies *proxies_new(const char *const *list);
void proxies_free(struct proxies *p); /* takes NULL */
bool proxies_trust(const struct proxies *p, const char *peer);

struct proxied {
	char client[64]; /* the client's address: that of the peer, or the one that trusted proxies forward */
	unsigned hops;	 /* number of trusted proxies, at least 1 if the peer is trusted; 0: none */
	struct span host, proto; /* of the outermost trusted proxy's hop in Forwarded; borrowed from the lines */
};
/*
 * `x` are the lines of X-Forwarded-For, `rfc` those of Forwarded. A proxy sets one of the two and may pass on the other one from the
 * client. If both name a client, but not the same one, neither is used, and the client is the proxy itself.
 */
void proxies_client(const struct proxies *p, const char *peer, const struct forwarded_lines *x, const struct forwarded_lines *rfc,
		    struct proxied *ret);

#endif
