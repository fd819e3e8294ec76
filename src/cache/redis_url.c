#include "cache/redis_url.h"

#include <stdio.h>
#include <strings.h>
#include <sys/un.h>

#include "lucid/errs.h"
#include "lucid/str.h"

#define DEFAULT_PORT 6379
#define DATABASE_MAX 1000000 /* Redis itself says how many it has */

static int refuse(const char *why, const char **ret_why)
{
	if (ret_why)
		*ret_why = why;
	return -ERR_INVALID;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* len bytes, percent-decoded. False: too long, or an encoding that is none, or of NUL. */
static bool decode(const char *s, size_t len, char *dst, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];
		if (c == '%') {
			int high = i + 2 < len ? hex(s[i + 1]) : -1, low = high < 0 ? -1 : hex(s[i + 2]);
			c = low < 0 ? 0 : high * 16 + low;
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
		return refuse("before the @ stands user:password or :password; a user alone cannot log in", ret_why);
	size_t user_len = (size_t)(colon - at);
	if (!decode(at, user_len, u->user, sizeof u->user) || !decode(colon + 1, len - user_len - 1, u->password, sizeof u->password))
		return refuse("the user or password is too long, or has a % that two hex digits do not follow; write % itself as %25", ret_why);
	if (!*u->password)
		return refuse("the password is empty; leave out what stands before the @, or give one", ret_why);
	return 0;
}

static int parse_database(const char *text, struct redis_url *u, const char **ret_why)
{
	int64_t n = 0;
	if (*text && !str_int(text, 0, DATABASE_MAX, &n))
		return refuse("the database is a number: redis://host:6379/0, unix:/path?db=0", ret_why);
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
		return refuse("an IPv6 address stands in brackets: redis://[::1]:6379/0", ret_why);
	size_t host_len = (size_t)((end ? end : at + len) - host);
	if (!host_len || host_len >= sizeof u->host)
		return refuse("it names no host: redis://host:6379/0", ret_why);
	memcpy(u->host, host, host_len);
	u->host[host_len] = 0;
	const char *rest = host + host_len + literal6;
	size_t rest_len = (size_t)(at + len - rest);
	if (rest_len > 1 && rest_len < sizeof text)
		memcpy(text, rest + 1, rest_len - 1);
	if (rest_len && (*rest != ':' || !str_int(text, 1, 65535, &port)))
		return refuse("the port is a number from 1 to 65535: redis://host:6379/0", ret_why);
	u->port = (uint16_t)port;
	return 0;
}

static int parse_local(const char *at, struct redis_url *u, const char **ret_why)
{
	if (str_starts(at, "//")) {
		at += 2;
		/* the last @ before the path ends the password; an unencoded / in it would begin the path */
		size_t len = strcspn(at, "/");
		if (len && at[len - 1] != '@')
			return refuse("unix: takes the absolute path of a socket: unix:/run/redis/redis.sock", ret_why);
		int rc = len ? parse_secret(at, len - 1, u, ret_why) : 0;
		if (rc < 0)
			return rc;
		at += len;
	}
	size_t len = strcspn(at, "?");
	if (*at != '/' || len < 2)
		return refuse("unix: takes the absolute path of a socket: unix:/run/redis/redis.sock", ret_why);
	if (len >= sizeof ((struct sockaddr_un *)0)->sun_path)
		return refuse("the path of the socket is too long", ret_why);
	memcpy(u->host, at, len);
	u->host[len] = 0;
	u->local = true;
	if (!at[len])
		return 0;
	if (!str_starts(at + len, "?db="))
		return refuse("behind the path of a socket may stand ?db=0, nothing else", ret_why);
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
			return refuse("it may hold visible ASCII only; percent-encode the rest", ret_why);
	if (str_starts(text, "rediss://"))
		return refuse("rediss:// is not possible: this program's hiredis has no TLS; use redis:// within a network you trust, a Unix "
			      "socket, or stunnel beside it", ret_why);
	if (str_starts(text, "redis://"))
		return parse_remote(text + 8, u, ret_why);
	if (str_starts(text, "unix:"))
		return parse_local(text + 5, u, ret_why);
	return refuse("it must begin with redis:// or unix:", ret_why);
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
