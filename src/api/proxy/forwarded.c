#include "api/proxy/forwarded.h"

#include <arpa/inet.h>
#include <strings.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span span_trim(const char *s, size_t len)
{
	while (len && is_blank(s[len - 1]))
		len--;
	while (len && is_blank(*s)) {
		s++;
		len--;
	}
	return (struct span){ s, len };
}

/* --- addresses */

static bool is_port(const char *s, size_t len)
{
	unsigned port = 0;
	if (!len || len > 5)
		return false;
	for (; len; s++, len--) {
		if (*s < '0' || *s > '9')
			return false;
		port = port * 10 + (unsigned)(*s - '0');
	}
	return port <= 65535;
}

/* An obfuscated port of RFC 7239 6.3: "_name". */
static bool is_hidden(const char *s, size_t len)
{
	for (size_t i = 1; i < len; i++)
		if (!((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z') && !(s[i] >= '0' && s[i] <= '9') && s[i] != '.' && s[i] != '_' && s[i] != '-')
			return false;
	return len > 1 && *s == '_';
}

static bool print_address(const char *s, size_t len, char dst[INET6_ADDRSTRLEN])
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr six;
	struct in_addr four;
	const char *zone = memchr(s, '%', len);
	if (zone && zone != s && zone + 1 != s + len)
		len = (size_t)(zone - s);
	if (!len || len >= sizeof text)
		return false;
	memcpy(text, s, len);
	text[len] = 0;
	if (inet_pton(AF_INET, text, &four) == 1)
		return !zone && inet_ntop(AF_INET, &four, dst, INET6_ADDRSTRLEN);
	if (inet_pton(AF_INET6, text, &six) != 1)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&six))
		return inet_ntop(AF_INET, &six.s6_addr[12], dst, INET6_ADDRSTRLEN);
	return inet_ntop(AF_INET6, &six, dst, INET6_ADDRSTRLEN);
}

bool forwarded_address(struct span node, char dst[INET6_ADDRSTRLEN])
{
	if (!node.s || !node.len)
		return false;
	const char *s = node.s, *end = s + node.len, *stop, *port;
	if (*s == '[') {
		stop = memchr(++s, ']', node.len - 1);
		if (!stop)
			return false;
		port = stop + 1;
	} else {
		stop = memchr(s, ':', node.len);
		/* two colons: an IPv6 address without brackets, and so without a port */
		if (!stop || memchr(stop + 1, ':', (size_t)(end - stop - 1)))
			stop = end;
		port = stop;
	}
	if (port != end && (*port != ':' || (!is_port(port + 1, (size_t)(end - port - 1)) && !is_hidden(port + 1, (size_t)(end - port - 1)))))
		return false;
	return print_address(s, (size_t)(stop - s), dst);
}

/* --- lists */

/* The last item within the first *len bytes; reduces *len to the part before its comma. */
static struct span last_item(const char *s, size_t *len)
{
	size_t from = *len;
	while (from && s[from - 1] != ',')
		from--;
	struct span item = span_trim(s + from, *len - from);
	*len = from ? from - 1 : 0;
	return item;
}

/* Removes quotes, in which some proxies put IPv6 addresses. */
static struct span span_unquote(struct span s)
{
	if (s.len >= 2 && s.s[0] == '"' && s.s[s.len - 1] == '"')
		return (struct span){ s.s + 1, s.len - 2 };
	return s;
}

static bool walk_x(const char *line, bool (*see)(const struct hop *h, void *arg), void *arg)
{
	size_t len = strlen(line);
	while (len) {
		struct hop h = { .node = span_unquote(last_item(line, &len)) };
		if (h.node.len && !see(&h, arg)) /* RFC 9110 5.6.1.2: empty items are ignored */
			return false;
	}
	return true;
}

struct span forwarded_item(const struct forwarded_lines *lines, unsigned k)
{
	struct span found = { NULL, 0 };
	for (size_t i = lines->n; i > 0 && k; i--)
		for (size_t len = strlen(lines->line[i - 1]); len && k;) {
			struct span item = span_unquote(last_item(lines->line[i - 1], &len));
			if (item.len) {
				found = item;
				k--;
			}
		}
	return found;
}

/* --- Forwarded */

static bool is_token(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* A token or quoted string, whose escapes stay in *ret; also unquoted values with colons and brackets, which some proxies send. */
static bool take_value(const char **p, struct span *ret, bool *ret_escaped)
{
	const char *s = *p;
	bool quoted = *s == '"';
	const char *from = s += quoted;
	*ret_escaped = false;
	for (; *s && (quoted ? *s != '"' : is_token(*s) || *s == ':' || *s == '[' || *s == ']'); s++)
		if (quoted && *s == '\\') {
			*ret_escaped = true;
			if (!*++s)
				return false;
		}
	*ret = (struct span){ from, (size_t)(s - from) };
	*p = s + quoted;
	return quoted ? *s == '"' : s > from;
}

static bool is_name(struct span s, const char *name)
{
	return s.len == strlen(name) && strncasecmp(s.s, name, s.len) == 0;
}

static bool take_pair(const char **p, struct hop *h)
{
	const char *s = *p;
	struct span name, value;
	bool escaped;
	while (is_token(*s))
		s++;
	name = (struct span){ *p, (size_t)(s - *p) };
	if (!name.len || *s++ != '=' || !take_value(&s, &value, &escaped))
		return false;
	struct span *to = is_name(name, "for") ? &h->node : is_name(name, "host") ? &h->host : is_name(name, "proto") ? &h->proto : NULL;
	if (to && (to->s || escaped))
		return false; /* ambiguous if given twice; no address, host or scheme needs an escape */
	if (to)
		*to = value;
	*p = s;
	return true;
}

static void skip_blanks(const char **p)
{
	while (is_blank(**p))
		++*p;
}

/* element *( "," element ), element = [ pair ] *( ";" [ pair ] ). Returns the number of hops, or -1 if malformed. Keeps the last
 * FORWARDED_HOPS hops. */
static int parse_line(const char *p, struct hop hops[FORWARDED_HOPS])
{
	int n = 0;
	for (skip_blanks(&p); *p; skip_blanks(&p)) {
		struct hop h = { 0 };
		if (*p == ',') {
			p++;
			continue;
		}
		for (;; p++, skip_blanks(&p)) {
			if (*p && *p != ';' && *p != ',' && !take_pair(&p, &h))
				return -1;
			skip_blanks(&p);
			if (*p != ';')
				break;
		}
		if (*p && *p != ',')
			return -1;
		if (n == FORWARDED_HOPS)
			memmove(hops, hops + 1, (size_t)--n * sizeof *hops);
		hops[n++] = h;
	}
	return n;
}

static bool walk_rfc(const char *line, bool (*see)(const struct hop *h, void *arg), void *arg)
{
	struct hop hops[FORWARDED_HOPS];
	int n = parse_line(line, hops);
	for (int i = n; i > 0; i--)
		if (!see(&hops[i - 1], arg))
			return false;
	return n >= 0;
}

void forwarded_walk(const struct forwarded_lines *lines, enum forwarded_kind kind, bool (*see)(const struct hop *h, void *arg), void *arg)
{
	for (size_t i = lines->n; i > 0; i--)
		if (!(kind == FORWARDED_X ? walk_x : walk_rfc)(lines->line[i - 1], see, arg))
			return;
}
