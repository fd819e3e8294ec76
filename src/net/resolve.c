#include "net/resolve.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <netinet/in.h>

#include "lucid/str.h"

struct resolver {
	struct loop *loop;
	struct evdns_base *dns; /* created when the first name has to be resolved */
};

struct resolving {
	struct evdns_getaddrinfo_request *request;
	resolve_done done; /* these two NULL: cancelled */
	resolve_all_done all;
	void *arg;
	bool inside; /* resolve_begin has not returned yet */
};

bool resolve_is_address(const char *name)
{
	struct in6_addr room;
	return inet_pton(AF_INET, name, &room) == 1 || inet_pton(AF_INET6, name, &room) == 1;
}

/* Writes an address as text. False: it is neither IPv4 nor IPv6. */
static bool write_address(const struct evutil_addrinfo *a, char dst[RESOLVE_SIZE])
{
	if (a->ai_family == AF_INET)
		return inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)a->ai_addr)->sin_addr, dst, RESOLVE_SIZE);
	if (a->ai_family == AF_INET6)
		return inet_ntop(AF_INET6, &((struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_addr, dst, RESOLVE_SIZE);
	return false;
}

static void resolve_tell(const struct resolving *q, const char (*addresses)[RESOLVE_SIZE], size_t n, const char *why)
{
	if (q->all)
		q->all(addresses, n, n ? "" : why, q->arg);
	else if (q->done)
		q->done(n ? addresses[0] : NULL, n ? "" : why, q->arg);
}

static void on_answer(int err, struct evutil_addrinfo *list, void *arg)
{
	struct resolving *q = arg, asked = *q;
	char addresses[RESOLVE_MAX][RESOLVE_SIZE];
	size_t n = 0;
	for (struct evutil_addrinfo *a = err == 0 ? list : NULL; a && n < RESOLVE_MAX; a = a->ai_next)
		n += write_address(a, addresses[n]);
	if (list)
		evutil_freeaddrinfo(list);
	if (q->inside) { /* resolve_begin frees it */
		q->done = NULL;
		q->all = NULL;
	} else {
		free(q);
	}
	resolve_tell(&asked, (const char(*)[RESOLVE_SIZE])addresses, n, err ? evutil_gai_strerror(err) : "the name has no address");
}

static struct resolving *resolve_begin(struct resolver *r, const char *name, const struct resolving *asked)
{
	struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP };
	char address[1][RESOLVE_SIZE];
	if (resolve_is_address(name) && str_copy(address[0], sizeof address[0], name)) {
		resolve_tell(asked, (const char(*)[RESOLVE_SIZE])address, 1, "");
		return NULL;
	}
	if (!r->dns)
		r->dns = evdns_base_new(loop_base(r->loop), EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (!r->dns) {
		resolve_tell(asked, NULL, 0, "/etc/resolv.conf is not usable");
		return NULL;
	}
	struct resolving *q = XNEW(struct resolving);
	*q = *asked;
	q->inside = true;
	q->request = evdns_getaddrinfo(r->dns, name, NULL, &hints, on_answer, q);
	q->inside = false;
	if (q->done || q->all)
		return q;
	free(q);
	return NULL;
}

struct resolving *resolve(struct resolver *r, const char *name, resolve_done done, void *arg)
{
	return resolve_begin(r, name, &(struct resolving){ .done = done, .arg = arg });
}

struct resolving *resolve_all(struct resolver *r, const char *name, resolve_all_done done, void *arg)
{
	return resolve_begin(r, name, &(struct resolving){ .all = done, .arg = arg });
}

void resolve_cancel(struct resolving *q)
{
	if (!q)
		return;
	q->done = NULL;
	q->all = NULL;
	evdns_getaddrinfo_cancel(q->request); /* still calls on_answer, which frees q */
}

struct resolver *resolver_new(struct loop *l)
{
	struct resolver *r = XNEW(struct resolver);
	r->loop = l;
	return r;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	if (r->dns)
		evdns_base_free(r->dns, 1);
	free(r);
}
