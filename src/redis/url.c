#include "redis/url.h"

#include <stdio.h>
#include <strings.h>
#include <sys/un.h>

#include "lucid/errs.h"
#include "lucid/str.h"

#define DEFAULT_PORT 6379
#define DATABASE_MAX 1000000 /* the server itself refuses a database that it does not have */

static int redis_url_refuse(const char *why, const char **ret_why)
{
	if (ret_why)
		*ret_why = why;
	return -ERR_INVALID;
}

/* Percent-decodes len bytes. False: too long, an invalid encoding, or an encoded NUL. */
static bool decode(const char *s, size_t len, char *dst, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];
		if (c == '%') {
			c = i + 2 < len ? MAX(str_percent(s + i), 0) : 0;
			i += 2;
		}
		if (!c || n + 1 >= size)
			return false;
		dst[n++] = (char)c;
	}
	dst[n] = 0;
	return true;
}

/* [user]:password, of len bytes */
static int parse_secret(const char *at, size_t len, struct redis_url *u, const char **ret_why)
{
	const char *colon = memchr(at, ':', len);
	if (!colon)
		return redis_url_refuse("the part before @ must be user:password or :password; a user without a password cannot log in", ret_why);
	size_t user_len = (size_t)(colon - at);
	if (!decode(at, user_len, u->user, sizeof u->user) || !decode(colon + 1, len - user_len - 1, u->password, sizeof u->password))
		return redis_url_refuse("the user or password is too long, or has a % not followed by two hex digits; write a literal % as %25", ret_why);
	if (!*u->password)
		return redis_url_refuse("the password is empty; set a password, or remove the part before @", ret_why);
	return 0;
}

static int parse_database(const char *text, struct redis_url *u, const char **ret_why)
{
	int64_t n = 0;
	if (*text && !str_int(text, 0, DATABASE_MAX, &n))
		return redis_url_refuse("the database must be a number: redis://host:6379/0, unix:/path?db=0", ret_why);
	u->database = (int)n;
	return 0;
}

/* host[:port], or [address][:port], of len bytes */
static int parse_place(const char *at, size_t len, struct redis_url *u, const char **ret_why)
{
	char text[8] = "";
	int64_t port = DEFAULT_PORT;
	bool literal6 = len && *at == '[';
	const char *host = at + literal6, *end = literal6 ? memchr(at, ']', len) : memchr(at, ':', len);
	if (literal6 && !end)
		return redis_url_refuse("an IPv6 address must be in brackets: redis://[::1]:6379/0", ret_why);
	size_t host_len = (size_t)((end ? end : at + len) - host);
	if (!host_len || host_len >= sizeof u->host)
		return redis_url_refuse("the URL has no host: redis://host:6379/0", ret_why);
	memcpy(u->host, host, host_len);
	u->host[host_len] = 0;
	const char *rest = host + host_len + literal6;
	size_t rest_len = (size_t)(at + len - rest);
	if (rest_len > 1 && rest_len < sizeof text)
		memcpy(text, rest + 1, rest_len - 1);
	if (rest_len && (*rest != ':' || !str_int(text, 1, 65535, &port)))
		return redis_url_refuse("the port must be a number from 1 to 65535: redis://host:6379/0", ret_why);
	u->port = (uint16_t)port;
	return 0;
}

static int parse_local(const char *at, struct redis_url *u, const char **ret_why)
{
	if (str_starts(at, "//")) {
		at += 2;
		/* user and password end at the @ before the path; a / in them must be encoded */
		size_t len = strcspn(at, "/");
		if (len && at[len - 1] != '@')
			return redis_url_refuse("unix: must be followed by the absolute path of a socket: unix:/run/redis/redis.sock", ret_why);
		int rc = len ? parse_secret(at, len - 1, u, ret_why) : 0;
		if (rc < 0)
			return rc;
		at += len;
	}
	size_t len = strcspn(at, "?");
	if (*at != '/' || len < 2)
		return redis_url_refuse("unix: must be followed by the absolute path of a socket: unix:/run/redis/redis.sock", ret_why);
	if (len >= sizeof ((struct sockaddr_un *)0)->sun_path)
		return redis_url_refuse("the socket path is too long", ret_why);
	memcpy(u->host, at, len);
	u->host[len] = 0;
	u->local = true;
	if (!at[len])
		return 0;
	if (!str_starts(at + len, "?db="))
		return redis_url_refuse("only ?db=0 or another number may follow a socket path", ret_why);
	return parse_database(at + len + 4, u, ret_why);
}

static int parse_remote(const char *at, struct redis_url *u, const char **ret_why)
{
	size_t len = strcspn(at, "/?#");
	const char *ends = memrchr(at, '@', len);
	if (ends) {
		int rc = parse_secret(at, (size_t)(ends - at), u, ret_why);
		if (rc < 0)
			return rc;
		len -= (size_t)(ends + 1 - at);
		at = ends + 1;
	}
	int rc = parse_place(at, len, u, ret_why);
	if (rc < 0)
		return rc;
	at += len;
	return parse_database(*at == '/' ? at + 1 : at, u, ret_why);
}

static int parse(const char *text, struct redis_url *u, const char **ret_why)
{
	for (const char *s = text; *s; s++)
		if ((uint8_t)*s <= 0x20 || (uint8_t)*s >= 0x7f)
			return redis_url_refuse("the URL must be visible ASCII; percent-encode other characters", ret_why);
	if (str_starts(text, "rediss://"))
		return redis_url_refuse("rediss:// is not supported: the installed hiredis has no TLS; use redis:// on a trusted network, a Unix "
			      "socket, or stunnel beside it", ret_why);
	if (str_starts(text, "redis://"))
		return parse_remote(text + 8, u, ret_why);
	if (str_starts(text, "unix:"))
		return parse_local(text + 5, u, ret_why);
	return redis_url_refuse("the URL must start with redis:// or unix:", ret_why);
}

int redis_url_parse(const char *text, struct redis_url *u, const char **ret_why)
{
	struct redis_url found = { 0 };
	int rc = parse(text, &found, ret_why);
	if (rc == 0)
		*u = found;
	mem_wipe(&found, sizeof found);
	return rc;
}

bool redis_url_same(const struct redis_url *a, const struct redis_url *b)
{
	return a->local == b->local && a->port == b->port && a->database == b->database && str_eq(a->host, b->host) &&
	       str_eq(a->user, b->user) && str_eq(a->password, b->password);
}

void redis_url_show(const struct redis_url *u, char *dst, size_t size)
{
	if (u->local)
		snprintf(dst, size, "%s, database %d", u->host, u->database);
	else
		snprintf(dst, size, strchr(u->host, ':') ? "[%s]:%u/%d" : "%s:%u/%d", u->host, u->port, u->database);
}

bool redis_url_is_loopback(const struct redis_url *u)
{
	return !u->local && (!strcasecmp(u->host, "localhost") || str_starts(u->host, "127.") || str_eq(u->host, "::1"));
}
