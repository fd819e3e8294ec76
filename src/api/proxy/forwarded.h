/*
 * forwarded: parser of the headers that proxies add: X-Forwarded-For, in the forms that occur in practice, and Forwarded (RFC 7239). Both
 * are lists of hops, with the latest at the right. Floor F5, any thread, pure. Not for: which proxies are trusted (proxy.h).
 */
#ifndef API_PROXY_FORWARDED_H
#define API_PROXY_FORWARDED_H

#include <netinet/in.h>

#include "lucid/base.h"

struct span {
	const char *s; /* NULL: absent */
	size_t len;
};

/* One hop: the client of a proxy, and the host and scheme that it requested. Spans point into the lines. */
struct hop {
	struct span node, host, proto;
};

/* The values of all lines of a header, in order. */
struct forwarded_lines {
	const char *const *line;
	size_t n;
};

enum forwarded_kind { FORWARDED_X, FORWARDED_RFC };
#define FORWARDED_HOPS 64 /* of a line; earlier ones are ignored */

/* Calls `see` for each hop from the right, until it returns false or a line is malformed. */
void forwarded_walk(const struct forwarded_lines *lines, enum forwarded_kind kind, bool (*see)(const struct hop *h, void *arg), void *arg);

/* Parses the address of a node (192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1]:80) to its canonical text, without port and zone
 * (%eth0). An IPv4-mapped IPv6 address becomes IPv4. False: the node is "unknown", obfuscated, or not an address. */
bool forwarded_address(struct span node, char dst[INET6_ADDRSTRLEN]);

/* Item k from the right (from 1) of a comma-separated list; the leftmost if there are fewer. NULL: the list is empty. */
struct span forwarded_item(const struct forwarded_lines *lines, unsigned k);

#endif
