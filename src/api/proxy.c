#include "api/proxy.h"

#include <arpa/inet.h>

#include "lucid/log.h"
#include "lucid/str.h"

#define NETS_MAX 64

/* Everything is an IPv6 address; IPv4 stands in ::ffff:0:0/96. */
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
				 "TRUSTED_PROXIES: %s is left out; give at most %d addresses, networks like "
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

static bool trusted(const struct proxies *p, const char *who)
{
	unsigned char address[16];
	bool v4;
	if (str_eq(who, "unix"))
		return p->local;
	if (!parse_address(who, address, &v4))
		return false;
	for (size_t i = 0; i < p->n; i++)
		if (in_net(&p->nets[i], address))
			return true;
	return false;
}

/* The last item of the first `len` bytes, without blanks, if it is an address; *ret_left: what stands before it. */
static bool last_item(const char *s, size_t len, char dst[INET6_ADDRSTRLEN], size_t *ret_left)
{
	unsigned char address[16];
	bool v4;
	while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	size_t from = len;
	while (from && s[from - 1] != ',')
		from--;
	*ret_left = from ? from - 1 : 0;
	from += strspn(s + from, " \t");
	if (from >= len || len - from >= INET6_ADDRSTRLEN)
		return false;
	memcpy(dst, s + from, len - from);
	dst[len - from] = 0;
	return parse_address(dst, address, &v4);
}

void proxies_client(const struct proxies *p, const char *peer, const char *forwarded, char *dst, size_t size)
{
	char item[INET6_ADDRSTRLEN];
	size_t left = forwarded ? strlen(forwarded) : 0;
	str_copy(dst, size, peer);
	while (p && left && trusted(p, dst) && last_item(forwarded, left, item, &left))
		str_copy(dst, size, item);
}
