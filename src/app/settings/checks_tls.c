/* ENFORCE_TLS: checks the listeners and the URLs in settings. Listeners on Unix sockets and loopback need no TLS, because no network
 * reaches them. A URL needs TLS even on loopback: a proxy that answers there may forward to another host. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

#include "app/roles.h"
#include "app/settings/checks.h"
#include "lucid/str.h"

static bool is_https(const char *url)
{
	return str_starts(url, "https://") || str_starts(url, "unix:");
}

static bool is_rediss(const char *url)
{
	return str_starts(url, "rediss://") || str_starts(url, "unix:");
}

/* Whether a connection string has the parameter "name=value", in any case. */
static bool has_parameter(const char *url, const char *parameter)
{
	const char *p = strchr(url, '?');
	size_t len = strlen(parameter);
	for (; p; p = strchr(p + 1, '&'))
		if (!strncasecmp(p + 1, parameter, len) && (!p[1 + len] || p[1 + len] == '&' || p[1 + len] == '#'))
			return true;
	return false;
}

/* SRV records imply TLS unless it is turned off. */
static bool is_mongodb_tls(const char *url)
{
	if (has_parameter(url, "tls=false") || has_parameter(url, "ssl=false"))
		return false;
	return str_starts(url, "mongodb+srv://") || has_parameter(url, "tls=true") || has_parameter(url, "ssl=true");
}

static const struct {
	const char *name;
	bool (*ok)(const char *url);
	const char *wanted;
} urls[] = {
	{ "NODE_URL", is_https, "https://" },
	{ "AUTH_SERVICE_URL", is_https, "https://" },
	{ "API_GATEWAY_URL", is_https, "https://" },
	{ "ALERT_WEBHOOK_URL", is_https, "https://" },
	{ "LOG_FORWARD_URL", is_https, "https:// or unix:" },
	{ "MONGODB_URL", is_mongodb_tls, "mongodb+srv:// or tls=true" },
	{ "REDIS_URL", is_rediss, "rediss:// or unix:" },
	{ "RATE_LIMIT_STORAGE_URL", is_rediss, "rediss:// or unix:" },
};

static bool is_local(const char *address)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, address, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	if (inet_pton(AF_INET6, address, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
	return str_starts(address, "unix:");
}

static void check_url(const struct config *c, const char *name, bool (*ok)(const char *url), const char *wanted, struct strbuf *faults)
{
	if (*config_str(c, name) && !ok(config_str(c, name)))
		config_fault(c, name, faults, "ENFORCE_TLS is on; allowed: %s", wanted);
}

void checks_tls(const struct config *c, struct strbuf *faults)
{
	bool secure = *config_str(c, "TLS_CERT_FILE"), metrics = config_bool(c, "PROMETHEUS_ENABLED");
	if (!config_bool(c, "ENFORCE_TLS"))
		return;
	for (const char *const *a = config_list(c, "BIND_ADDRESS"); *a; a++) {
		if (is_local(*a))
			continue;
		if (!secure)
			config_fault(c, "BIND_ADDRESS", faults, "ENFORCE_TLS is on, but %s is not a loopback address; set TLS_CERT_FILE and TLS_KEY_FILE",
				     *a);
		if (metrics)
			config_fault(c, "PROMETHEUS_ENABLED", faults,
				     "ENFORCE_TLS is on, but PROMETHEUS_PORT on %s does not support TLS; set PROMETHEUS_ENABLED=false: the ports of the roles serve the same metrics", *a);
	}
	for (const struct role *const *r = all_roles; *r; r++)
		check_url(c, (*r)->option[ROLE_OPT_URL], is_https, "https:// or unix:", faults);
	for (size_t i = 0; i < ARRAY_LEN(urls); i++)
		check_url(c, urls[i].name, urls[i].ok, urls[i].wanted, faults);
}
