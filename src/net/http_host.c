#include "net/http_host.h"

#include <arpa/inet.h>

#include "lucid/str.h"

/* A reg-name of RFC 3986, which includes IPv4 addresses. */
static bool name_ok(const char *s, size_t len)
{
	static const char marks[] = "-._~!$&'()*+;=";
	for (size_t i = 0; i < len; i++) {
		if (i + 2 < len && str_percent(s + i) >= 0)
			i += 2;
		else if (!(s[i] >= '0' && s[i] <= '9') && !((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z') &&
			 (!s[i] || !strchr(marks, s[i])))
			return false;
	}
	return len <= HTTP_HOST_MAX;
}

static bool address_ok(const char *s, size_t len, struct in6_addr *ret)
{
	char text[INET6_ADDRSTRLEN];
	if (len >= sizeof text)
		return false;
	memcpy(text, s, len);
	text[len] = 0;
	return inet_pton(AF_INET6, text, ret) == 1;
}

static bool port_ok(const char *s, size_t len)
{
	unsigned port = 0;
	if (len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		port = port * 10 + (unsigned)(s[i] - '0');
	}
	return port <= 65535;
}

bool http_host_ok(const char *s, size_t len)
{
	struct in6_addr address;
	const char *end = s + len, *colon;
	if (len && *s == '[') {
		const char *close = memchr(s, ']', len);
		if (!close || !address_ok(s + 1, (size_t)(close - s - 1), &address))
			return false;
		colon = close + 1;
	} else {
		colon = memchr(s, ':', len);
		if (!name_ok(s, colon ? (size_t)(colon - s) : len))
			return false;
		if (!colon)
			return true;
	}
	return colon == end || (*colon == ':' && port_ok(colon + 1, (size_t)(end - colon - 1)));
}

bool http_host_name(const char *host, char dst[HTTP_HOST_MAX + 1])
{
	struct in6_addr address;
	size_t len = 0;
	*dst = 0;
	if (!host)
		return false;
	bool bracket = *host == '[', bare = !bracket && address_ok(host, strlen(host), &address);
	host += bracket;
	len = bracket ? strcspn(host, "]") : bare ? strlen(host) : strcspn(host, ":");
	if ((bracket || bare) && address_ok(host, len, &address))
		return inet_ntop(AF_INET6, &address, dst, HTTP_HOST_MAX + 1);
	if (len && host[len - 1] == '.')
		len--;
	if (!len || len > HTTP_HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		dst[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] | 0x20) : host[i];
	dst[len] = 0;
	return true;
}
