#include <arpa/inet.h>
#include <ctype.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/proxy/public_url.h"
#include "app/roles.h"
#include "app/settings/checks.h"
#include "lucid/account.h"
#include "lucid/target.h"
#include "net/http_host.h"

/* 1 to `max` letters, digits and characters of `others`; the first is a letter or digit. */
static bool word(const char *s, size_t len, size_t max, const char *others)
{
	if (!len || len > max || !isalnum((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr(others, s[i]))
			return false;
	return true;
}

static bool is_address(const char *s)
{
	struct in6_addr a;
	return inet_pton(AF_INET, s, &a) == 1 || inet_pton(AF_INET6, s, &a) == 1;
}

static bool is_network(const char *s)
{
	const char *slash = strchr(s, '/');
	int64_t bits;
	if (!slash)
		return is_address(s);
	_cleanup_(xfreep) char *address = xstrndup(s, (size_t)(slash - s));
	return is_address(address) && str_int(slash + 1, 0, strchr(address, ':') ? 128 : 32, &bits);
}

static bool is_proxy(const char *s)
{
	return str_eq(s, "unix") || is_network(s);
}

/* scheme://host[:port][/…] without user information, because URLs are logged. */
static bool is_url(const char *s)
{
	const char *host = str_starts(s, "http://") ? s + 7 : str_starts(s, "https://") ? s + 8 : NULL;
	return host && *host && *host != '/' && *host != ':' && strcspn(host, "@") >= strcspn(host, "/?#") && !strpbrk(s, " \"<>");
}

/* A path that fits into sockaddr_un. */
static bool is_socket(const char *s)
{
	return str_starts(s, "unix:/") && s[6] && !strchr(s + 5, ':') && strlen(s + 5) < sizeof ((struct sockaddr_un *)0)->sun_path;
}

static bool is_role_url(const char *s)
{
	return is_url(s) || is_socket(s);
}

static bool is_origin(const char *s)
{
	const char *host = strstr(s, "://");
	return str_eq(s, "*") || (is_url(s) && host && !strpbrk(host + 3, "/?#"));
}

/* host[:port], where the host may have wildcards and an IPv6 address needs no brackets. A URL, for example, would match no request. */
static bool is_host_pattern(const char *s)
{
	return (*s && *s != ':' && http_host_ok(s, strlen(s))) || is_address(s);
}

static bool is_host_name(const char *s)
{
	return word(s, strlen(s), 253, ".-") || is_address(s);
}

/* Other hosts must be able to reach it, so it cannot be the wildcard address. */
static bool is_reachable(const char *s)
{
	return is_host_name(s) && !str_eq(s, "0.0.0.0") && !str_eq(s, "::");
}

static bool is_plain_name(const char *s)
{
	return word(s, strlen(s), 128, "._-");
}

/* The same rule as for ids in paths and filters of the API. */
static bool is_node(const char *s)
{
	return word(s, strlen(s), 64, "._-") && !strstr(s, "..");
}

static bool is_absolute(const char *s)
{
	return *s == '/';
}

static bool is_program(const char *s)
{
	return *s == '/' && access(s, X_OK) == 0;
}

static bool is_file(const char *s)
{
	return *s == '/' && access(s, F_OK) == 0;
}

static bool is_log_target(const char *s)
{
	return *s == '/' || str_eq(s, "auto") || str_eq(s, "stderr");
}

static bool is_label(const char *s)
{
	const char *eq = strchr(s, '=');
	return eq && word(s, (size_t)(eq - s), 63, "._/-");
}

static bool is_mapping(const char *s)
{
	const char *eq = strrchr(s, '='); /* a user_id may contain '='; the account follows the last one */
	return eq && eq != s && account_name_ok(eq + 1);
}

static bool is_profile(const char *s)
{
	const char *eq = strchr(s, '=');
	return eq && eq[1] && word(s, (size_t)(eq - s), 32, "_-");
}

/* 64x64 to 8192x8192 */
static bool is_resolution(const char *s)
{
	const char *x = strchr(s, 'x');
	int64_t w, h;
	_cleanup_(xfreep) char *width = x ? xstrndup(s, (size_t)(x - s)) : NULL;
	return x && str_int(width, 64, 8192, &w) && str_int(x + 1, 64, 8192, &h);
}

static bool is_module(const char *s)
{
	return word(s, strlen(s), 64, "_-.");
}

static const struct form {
	const char *name; /* NULL: `of_role` of each role */
	bool (*ok)(const char *s);
	const char *allowed;
	bool items; /* of each item of a list */
	enum role_option of_role;
} forms[] = {
	{ "TRUSTED_PROXIES", is_proxy, "addresses or networks, 10.0.0.0/8, or unix for those on a Unix socket", true },
	{ "PUBLIC_URL", public_url_ok, "http:// or https://, host[:port] and perhaps a path, without a user, a query and segments like .." },
	{ "CORS_ORIGINS", is_origin, "* or origins, https://host", true },
	{ "ALLOWED_HOSTS", is_host_pattern, "* or host names, *.example.org", true },
	{ "NODE_LABELS", is_label, "name=value", true },
	{ "RDP_USER_MAP", is_mapping, "user=account, the account at most 256 bytes without control characters", true },
	{ "PAM_SESSION_EXCLUDE", is_module, "names of PAM modules, pam_systemd.so", true },
	{ "DESKTOP_PROFILES", is_profile, "name=command", true },
	{ "DESKTOP_DEFAULT", is_plain_name, "the name of a profile" },
	{ NULL, is_role_url, "http:// or https:// and a host, without a user, or unix:/path", .of_role = ROLE_OPT_URL },
	{ "NODE_URL", is_url, "http:// or https:// and a host, without a user" },
	{ "AUTH_SERVICE_URL", is_url, "http:// or https:// and a host, without a user" },
	{ "API_GATEWAY_URL", is_url, "http:// or https:// and a host, without a user" },
	{ "ALERT_WEBHOOK_URL", is_url, "http:// or https:// and a host, without a user" },
	{ NULL, is_reachable, "a name or address that others can reach", .of_role = ROLE_OPT_HOST },
	{ "NODE_PUBLIC_HOST", is_reachable, "a name or address that others can reach" },
	{ "NODE_NAME", is_node, "1 to 64 letters, digits, single dots, dashes and underscores" },
	{ "SERVICE_NAME", is_plain_name, "letters, digits, dots, dashes and underscores" },
	{ "PROJECT_ROOT", is_absolute, "an absolute path" },
	{ "DATA_DIR", is_absolute, "an absolute path" },
	{ "LOG_DIR", is_absolute, "an absolute path" },
	{ "RUNTIME_DIR", is_absolute, "an absolute path" },
	{ "XRDP_CONFIG_PATH", is_absolute, "an absolute path" },
	{ "XRDP_LOG_PATH", is_absolute, "an absolute path" },
	{ "XRDP_BINARY", is_program, "the absolute path of a program" },
	{ "XRDP_SESMAN_BINARY", is_program, "the absolute path of a program" },
	{ "XRDP_CERT_FILE", is_file, "the absolute path of a file" },
	{ "XRDP_KEY_FILE", is_file, "the absolute path of a file" },
	{ "TLS_CERT_FILE", is_file, "the absolute path of a file" },
	{ "TLS_KEY_FILE", is_file, "the absolute path of a file" },
	{ "TLS_CLIENT_CA_FILE", is_file, "the absolute path of a file" },
	{ "SESSION_STORAGE_PATH", is_absolute, "an absolute path" },
	{ "CHUNK_STORAGE_PATH", is_absolute, "an absolute path" },
	{ "DEFAULT_RESOLUTION", is_resolution, "WIDTHxHEIGHT, each from 64 to 8192" },
	{ "LOG_TARGET", is_log_target, "auto, stderr (under systemd that is the journal), or an absolute path" },
};

static void check_bind(const struct config *c, struct strbuf *faults)
{
	const char *const *list = config_list(c, "BIND_ADDRESS");
	for (const char *const *a = list; *a; a++) {
		if (!is_address(*a) && !is_socket(*a))
			config_fault(c, "BIND_ADDRESS", faults, "\"%s\" is neither an IPv4 or IPv6 address nor unix: with an absolute path of up to %zu bytes",
				     *a, sizeof ((struct sockaddr_un *)0)->sun_path - 1);
		for (const char *const *b = list; b < a; b++)
			if (str_eq(*a, *b))
				config_fault(c, "BIND_ADDRESS", faults, "%s is listed twice", *a);
	}
}

static void check_targets(const struct config *c, struct strbuf *faults)
{
	for (const char *const *item = config_list(c, "RDP_TARGETS_ALLOWED"); *item; item++) {
		const char *const one[] = { *item, NULL };
		char why[TARGET_WHY_SIZE];
		struct target_list *t = target_list_new(one, why, sizeof why);
		if (!t)
			config_fault(c, "RDP_TARGETS_ALLOWED", faults, "%s", why);
		target_list_free(t);
	}
}

static void check_form(const struct config *c, const char *name, const struct form *f, struct strbuf *faults)
{
	if (!*config_str(c, name))
		return;
	if (!f->items && !f->ok(config_str(c, name)))
		config_fault(c, name, faults, "allowed: %s", f->allowed);
	for (const char *const *item = f->items ? config_list(c, name) : NULL; item && *item; item++)
		if (!f->ok(*item))
			config_fault(c, name, faults, "\"%s\" is not valid; allowed: %s", *item, f->allowed);
}

void checks_values(const struct config *c, struct strbuf *faults)
{
	check_bind(c, faults);
	check_targets(c, faults);
	for (const struct form *f = forms; f < forms + ARRAY_LEN(forms); f++) {
		if (f->name)
			check_form(c, f->name, f, faults);
		for (const struct role *const *r = all_roles; !f->name && *r; r++)
			check_form(c, (*r)->option[f->of_role], f, faults);
	}
}
