#include <arpa/inet.h>
#include <ctype.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/checks.h"

/* 1 to `max` of letters, digits and `others`, the first a letter or digit. */
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

/* scheme://host[:port][/…] without a user in it: what stands in a URL is shown in logs. */
static bool is_url(const char *s)
{
	const char *host = str_starts(s, "http://") ? s + 7 : str_starts(s, "https://") ? s + 8 : NULL;
	return host && *host && *host != '/' && *host != ':' && strcspn(host, "@") >= strcspn(host, "/?#") && !strpbrk(s, " \"<>");
}

/* What sockaddr_un takes. */
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

static bool is_host_name(const char *s)
{
	return word(s, strlen(s), 253, ".-") || is_address(s);
}

/* Others are to reach it, so it cannot be "every address". */
static bool is_reachable(const char *s)
{
	return is_host_name(s) && !str_eq(s, "0.0.0.0") && !str_eq(s, "::");
}

static bool is_name(const char *s)
{
	return word(s, strlen(s), 128, "._-");
}

/* As the API takes it in paths and filters. */
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
	const char *eq = strrchr(s, '='); /* a user_id is any text, an account is not */
	return eq && eq != s && (isalpha((unsigned char)eq[1]) || eq[1] == '_') && strlen(eq + 1) <= 32 &&
	       strspn(eq + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == strlen(eq + 1);
}

static bool is_profile(const char *s)
{
	const char *eq = strchr(s, '=');
	return eq && eq[1] && word(s, (size_t)(eq - s), 32, "_-");
}

static const struct {
	const char *name;
	bool (*ok)(const char *s);
	const char *allowed;
	bool items; /* of each item of a list */
} forms[] = {
	{ "TRUSTED_PROXIES", is_network, "addresses or networks, 10.0.0.0/8", true },
	{ "CORS_ORIGINS", is_origin, "* or origins, https://host", true },
	{ "NODE_LABELS", is_label, "name=value", true },
	{ "RDP_USER_MAP", is_mapping, "user=account", true },
	{ "DESKTOP_PROFILES", is_profile, "name=command", true },
	{ "DESKTOP_DEFAULT", is_name, "the name of a profile" },
	{ "RDP_SERVER_MANAGER_URL", is_role_url, "http:// or https:// and a host, without a user, or unix:/path" },
	{ "XRDP_INTEGRATION_URL", is_role_url, "http:// or https:// and a host, without a user, or unix:/path" },
	{ "RDP_SESSION_CONTROLLER_URL", is_role_url, "http:// or https:// and a host, without a user, or unix:/path" },
	{ "RDP_RESOURCE_MONITOR_URL", is_role_url, "http:// or https:// and a host, without a user, or unix:/path" },
	{ "NODE_URL", is_url, "http:// or https:// and a host, without a user" },
	{ "AUTH_SERVICE_URL", is_url, "http:// or https:// and a host, without a user" },
	{ "API_GATEWAY_URL", is_url, "http:// or https:// and a host, without a user" },
	{ "RDP_SERVER_MANAGER_HOST", is_reachable, "a name or address that others can reach" },
	{ "XRDP_INTEGRATION_HOST", is_reachable, "a name or address that others can reach" },
	{ "RDP_SESSION_CONTROLLER_HOST", is_reachable, "a name or address that others can reach" },
	{ "RDP_RESOURCE_MONITOR_HOST", is_reachable, "a name or address that others can reach" },
	{ "NODE_PUBLIC_HOST", is_reachable, "a name or address that others can reach" },
	{ "NODE_NAME", is_node, "1 to 64 letters, digits, single dots, dashes and underscores" },
	{ "SERVICE_NAME", is_name, "letters, digits, dots, dashes and underscores" },
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
	{ "LOG_TARGET", is_log_target, "auto, stderr (under systemd that is the journal), or an absolute path" },
};

static void check_bind(const struct config *c, struct strbuf *faults)
{
	const char *const *list = config_list(c, "BIND_ADDRESS");
	for (const char *const *a = list; *a; a++) {
		if (!is_address(*a) && !is_socket(*a))
			config_fault(c, "BIND_ADDRESS", faults, "\"%s\" is not an IPv4 or IPv6 address, nor unix: and an absolute path of up to %zu bytes",
				     *a, sizeof ((struct sockaddr_un *)0)->sun_path - 1);
		for (const char *const *b = list; b < a; b++)
			if (str_eq(*a, *b))
				config_fault(c, "BIND_ADDRESS", faults, "%s stands there twice", *a);
	}
}

void checks_values(const struct config *c, struct strbuf *faults)
{
	check_bind(c, faults);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (!*config_str(c, forms[i].name))
			continue;
		if (!forms[i].items) {
			if (!forms[i].ok(config_str(c, forms[i].name)))
				config_fault(c, forms[i].name, faults, "allowed is %s", forms[i].allowed);
			continue;
		}
		for (const char *const *item = config_list(c, forms[i].name); *item; item++)
			if (!forms[i].ok(*item))
				config_fault(c, forms[i].name, faults, "\"%s\": allowed is %s", *item, forms[i].allowed);
	}
}
