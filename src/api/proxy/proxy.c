#include "api/proxy/proxy.h"

#include <arpa/inet.h>

#include "lucid/log.h"
#include "lucid/str.h"

#define NETS_MAX 64

/* All addresses as IPv6; IPv4 as ::ffff:0:0/96. */
struct net {
	unsigned char address[16];
	unsigned bits;
};

struct proxies {
	bool local; /* peers on a Unix socket */
	size_t n;
	struct net nets[NETS_MAX];
};

static bool parse_address(const char *s, unsigned char dst[16], bool *ret_v4)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	*ret_v4 = false;
	if (inet_pton(AF_INET6, s, dst) == 1)
		return true;
	*ret_v4 = true;
	memcpy(dst, mapped, sizeof mapped);
	return inet_pton(AF_INET, s, dst + 12) == 1;
}

static bool parse_net(const char *s, struct net *ret)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(s, '/');
	size_t n = slash ? (size_t)(slash - s) : strlen(s);
	bool v4;
	int64_t bits;
	if (n >= sizeof address)
		return false;
	memcpy(address, s, n);
	address[n] = 0;
	if (!parse_address(address, ret->address, &v4))
		return false;
	bits = v4 ? 32 : 128;
	if (slash && !str_int(slash + 1, 0, bits, &bits))
		return false;
	ret->bits = (unsigned)bits + (v4 ? 96 : 0);
	return true;
}

struct proxies *proxies_new(const char *const *list)
{
	if (!list || !*list)
		return NULL;
	struct proxies *p = XNEW(struct proxies);
	for (; *list; list++) {
		if (str_eq(*list, "unix"))
			p->local = true;
		else if (p->n < NETS_MAX && parse_net(*list, &p->nets[p->n]))
			p->n++;
		else
			log_warn("api",
				 "TRUSTED_PROXIES: %s is ignored; list at most %d addresses, networks like "
				 "10.0.0.0/8, or unix",
				 *list, NETS_MAX);
	}
	return p;
}

void proxies_free(struct proxies *p)
{
	free(p);
}

static bool in_net(const struct net *n, const unsigned char address[16])
{
	unsigned bytes = n->bits / 8, rest = n->bits % 8;
	if (memcmp(n->address, address, bytes) != 0)
		return false;
	return !rest || (n->address[bytes] ^ address[bytes]) >> (8 - rest) == 0;
}

bool proxies_trust(const struct proxies *p, const char *who)
{
	unsigned char address[16];
	bool v4;
	if (!p)
		return false;
	if (str_eq(who, "unix"))
		return p->local;
	if (!parse_address(who, address, &v4))
		return false;
	for (size_t i = 0; i < p->n; i++)
		if (in_net(&p->nets[i], address))
			return true;
	return false;
}

struct walk {
	const struct proxies *proxies;
	struct proxied at;
};

static bool see_hop(const struct hop *h, void *arg)
{
	struct walk *w = arg;
	char next[INET6_ADDRSTRLEN];
	if (!proxies_trust(w->proxies, w->at.client) || !forwarded_address(h->node, next))
		return false;
	str_copy(w->at.client, sizeof w->at.client, next);
	w->at.hops++;
	w->at.host = h->host;
	w->at.proto = h->proto;
	return true;
}

static struct proxied walk_hops(const struct proxies *p, const char *peer, const struct forwarded_lines *lines, enum forwarded_kind kind)
{
	struct walk w = { .proxies = p };
	str_copy(w.at.client, sizeof w.at.client, peer);
	forwarded_walk(lines, kind, see_hop, &w);
	return w.at;
}

void proxies_client(const struct proxies *p, const char *peer, const struct forwarded_lines *x, const struct forwarded_lines *rfc,
		    struct proxied *ret)
{
	*ret = (struct proxied){ 0 };
	str_copy(ret->client, sizeof ret->client, peer);
	if (!p || !proxies_trust(p, peer))
		return;
	struct proxied a = walk_hops(p, peer, x, FORWARDED_X), b = walk_hops(p, peer, rfc, FORWARDED_RFC);
	/* a list that ends at a trusted proxy has less information than one that continues to a client */
	if (str_eq(a.client, b.client) || proxies_trust(p, a.client))
		*ret = b;
	else if (proxies_trust(p, b.client))
		*ret = a;
	if (ret->hops == 0 && proxies_trust(p, a.client) && proxies_trust(p, b.client) && a.hops)
		*ret = a; /* both end at trusted proxies: use the one that has hops */
	ret->hops = MAX(ret->hops, 1u);
}
