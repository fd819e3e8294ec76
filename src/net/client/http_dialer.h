/*
 * http_dialer: opens connections for the HTTP client: resolver, trusted authorities, client certificate. Floor F2, loop thread only,
 * never blocks: names are resolved by evdns (resolv.conf, hosts). Not for: reuse of connections (http_pool.h).
 */
#ifndef NET_CLIENT_HTTP_DIALER_H
#define NET_CLIENT_HTTP_DIALER_H

#include "net/client/http_link.h"

struct http_dialer {
	struct loop *loop;
	struct evdns_base *dns; /* created when the first name has to be resolved */
	struct ssl_ctx_st *tls; /* set by http_dialer_tls, or created for the first https:// connection */
};

void http_dialer_init(struct http_dialer *d, struct loop *l);
void http_dialer_done(struct http_dialer *d);
/* For https:// connections opened from now on: authorities trusted besides those of the system, and the certificate to present on
 * request. 0, or -ERR_INVALID with a sentence in why[size]; then the previous settings stay. Without this call only the system's
 * authorities are trusted. */
int http_dialer_tls(struct http_dialer *d, const struct http_tls *t, char *why, size_t size);
/* A connection that is being established; its events come from the loop. NULL with a static sentence. */
struct link *http_dialer_dial(struct http_dialer *d, const struct http_url *origin, const struct link_events *events, void *arg,
			      const char **ret_why);

#endif
