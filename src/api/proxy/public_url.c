#include "api/proxy/public_url.h"

#include <stdio.h>
#include <strings.h>

#include "api/proxy/proxy.h"
#include "api/request.h"
#include "lucid/str.h"
#include "net/http_head.h"
#include "net/http_host.h"

struct lines {
	const char *room[HTTP_HEAD_LINES];
	struct forwarded_lines list;
};

static const struct forwarded_lines *lines_of(struct request *q, const char *name, struct lines *l)
{
	l->list = (struct forwarded_lines){ l->room, http_req_headers(q->http, name, l->room, HTTP_HEAD_LINES) };
	return &l->list;
}

/* False: the peer is not a trusted proxy. */
static bool find_proxied(struct request *q, struct proxied *ret)
{
	struct lines x, rfc;
	const char *peer = http_req_peer(q->http);
	*ret = (struct proxied){ 0 };
	if (!proxies_trust(q->api->proxies, peer))
		return false;
	proxies_client(q->api->proxies, peer, lines_of(q, "X-Forwarded-For", &x), lines_of(q, "Forwarded", &rfc), ret);
	return true;
}

void public_client(struct request *q, char *dst, size_t size)
{
	struct proxied p;
	str_copy(dst, size, find_proxied(q, &p) ? p.client : http_req_peer(q->http));
}

/* The item of the outermost trusted proxy: either each trusted proxy has added an item, or only that one. */
static struct span forwarded_value(struct request *q, const char *header, const struct proxied *p)
{
	struct lines l;
	return forwarded_item(lines_of(q, header, &l), p->hops);
}

/* --- prefixes */

static bool may_stand_in_path(const char *s, size_t len, size_t i)
{
	static const char marks[] = "-._~!$&'()*+,;=:@/";
	int c = i + 2 < len ? str_percent(s + i) : -1;
	if (s[i] == '%') /* not an encoded '.', '/' or '\\' */
		return c >= 0 && c != '.' && c != '/' && c != '\\';
	return (s[i] >= '0' && s[i] <= '9') || ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z') || (s[i] && strchr(marks, s[i]));
}

/* Copies a path without its trailing slash to dst. False: it has '.', '..' or empty segments ("//host" would be another host). */
static bool take_prefix(struct span s, char dst[PUBLIC_PREFIX_MAX + 1])
{
	while (s.len && s.s[s.len - 1] == '/')
		s.len--;
	*dst = 0;
	if (s.len > PUBLIC_PREFIX_MAX || (s.len && s.s[0] != '/'))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!may_stand_in_path(s.s, s.len, i))
			return false;
		size_t next = i + 1;
		while (s.s[i] == '/' && next < s.len && s.s[next] == '.')
			next++;
		if (s.s[i] == '/' && next - i <= 3 && (next == s.len || s.s[next] == '/'))
			return false; /* an empty segment, '.' or '..' */
	}
	memcpy(dst, s.s, s.len);
	dst[s.len] = 0;
	return true;
}

static bool split_url(const char *url, struct span *ret_authority, struct span *ret_path)
{
	size_t scheme = strncasecmp(url, "http://", 7) == 0 ? 7 : strncasecmp(url, "https://", 8) == 0 ? 8 : 0;
	const char *host = url + scheme, *path = host + strcspn(host, "/");
	*ret_authority = (struct span){ host, (size_t)(path - host) };
	*ret_path = (struct span){ path, strlen(path) };
	return scheme && path != host && *host != ':';
}

bool public_url_ok(const char *url)
{
	char prefix[PUBLIC_PREFIX_MAX + 1];
	struct span authority, path;
	return split_url(url, &authority, &path) && http_host_ok(authority.s, authority.len) && take_prefix(path, prefix);
}

const char *public_prefix(struct request *q, char dst[PUBLIC_PREFIX_MAX + 1])
{
	const char *url = config_str(q->api->env.config, "PUBLIC_URL");
	struct span authority, path;
	struct proxied p;
	*dst = 0;
	if (q->service)
		return dst;
	if (*url) {
		if (split_url(url, &authority, &path))
			take_prefix(path, dst);
	} else if (find_proxied(q, &p)) {
		path = forwarded_value(q, "X-Forwarded-Prefix", &p);
		if (path.s)
			take_prefix(path, dst);
	}
	return dst;
}

const char *public_inside(struct request *q, const char *path)
{
	char prefix[PUBLIC_PREFIX_MAX + 1];
	size_t n = strlen(public_prefix(q, prefix));
	if (!n || strncmp(path, prefix, n) != 0 || (path[n] && path[n] != '/'))
		return NULL;
	return path[n] ? path + n : "/";
}

/* --- hosts */

struct span public_forwarded_host(struct request *q)
{
	struct proxied p;
	struct span host = { NULL, 0 };
	if (q->service || !find_proxied(q, &p))
		return host;
	host = forwarded_value(q, "X-Forwarded-Host", &p);
	return host.s ? host : p.host;
}

static const char *scheme_of(struct request *q)
{
	struct proxied p;
	struct span proto = { NULL, 0 };
	if (find_proxied(q, &p))
		proto = forwarded_value(q, "X-Forwarded-Proto", &p);
	if (!proto.s)
		proto = p.proto;
	if (proto.len == 5 && strncasecmp(proto.s, "https", 5) == 0)
		return "https";
	if (proto.len == 4 && strncasecmp(proto.s, "http", 4) == 0)
		return "http";
	return *config_str(q->api->env.config, "TLS_CERT_FILE") ? "https" : "http";
}

const char *public_base(struct request *q, char dst[PUBLIC_URL_MAX])
{
	const char *url = config_str(q->api->env.config, "PUBLIC_URL");
	char prefix[PUBLIC_PREFIX_MAX + 1];
	struct span host = public_forwarded_host(q), path;
	public_prefix(q, prefix);
	if (*url && !q->service && split_url(url, &host, &path))
		snprintf(dst, PUBLIC_URL_MAX, "%.*s%s", (int)(host.s + host.len - url), url, prefix);
	else if (host.s && host.len && host.len <= HTTP_HOST_MAX && http_host_ok(host.s, host.len))
		snprintf(dst, PUBLIC_URL_MAX, "%s://%.*s%s", scheme_of(q), (int)host.len, host.s, prefix);
	else
		snprintf(dst, PUBLIC_URL_MAX, "%s", *prefix ? prefix : "/");
	return dst;
}
