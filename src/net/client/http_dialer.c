#include "net/client/http_dialer.h"

#include <arpa/inet.h>
#include <event2/dns.h>

#include "lucid/errs.h"

/* False: a name must be resolved, but there is no usable resolver. */
static bool want_dns(struct http_dialer *d, const struct http_url *origin)
{
	struct in6_addr literal;
	if (origin->scheme == HTTP_LOCAL || inet_pton(AF_INET, origin->host, &literal) == 1 ||
	    inet_pton(AF_INET6, origin->host, &literal) == 1)
		return true;
	if (!d->dns)
		d->dns = evdns_base_new(loop_base(d->loop), EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	return d->dns;
}

static void want_tls(struct http_dialer *d)
{
	char why[200];
	if (!d->tls)
		d->tls = tls_client_new(&(struct http_tls){ 0 }, why, sizeof why);
}

struct link *http_dialer_dial(struct http_dialer *d, const struct http_url *origin, const struct link_events *events, void *arg,
			      const char **ret_why)
{
	if (!want_dns(d, origin)) {
		*ret_why = "host names cannot be resolved: /etc/resolv.conf is not usable";
		return NULL;
	}
	if (origin->scheme == HTTP_SECURE)
		want_tls(d);
	return link_new(d->loop, d->dns, d->tls, origin, events, arg);
}

int http_dialer_tls(struct http_dialer *d, const struct http_tls *t, char *why, size_t size)
{
	struct ssl_ctx_st *tls = tls_client_new(t, why, size);
	if (!tls)
		return -ERR_INVALID;
	tls_unref(d->tls);
	d->tls = tls;
	return 0;
}

void http_dialer_init(struct http_dialer *d, struct loop *l)
{
	*d = (struct http_dialer){ .loop = l };
}

void http_dialer_done(struct http_dialer *d)
{
	if (d->dns)
		evdns_base_free(d->dns, 0);
	tls_unref(d->tls);
}
