#include "net/resolve.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <netinet/in.h>

struct resolver {
	struct loop *loop;
	struct evdns_base *dns; /* created when the first name has to be resolved */
};

struct resolving {
	struct evdns_getaddrinfo_request *request;
	resolve_done done; /* NULL: cancelled */
	void *arg;
	bool inside; /* resolve() has not returned yet */
};

bool resolve_is_address(const char *name)
{
	struct in6_addr room;
	return inet_pton(AF_INET, name, &room) == 1 || inet_pton(AF_INET6, name, &room) == 1;
}

/* Writes the first address as text. False: it is neither IPv4 nor IPv6. */
static bool write_address(const struct evutil_addrinfo *a, char dst[RESOLVE_SIZE])
{
	if (a->ai_family == AF_INET)
		return inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)a->ai_addr)->sin_addr, dst, RESOLVE_SIZE);
	if (a->ai_family == AF_INET6)
		return inet_ntop(AF_INET6, &((struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_addr, dst, RESOLVE_SIZE);
	return false;
}

static void on_answer(int err, struct evutil_addrinfo *list, void *arg)
{
	struct resolving *q = arg;
	char address[RESOLVE_SIZE];
	resolve_done done = q->done;
	bool found = err == 0 && list && write_address(list, address);
	if (list)
		evutil_freeaddrinfo(list);
	void *done_arg = q->arg;
	if (q->inside)
		q->done = NULL; /* resolve() frees it */
	else
		free(q);
	if (done)
		done(found ? address : NULL, found ? "" : err ? evutil_gai_strerror(err) : "the name has no address", done_arg);
}

struct resolving *resolve(struct resolver *r, const char *name, resolve_done done, void *arg)
{
	struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP };
	if (resolve_is_address(name)) {
		done(name, "", arg);
		return NULL;
	}
	if (!r->dns)
		r->dns = evdns_base_new(loop_base(r->loop), EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (!r->dns) {
		done(NULL, "/etc/resolv.conf is not usable", arg);
		return NULL;
	}
	struct resolving *q = XNEW(struct resolving);
	*q = (struct resolving){ .done = done, .arg = arg, .inside = true };
	q->request = evdns_getaddrinfo(r->dns, name, NULL, &hints, on_answer, q);
	q->inside = false;
	if (q->done)
		return q;
	free(q);
	return NULL;
}

void resolve_cancel(struct resolving *q)
{
	if (!q)
		return;
	q->done = NULL;
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
