#include "host/system_xrdp/key_value.h"

#include <stdio.h>
#include <strings.h>

#include "lucid/str.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define PATH_CHARS LETTERS DIGITS "._/+@:=,%-"

static const char *const true_words[] = { "true", "yes", "on", "1" }, *const false_words[] = { "false", "no", "off", "0" };
static const char *const x_servers[] = { "Xorg", "Xvnc", "Xtigervnc", "Xtightvnc", "X11rdp" };

static bool among(const char *s, const char *const *words, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (strcasecmp(s, words[k]) == 0)
			return true;
	return false;
}
#define AMONG(s, words) among(s, words, ARRAY_LEN(words))

static bool below(const char *path, const char *dir)
{
	size_t len = dir ? strlen(dir) : 0;
	while (len > 1 && dir[len - 1] == '/')
		len--;
	return len > 1 && strncmp(path, dir, len) == 0 && path[len] == '/' && path[len + 1];
}

static const struct {
	unsigned place;
	const char *dir;
} fixed_places[] = {
	{ AT_CONFIG, "/etc/xrdp" },    { AT_TLS, "/etc/ssl" },    { AT_TLS, "/etc/pki" },   { AT_TLS, "/etc/letsencrypt" },
	{ AT_LOG, "/var/log" },	       { AT_SHARE, "/usr/share" }, { AT_MOUNT, "/run/user/%u" }, { AT_MOUNT, "/media" },
	{ AT_MOUNT, "/mnt" },
};

static bool path_ok(const struct hostcfg_dirs *dirs, unsigned places, const char *path)
{
	size_t len = strlen(path);
	if (len > 200 || strstr(path, "..") || strspn(path, PATH_CHARS) != len)
		return false;
	if (path[0] != '/')
		return places & (AT_CONFIG | AT_PLAIN) && !(places & ABSOLUTE) && !strchr(path, '/');
	for (size_t k = 0; k < ARRAY_LEN(fixed_places); k++)
		if (places & fixed_places[k].place && below(path, fixed_places[k].dir))
			return true;
	_cleanup_(xfreep) char *tls = xasprintf("%s/xrdp/tls", dirs->data);
	return (places & AT_CONFIG && below(path, dirs->config)) || (places & AT_TLS && below(path, tls)) ||
	       (places & AT_LOG && below(path, dirs->log));
}

/* Paths within free text: each absolute one must be in a directory of programs or settings. */
static bool no_stray_path(const struct hostcfg_dirs *dirs, const char *value)
{
	if (strstr(value, "../") || str_eq(value, ".."))
		return false;
	for (const char *p = value; (p = strchr(p, '/')); p++) {
		bool begins = p == value || strchr(" :=,", p[-1]);
		if (begins && !below(p, "/usr") && !below(p, "/opt") && !below(p, "/etc/X11") && !below(p, "/etc/xrdp") &&
		    !below(p, dirs->config))
			return false;
	}
	return true;
}

static bool all_of(const char *value, const char *const *values)
{
	for (const char *p = value;; p++) {
		char word[32];
		p += strspn(p, " \t");
		size_t len = strcspn(p, ",");
		const char *next = p + len;
		while (len && p[len - 1] == ' ')
			len--;
		if (!len || len >= sizeof word)
			return false;
		memcpy(word, p, len);
		word[len] = 0;
		size_t n = 0;
		while (values[n])
			n++;
		if (!among(word, values, n))
			return false;
		if (!*next)
			return true;
		p = next;
	}
}

static void list_values(const char *const *values, const char *head, char *why, size_t size)
{
	size_t len = (size_t)snprintf(why, size, "%s", head);
	for (size_t k = 0; values[k] && len < size; k++)
		len += (size_t)snprintf(why + len, size - len, "%s%s", k ? ", " : "", values[k]);
}

/* One of the forms of xrdp_listen.c; *ret_port is 0 if it is not reachable by loopback. */
static bool listen_one(const char *s, size_t len, int *ret_port)
{
	static const struct {
		const char *prefix;
		bool loopback;
	} forms[] = { { "tcp://.:", true }, { "tcp://:", true }, { "tcp6://.:", false }, { "tcp6://:", true }, { "", true } };
	char text[128], *host;
	int64_t port;
	*ret_port = 0;
	if (!len || len >= sizeof text)
		return false;
	memcpy(text, s, len);
	text[len] = 0;
	for (size_t k = 0; k < ARRAY_LEN(forms); k++)
		if (str_starts(text, forms[k].prefix) && str_int(text + strlen(forms[k].prefix), 1, 65535, &port)) {
			*ret_port = forms[k].loopback ? (int)port : 0;
			return true;
		}
	bool v4 = str_starts(text, "tcp://"), v6 = str_starts(text, "tcp6://"), vsock = str_starts(text, "vsock://");
	host = strstr(text, "://");
	char *colon = host ? strrchr(host + 3, ':') : NULL;
	if (!(v4 || v6 || vsock) || !colon || !str_int(colon + 1, 1, vsock ? UINT32_MAX : 65535, &port))
		return false;
	*colon = 0;
	if (v4 && str_eq(host + 3, "127.0.0.1"))
		*ret_port = (int)port;
	return strspn(host + 3, "0123456789abcdefABCDEF.:{}-") == strlen(host + 3);
}

static bool listen_ok(const char *value, int *ret_port)
{
	*ret_port = 0;
	for (const char *p = value;; p++) {
		int port;
		p += strspn(p, " ");
		size_t len = strcspn(p, ","), cut = len;
		while (cut && p[cut - 1] == ' ')
			cut--;
		if (!listen_one(p, cut, &port))
			return false;
		if (!*ret_port)
			*ret_port = port;
		p += len;
		if (!*p)
			return true;
	}
}

