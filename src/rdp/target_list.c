#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#include "lucid/str.h"
#include "lucid/target.h"
#include "rdp/target_host.h"

/* An address in 16 bytes, IPv4 as ::ffff:a.b.c.d. */
struct address {
	unsigned char bytes[16];
	bool v4;
};

struct network {
	struct address base;
	int bits; /* of the 16 bytes */
};

struct target_list {
	struct network *networks;
	size_t n;
	char **names; /* lower case; "*.example.org" has the suffix ".example.org" */
	size_t nnames;
};

/* Addresses that reach this host, its neighbours or its provider, or another address inside them. */
static const char *const special[] = {
	"0.0.0.0/8",   "127.0.0.0/8",	      "169.254.0.0/16",	   "169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32",
	"192.0.0.192/32", "168.63.129.16/32", "224.0.0.0/4",	   "240.0.0.0/4",	 "::/96",	     "::1/128",
	"fe80::/10",   "ff00::/8",	      "fd00:ec2::254/128", "64:ff9b::/96",	 "64:ff9b:1::/48",   "2002::/16",
	"2001::/32",
};

/* --- addresses */

static bool parse_address(const char *s, struct address *ret)
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	struct address a = { 0 };
	if (inet_pton(AF_INET, s, a.bytes + sizeof mapped) == 1)
		memcpy(a.bytes, mapped, sizeof mapped);
	else if (inet_pton(AF_INET6, s, a.bytes) != 1)
		return false;
	a.v4 = memcmp(a.bytes, mapped, sizeof mapped) == 0;
	*ret = a;
	return true;
}

static bool bit_of(const struct address *a, int i)
{
	return a->bytes[i / 8] >> (7 - i % 8) & 1;
}

static bool network_has(const struct network *n, const struct address *a)
{
	if (n->base.v4 != a->v4)
		return false;
	for (int i = 0; i < n->bits; i++)
		if (bit_of(&n->base, i) != bit_of(a, i))
			return false;
	return true;
}

static bool has_host_bits(const struct network *n)
{
	for (int i = n->bits; i < 128; i++)
		if (bit_of(&n->base, i))
			return true;
	return false;
}

/* 1: a network; 0: not an address with a prefix; -1: its prefix is not valid, with a reason. */
static int parse_network(const char *s, struct network *ret, char *why, size_t size)
{
	const char *slash = strchr(s, '/');
	_cleanup_(xfreep) char *address = xstrndup(s, slash ? (size_t)(slash - s) : strlen(s));
	bool dotted = !strchr(address, ':');
	int64_t bits, longest = dotted ? 32 : 128;
	if (!parse_address(address, &ret->base))
		return 0;
	bits = longest;
	if (slash && (!isdigit((unsigned char)slash[1]) || !str_int(slash + 1, 0, longest, &bits))) {
		snprintf(why, size, "\"%s\": the prefix length must be a number from 0 to %d", s, (int)longest);
		return -1;
	}
	if (!dotted && ret->base.v4 && bits < 96) /* ::ffff:0:0/90 would hold IPv6 addresses too */
		ret->base.v4 = false;
	ret->bits = (int)bits + (dotted ? 96 : 0);
	if (!has_host_bits(ret))
		return 1;
	snprintf(why, size, "\"%s\" has bits beyond its prefix; write %s for the one address, or clear those bits for the network", s, address);
	return -1;
}

/* --- names */

/* Labels of letters, digits, dashes and underscores; the last one is not a number, or it could be an address in an unusual form (127.1). */
static bool name_ok(const char *s, size_t len)
{
	size_t label = 0;
	bool letter = false;
	if (!len || len > TARGET_HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c == '.') {
			if (!label)
				return false;
			label = 0;
			letter = false;
			continue;
		}
		if (!isalnum(c) && c != '_' && (c != '-' || !label))
			return false;
		letter |= !isdigit(c);
		if (++label > 63)
			return false;
	}
	return label && letter;
}

