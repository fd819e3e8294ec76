/* url: checks a connection string, with messages that quote nothing of it. Works without the library, which only the module has. What the
 * library alone rejects, such as an unknown option, is reported when the store is opened. */
#include <stdio.h>
#include <strings.h>

#include "lucid/str.h"
#include "store/open.h"

#define DATABASE_MAX 63
#define FORM "not a MongoDB connection string: mongodb://user:password@host:port/database, with special characters in user and password percent-encoded"

struct parts {
	const char *login, *hosts, *database, *options; /* options: "" if there are none */
	size_t login_len, hosts_len, database_len;
};

static const char *after(const char *s, const char *prefix)
{
	return str_starts(s, prefix) ? s + strlen(prefix) : NULL;
}

static bool is_percented(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] == '%' && (i + 2 >= n || str_percent(s + i) < 0))
			return false;
	return true;
}

/* user[:password] */
static bool is_login(const char *s, size_t n)
{
	const char *colon = memchr(s, ':', n);
	bool one = !colon || !memchr(colon + 1, ':', n - (size_t)(colon + 1 - s));
	return n && s[0] != ':' && one && !memchr(s, '@', n) && is_percented(s, n);
}

/* name, name:port, [v6], [v6]:port, or a socket's path with %2F */
static bool is_host(const char *s, size_t n)
{
	const char *end = n && s[0] == '[' ? memchr(s, ']', n) : NULL;
	if (n && s[0] == '[' && !end)
		return false;
	size_t name = end ? (size_t)(end + 1 - s) : 0;
	while (!end && name < n && s[name] != ':')
		name++;
	char port[8] = "";
	int64_t number;
	if (name < n && (s[name] != ':' || n - name - 1 >= sizeof port))
		return false;
	if (name < n) {
		memcpy(port, s + name + 1, n - name - 1);
		if (!str_int(port, 1, 65535, &number))
			return false;
	}
	return name > (end ? 2u : 0u) && !memchr(s, '@', name) && is_percented(s, name);
}

static bool are_hosts(const char *s, size_t n)
{
	for (;;) {
		const char *comma = memchr(s, ',', n);
		size_t len = comma ? (size_t)(comma - s) : n;
		if (!is_host(s, len))
			return false;
		if (!comma)
			return true;
		s += len + 1;
		n -= len + 1;
	}
}

static bool split(const char *url, struct parts *ret)
{
	const char *p = after(url, "mongodb://");
	if (!p)
		p = after(url, "mongodb+srv://");
	*ret = (struct parts){ 0 };
	if (!p)
		return false;
	size_t n = strcspn(p, "/?");
	const char *at = memchr(p, '@', n);
	if (at) {
		ret->login = p;
		ret->login_len = (size_t)(at - p);
		n -= ret->login_len + 1;
		p = at + 1;
	}
	ret->hosts = p;
	ret->hosts_len = n;
	if (p[n] == '/') {
		ret->database = p + n + 1;
		ret->database_len = strcspn(ret->database, "?");
	}
	p = ret->database ? ret->database + ret->database_len : p + n;
	ret->options = *p == '?' ? p + 1 : "";
	return (!ret->login || is_login(ret->login, ret->login_len)) && are_hosts(ret->hosts, ret->hosts_len) &&
	       (!ret->database || strcspn(ret->database, "/\\ .\"$*<>:|") >= ret->database_len);
}

/* Timeouts that bound how long a thread of the store can be occupied. The library takes 0 as infinite, while callers of the store time out
 * after `timeout_ms`. */
static const struct bound {
	const char *option;
	int64_t most_ms; /* 0: timeout_ms */
	int64_t least_ms;
} bounds[] = {
	{ "serverSelectionTimeoutMS", 0, 50 }, { "connectTimeoutMS", 0, 50 },	  { "socketTimeoutMS", 0, 50 },
	{ "waitQueueTimeoutMS", 0, 50 },       { "heartbeatFrequencyMS", 60000, 500 },
};

/* One option, name=value, of len bytes. */
static int check_option(const char *s, size_t len, unsigned timeout_ms, char *why, size_t size)
{
	char text[16] = "";
	int64_t ms;
	for (const struct bound *b = bounds; b < bounds + ARRAY_LEN(bounds); b++) {
		size_t n = strlen(b->option);
		if (len < n || strncasecmp(s, b->option, n) != 0 || (len > n && s[n] != '='))
			continue;
		size_t value = len > n ? len - n - 1 : 0;
		int64_t most = b->most_ms ? b->most_ms : MAX((int64_t)timeout_ms, b->least_ms);
		memcpy(text, s + len - value, MIN(value, sizeof text - 1));
		if (value < sizeof text && str_int(text, b->least_ms, most, &ms))
			return 0;
		snprintf(why, size, "its option %s must be %lld to %lld ms%s; omit it to use the program's value", b->option, (long long)b->least_ms,
			 (long long)most, b->most_ms ? "" : " (at most STORE_TIMEOUT_MS)");
		return -ERR_INVALID;
	}
	return 0;
}

static int check_options(const char *s, unsigned timeout_ms, char *why, size_t size)
{
	int r = 0;
	while (r == 0 && *s) {
		size_t len = strcspn(s, "&;");
		r = check_option(s, len, timeout_ms, why, size);
		s += len + (s[len] != 0);
	}
	return r;
}

int store_check_mongo_url(const char *url, unsigned timeout_ms, char *why, size_t size)
{
	static const char *const theirs[] = { "admin", "local", "config" };
	struct parts u;
	if (!split(url, &u)) {
		snprintf(why, size, "%s", FORM);
		return -ERR_INVALID;
	}
	if (u.database && u.database_len > DATABASE_MAX) {
		snprintf(why, size, "its database name is %zu bytes long; MongoDB allows %d", u.database_len, DATABASE_MAX);
		return -ERR_INVALID;
	}
	for (size_t i = 0; u.database && i < ARRAY_LEN(theirs); i++)
		if (strlen(theirs[i]) == u.database_len && !strncmp(u.database, theirs[i], u.database_len)) {
			snprintf(why, size, "the database %s is reserved by MongoDB: name another one, and add authSource=%s if the login is stored there", theirs[i], theirs[i]);
			return -ERR_INVALID;
		}
	return check_options(u.options, timeout_ms, why, size);
}

static bool is_loopback(const char *s, size_t n)
{
	return (n >= 9 && !strncmp(s, "localhost", 9) && (n == 9 || s[9] == ':')) || (n >= 5 && !strncmp(s, "[::1]", 5)) || (n >= 4 && !strncmp(s, "127.", 4));
}

bool store_mongo_url_is_loopback(const char *url)
{
	struct parts u;
	bool all = split(url, &u);
	for (size_t at = 0; all && at < u.hosts_len; at++) {
		const char *comma = memchr(u.hosts + at, ',', u.hosts_len - at);
		size_t len = comma ? (size_t)(comma - u.hosts) - at : u.hosts_len - at;
		all = is_loopback(u.hosts + at, len);
		at += len;
	}
	return all;
}