int hostcfg_listen_port(const char *value)
{
	int port;
	return listen_ok(value, &port) ? port : 0;
}

static bool number_ok(const char *v, int base_digits, const char *digits)
{
	if (v[0] == '0' && (v[1] == 'x' || v[1] == 'X'))
		v += 2;
	size_t len = strlen(v);
	return len && len <= (size_t)base_digits && strspn(v, digits) == len;
}

static bool param_ok(const struct hostcfg_dirs *dirs, const char *value, bool first)
{
	if (!first)
		return no_stray_path(dirs, value);
	const char *slash = strrchr(value, '/');
	return AMONG(slash ? slash + 1 : value, x_servers) && (!slash || (below(value, "/usr") && no_stray_path(dirs, value)));
}

static bool env_name_ok(const char *name)
{
	return strspn(name, LETTERS DIGITS "_") == strlen(name) && !strchr(DIGITS, name[0]) && !str_starts(name, "LD_");
}

/* Whether xrdp's parser reads the value back unchanged; required of every key. */
static bool plain_ok(const char *value, char *why, size_t size)
{
	size_t len = strlen(value);
	if (len > 255 || !str_utf8(value, len, NULL) || str_has_control(value, false))
		snprintf(why, size, "must be one line of at most 255 bytes without control characters");
	else if (strpbrk(value, "#;[]") || value[0] == '$')
		snprintf(why, size, "must not contain # ; [ or ] nor start with $: xrdp would read a different value");
	else if (len && (strchr(" \t", value[0]) || value[len - 1] == ' '))
		snprintf(why, size, "must not start or end with spaces");
	else
		return true;
	return false;
}

bool hostcfg_value_ok(const struct hostcfg_key *row, const struct hostcfg_dirs *dirs, const char *key, const char *value,
		      bool first, char *why, size_t size)
{
	int64_t n;
	int port;
	if (!plain_ok(value, why, size))
		return false;
	snprintf(why, size, "must be a path below /etc/xrdp, /etc/X11, /usr or /opt");
	switch (row ? row->type : HC_ENV) {
	case HC_BOOL:
		snprintf(why, size, "must be true or false");
		return AMONG(value, true_words) || AMONG(value, false_words);
	case HC_INT:
		snprintf(why, size, "must be a number between %lld and %lld", (long long)row->min, (long long)row->max);
		return str_int(value, row->min, row->max, &n);
	case HC_HEX:
		snprintf(why, size, "must be a number, such as 0x04");
		return number_ok(value, 8, DIGITS "abcdefABCDEF");
	case HC_COLOUR:
		snprintf(why, size, "must be a colour, such as 009cb5");
		return strlen(value) == 6 && number_ok(value, 6, DIGITS "abcdefABCDEF");
	case HC_CHOICE:
	case HC_CHOICES:
		list_values(row->values, row->type == HC_CHOICE ? "must be one of " : "must be a list of ", why, size);
		return row->type == HC_CHOICES ? all_of(value, row->values) : !strchr(value, ',') && all_of(value, row->values);
	case HC_TEXT:
	case HC_SECRET:
		return no_stray_path(dirs, value);
	case HC_PATH:
		snprintf(why, size, "must be %s path where it is allowed: %s%s%s%s%s%s",
			 row->places & ABSOLUTE ? "an absolute" : "a", row->places & AT_CONFIG ? "XRDP_CONFIG_PATH " : "",
			 row->places & AT_TLS ? "/etc/ssl /etc/pki /etc/letsencrypt " : "", row->places & AT_LOG ? "/var/log " : "",
			 row->places & AT_SHARE ? "/usr/share " : "", row->places & AT_MOUNT ? "/run/user/%u /media /mnt " : "",
			 row->places & AT_PLAIN ? "or a plain name" : "");
		return !*value || path_ok(dirs, row->places, value);
	case HC_LISTEN:
		snprintf(why, size, "must be a port (3389), tcp://:port, tcp://address:port, tcp6://…, vsock://…, or several with commas");
		return listen_ok(value, &port);
	case HC_PORT:
		snprintf(why, size, "must be -1, a port, ask, or ask and a port");
		return str_int(value, -1, 65535, &n) || str_eq(value, "ask") ||
		       (str_starts(value, "ask") && str_int(value + 3, -1, 65535, &n));
	case HC_PARAMS:
		if (first)
			snprintf(why, size, "the first must be an X server: Xorg, Xvnc or X11rdp, below /usr where it is a path");
		return *value && param_ok(dirs, value, first);
	case HC_ENV:
		if (row && !env_name_ok(key)) {
			snprintf(why, size, "is not the name of a variable that may be set");
			return false;
		}
		return no_stray_path(dirs, value);
	}
	return false;
}

bool hostcfg_value_secret(const struct hostcfg_key *row, const char *value)
{
	static const char *const words[] = { "", "same", "na", "asksame" };
	return row && row->type == HC_SECRET && !AMONG(value, words) && !str_starts(value, "ask");
}

json_t *hostcfg_value_typed(const struct hostcfg_key *row, const char *value)
{
	int64_t n;
	if (hostcfg_value_secret(row, value))
		return json_string(HOSTCFG_HIDDEN);
	if (row && row->type == HC_BOOL && AMONG(value, true_words))
		return json_true();
	if (row && row->type == HC_BOOL && AMONG(value, false_words))
		return json_false();
	if (row && (row->type == HC_INT || row->type == HC_LISTEN || row->type == HC_PORT) &&
	    str_int(value, -2147483647, 2147483647, &n))
		return json_integer(n);
	return json_string(value);
}