bool target_host_fold(const char *host, char dst[TARGET_HOST_MAX + 1])
{
	size_t len = strlen(host);
	struct address a;
	if (len && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
		if (!memchr(host, ':', len))
			return false;
	}
	if (len > 1 && host[len - 1] == '.')
		len--;
	if (len > TARGET_HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		dst[i] = (char)tolower((unsigned char)host[i]);
	dst[len] = 0;
	return strlen(dst) == len && (parse_address(dst, &a) || name_ok(dst, len));
}

bool target_host_ok(const char *host)
{
	char folded[TARGET_HOST_MAX + 1];
	return target_host_fold(host, folded);
}

static bool list_has_name(const struct target_list *t, const char *host)
{
	for (size_t i = 0; i < t->nnames; i++) {
		const char *name = t->names[i];
		if (*name == '*' ? str_ends(host, name + 1) && strlen(host) > strlen(name + 1) : str_eq(host, name))
			return true;
	}
	return false;
}

/* --- the list */

static bool add_name(struct target_list *t, const char *item, char *why, size_t size)
{
	char name[TARGET_HOST_MAX + 1];
	const char *host = str_starts(item, "*.") ? item + 2 : item;
	struct address a;
	if (!target_host_fold(host, name) || parse_address(name, &a)) {
		snprintf(why, size, "\"%s\" is not valid; allowed: addresses, networks (10.1.0.0/16, 2001:db8::/32), host names and *.example.org, without a port",
			 item);
		return false;
	}
	if (str_eq(name, "localhost") || str_ends(name, ".localhost")) {
		snprintf(why, size, "\"%s\": loopback must be named by address: 127.0.0.1, ::1", item);
		return false;
	}
	t->names = xrealloc(t->names, (t->nnames + 1) * sizeof *t->names);
	t->names[t->nnames++] = xasprintf("%s%s", host == item ? "" : "*.", name);
	return true;
}

static bool add_item(struct target_list *t, const char *item, char *why, size_t size)
{
	struct network n;
	int rc = parse_network(item, &n, why, size);
	if (rc <= 0)
		return rc == 0 && add_name(t, item, why, size);
	t->networks = xrealloc(t->networks, (t->n + 1) * sizeof *t->networks);
	t->networks[t->n++] = n;
	return true;
}

struct target_list *target_list_new(const char *const *items, char *why, size_t size)
{
	struct target_list *t = XNEW(struct target_list);
	for (; items && *items; items++)
		if (!add_item(t, *items, why, size)) {
			target_list_free(t);
			return NULL;
		}
	return t;
}

void target_list_free(struct target_list *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->nnames; i++)
		free(t->names[i]);
	free(t->names);
	free(t->networks);
	free(t);
}

bool target_list_may_resolve(const struct target_list *t, const char *host)
{
	return t->n || list_has_name(t, host);
}

/* The length of the longest prefix of `special` that has the address; 0: none has. */
static int special_bits(const struct address *a)
{
	int bits = 0;
	for (size_t i = 0; i < ARRAY_LEN(special); i++) {
		struct network n;
		if (parse_network(special[i], &n, NULL, 0) == 1 && network_has(&n, a))
			bits = MAX(bits, n.bits);
	}
	return bits;
}

static bool address_allowed(const struct target_list *t, const struct address *a, bool named)
{
	int least = special_bits(a);
	if (named && !least)
		return true;
	for (size_t i = 0; i < t->n; i++)
		if (t->networks[i].bits >= least && network_has(&t->networks[i], a))
			return true;
	return false;
}

bool target_list_allows(const struct target_list *t, const char *host, const char (*addresses)[TARGET_ADDRESS_SIZE], size_t n, size_t *ret_i)
{
	char folded[TARGET_HOST_MAX + 1];
	bool fit = target_host_fold(host, folded), named = fit && list_has_name(t, folded);
	size_t i = n;
	for (size_t k = 0; fit && k < n && i == n; k++) {
		struct address a;
		if (!parse_address(addresses[k], &a) || !address_allowed(t, &a, named))
			i = k;
	}
	if (ret_i)
		*ret_i = i;
	return fit && n && i == n;
}
