#include "net/http_url.h"

#include <sys/un.h>

#include "lucid/errs.h"
#include "lucid/str.h"

static int url_refuse(const char *why, const char **ret_why)
{
	if (ret_why)
		*ret_why = why;
	return -ERR_INVALID;
}

static int parse_socket(const char *at, struct http_url *u, const char **ret_why)
{
	size_t len = strcspn(at, ":");
	if (*at != '/' || len < 2)
		return url_refuse("unix: must be followed by the absolute path of a socket", ret_why);
	if (len >= sizeof ((struct sockaddr_un *)0)->sun_path)
		return url_refuse("the socket path is too long", ret_why);
	memcpy(u->host, at, len);
	u->host[len] = 0;
	u->path = at + len + (at[len] == ':');
	if (*u->path && *u->path != '/' && *u->path != '?')
		return url_refuse("unix:/socket: must be followed by a path", ret_why);
	u->port = 0;
	strcpy(u->host_header, "localhost");
	return 0;
}

/* host[:port], or [address][:port], of len bytes */
static int parse_authority(const char *at, size_t len, struct http_url *u, const char **ret_why)
{
	char port_text[8];
	int64_t port = u->scheme == HTTP_SECURE ? 443 : 80;
	if (memchr(at, '@', len))
		return url_refuse("the URL must not contain a user or password", ret_why);
	if (len == 0 || len >= sizeof u->host_header)
		return url_refuse("the URL has no host, or its host is too long", ret_why);
	memcpy(u->host_header, at, len);
	u->host_header[len] = 0;
	bool literal6 = *at == '[';
	const char *host = at + literal6, *end = literal6 ? memchr(at, ']', len) : NULL;
	size_t host_len = literal6 ? (end ? (size_t)(end - host) : 0) : strcspn(host, ":/?");
	if (host_len == 0 || host_len >= sizeof u->host)
		return url_refuse("the URL has an invalid host", ret_why);
	memcpy(u->host, host, host_len);
	u->host[host_len] = 0;
	const char *rest = host + host_len + literal6;
	size_t rest_len = (size_t)(at + len - rest);
	if (rest_len) {
		if (*rest != ':' || rest_len < 2 || rest_len > 6)
			return url_refuse("the URL has an invalid port", ret_why);
		memcpy(port_text, rest + 1, rest_len - 1);
		port_text[rest_len - 1] = 0;
		if (!str_int(port_text, 1, 65535, &port))
			return url_refuse("the URL has an invalid port", ret_why);
	}
	u->port = (uint16_t)port;
	return 0;
}

int http_url_parse(const char *url, struct http_url *u, const char **ret_why)
{
	static const struct {
		const char *prefix;
		enum http_scheme scheme;
	} schemes[] = { { "http://", HTTP_PLAIN }, { "https://", HTTP_SECURE }, { "unix:", HTTP_LOCAL } };
	const char *at = NULL;
	for (size_t i = 0; i < ARRAY_LEN(schemes) && !at; i++) {
		if (!str_starts(url, schemes[i].prefix))
			continue;
		at = url + strlen(schemes[i].prefix);
		u->scheme = schemes[i].scheme;
	}
	if (!at)
		return url_refuse("the URL must start with http://, https:// or unix:", ret_why);
	for (const char *s = url; *s; s++)
		if ((uint8_t)*s <= 0x20 || (uint8_t)*s >= 0x7f || *s == '#')
			return url_refuse("the URL must be visible ASCII without a fragment", ret_why);
	if (u->scheme == HTTP_LOCAL)
		return parse_socket(at, u, ret_why);
	size_t len = strcspn(at, "/?");
	u->path = at + len;
	return parse_authority(at, len, u, ret_why);
}

bool http_url_same_origin(const struct http_url *a, const struct http_url *b)
{
	return a->scheme == b->scheme && a->port == b->port && str_eq(a->host, b->host);
}
