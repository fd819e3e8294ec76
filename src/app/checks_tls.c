/* checks_tls: ENFORCE_TLS. Everything that listens beyond this host, and everything that is asked, by a setting. A Unix socket is no
 * network; what listens on loopback is not reached from one. A URL is another matter: who answers on loopback may pass it on. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

#include "app/checks.h"
#include "lucid/str.h"

static bool is_https(const char *url)
{
	return str_starts(url, "https://") || str_starts(url, "unix:");
}

static bool is_rediss(const char *url)
{
	return str_starts(url, "rediss://") || str_starts(url, "unix:");
}

/* Whether "name=value" is among the parameters of a connection string; names are of any case. */
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
	{ "RDP_SERVER_MANAGER_URL", is_https, "https:// or unix:" },
	{ "XRDP_INTEGRATION_URL", is_https, "https:// or unix:" },
	{ "RDP_SESSION_CONTROLLER_URL", is_https, "https:// or unix:" },
	{ "RDP_RESOURCE_MONITOR_URL", is_https, "https:// or unix:" },
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

void checks_tls(const struct config *c, struct strbuf *faults)
{
	bool secure = *config_str(c, "TLS_CERT_FILE"), metrics = config_bool(c, "PROMETHEUS_ENABLED");
	if (!config_bool(c, "ENFORCE_TLS"))
		return;
	for (const char *const *a = config_list(c, "BIND_ADDRESS"); *a; a++) {
		if (is_local(*a))
			continue;
		if (!secure)
			config_fault(c, "BIND_ADDRESS", faults, "ENFORCE_TLS is on, and %s is no loopback address; give TLS_CERT_FILE and TLS_KEY_FILE",
				     *a);
		if (metrics)
			config_fault(c, "PROMETHEUS_ENABLED", faults,
				     "ENFORCE_TLS is on, and PROMETHEUS_PORT on %s speaks no TLS; turn it off, the roles' ports serve the same figures", *a);
	}
	for (size_t i = 0; i < ARRAY_LEN(urls); i++)
		if (*config_str(c, urls[i].name) && !urls[i].ok(config_str(c, urls[i].name)))
			config_fault(c, urls[i].name, faults, "ENFORCE_TLS is on; allowed is %s", urls[i].wanted);
}
