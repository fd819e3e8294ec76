#include "app/settings/checks.h"
#include "app/container.h"

#include "app/settings/keys.h"
#include "app/redis.h"
#include "app/roles.h"
#include "auth/token.h"
#include "host/xrdp_config/profiles.h"
#include "lucid/seal.h"
#include "lucid/str.h"
#include "store/open.h"

static bool here(const struct role *const *roles, const struct role *r)
{
	for (; *roles; roles++)
		if (*roles == r)
			return true;
	return false;
}

static void check_ports(const struct config *c, const struct role *const *roles, struct strbuf *faults)
{
	const char *names[ROLES_N + 1];
	size_t n = 0;
	int64_t start = config_int(c, "PORT_RANGE_START"), end = config_int(c, "PORT_RANGE_END");
	if (start > end)
		config_fault(c, "PORT_RANGE_START", faults, "is greater than PORT_RANGE_END, which is %lld", (long long)end);
	for (const struct role *const *r = roles; *r; r++)
		names[n++] = (*r)->option[ROLE_OPT_PORT];
	if (config_bool(c, "PROMETHEUS_ENABLED"))
		names[n++] = "PROMETHEUS_PORT";
	for (size_t i = 0; i < n; i++) {
		int64_t port = config_int(c, names[i]);
		for (size_t j = 0; j < i; j++)
			if (config_int(c, names[j]) == port)
				config_fault(c, names[i], faults, "%s has the same port; each needs a different one", names[j]);
		if (port >= start && port <= end)
			config_fault(c, names[i], faults, "is within the RDP port range PORT_RANGE_START to PORT_RANGE_END (%lld to %lld)",
				     (long long)start, (long long)end);
	}
}

static void check_single(const struct config *c, const struct role *const *roles, struct strbuf *faults)
{
	static const char *const names[] = { "SERVICE_NAME", "SERVICE_PORT" };
	if (roles[0] && !roles[1])
		return;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (config_given(c, names[i]))
			config_fault(c, names[i], faults, "applies to one role, but this process runs several; omit it, or name one role with --role");
}

static void check_master_keys(const struct config *c, struct strbuf *faults)
{
	const char *const *old = config_list(c, "MASTER_KEYS_OLD");
	size_t n = 0;
	if (config_given(c, "MASTER_KEY") && strlen(config_str(c, "MASTER_KEY")) < SEAL_SECRET_MIN)
		config_fault(c, "MASTER_KEY", faults, "is too short: at least %d bytes are required", SEAL_SECRET_MIN);
	for (; old[n]; n++)
		if (strlen(old[n]) < SEAL_SECRET_MIN)
			config_fault(c, "MASTER_KEYS_OLD", faults, "number %zu is too short: at least %d bytes are required", n + 1,
				     SEAL_SECRET_MIN);
	if (n >= SEAL_KEYS_MAX)
		config_fault(c, "MASTER_KEYS_OLD", faults, "at most %d keys are allowed", SEAL_KEYS_MAX - 1);
}

static void check_secrets(const struct config *c, struct strbuf *faults)
{
	bool production = str_eq(config_str(c, "ENVIRONMENT"), "production");
	const char *const *old = config_list(c, "JWT_SECRETS_OLD");
	size_t n = 0;
	if (production && !config_given(c, "JWT_SECRET"))
		config_fault(c, "JWT_SECRET", faults, "is required in production, with at least %d bytes", TOKEN_SECRET_MIN);
	else if (config_given(c, "JWT_SECRET") && strlen(config_str(c, "JWT_SECRET")) < TOKEN_SECRET_MIN)
		config_fault(c, "JWT_SECRET", faults, "is too short: at least %d bytes are required", TOKEN_SECRET_MIN);
	for (; old[n]; n++)
		if (strlen(old[n]) < TOKEN_SECRET_MIN)
			config_fault(c, "JWT_SECRETS_OLD", faults, "number %zu is too short: at least %d bytes are required", n + 1,
				     TOKEN_SECRET_MIN);
	if (n >= TOKEN_SECRETS_MAX)
		config_fault(c, "JWT_SECRETS_OLD", faults, "at most %d secrets are allowed", TOKEN_SECRETS_MAX - 1);
	check_master_keys(c, faults);
	bool symmetric = str_eq(config_str(c, "JWT_ALGORITHM"), token_algorithm_name(TOKEN_HS256));
	char why[256];
	if (symmetric == (*config_str(c, "JWT_PUBLIC_KEY_FILE") != 0))
		config_fault(c, "JWT_PUBLIC_KEY_FILE", faults,
			     symmetric ? "HS256 does not use public keys; set JWT_ALGORITHM too" : "is required with this JWT_ALGORITHM");
	else if (!keys_public_fit(c, why, sizeof why))
		config_fault(c, "JWT_PUBLIC_KEY_FILE", faults, "%s", why);
	for (const char *const *o = config_list(c, "CORS_ORIGINS"); production && *o; o++)
		if (str_eq(*o, "*"))
			config_fault(c, "CORS_ORIGINS", faults, "* is not allowed in production; list the origins");
}

/* If a role runs in another process (its URL is set) or processes share a store, the secrets must be given: calls between processes carry
 * tokens, and generated secrets would differ. */
static void check_remote(const struct config *c, const struct role *const *roles, struct strbuf *faults,
			 struct strbuf *warnings)
{
	bool remote = config_given(c, "MONGODB_URL");
	for (const struct role *const *r = all_roles; *r; r++) {
		if (here(roles, *r))
			continue;
		if (config_given(c, (*r)->option[ROLE_OPT_URL]))
			remote = true;
		else
			strbuf_printf(warnings, "%s does not run in this process: calls to it are answered with 503\n", (*r)->name);
	}
	if (remote && !config_given(c, "JWT_SECRET"))
		config_fault(c, "JWT_SECRET", faults, "is required if a role runs in another process or the store is MongoDB; set the same value in all processes");
	if (remote && !config_given(c, "MASTER_KEY"))
		config_fault(c, "MASTER_KEY", faults, "is required if a role runs in another process or the store is MongoDB; set the same value in all processes");
}

static void check_webhook(const struct config *c, struct strbuf *faults)
{
	size_t len = strlen(config_str(c, "ALERT_WEBHOOK_SECRET"));
	if (len && len < TOKEN_SECRET_MIN)
		config_fault(c, "ALERT_WEBHOOK_SECRET", faults, "is too short: at least %d bytes are required", TOKEN_SECRET_MIN);
	else if (!len && *config_str(c, "ALERT_WEBHOOK_URL"))
		config_fault(c, "ALERT_WEBHOOK_SECRET", faults, "is required with ALERT_WEBHOOK_URL: the receiver verifies each post with it; set "
			     "at least %d random bytes, and the same in the receiver", TOKEN_SECRET_MIN);
}

static void check_store(const struct config *c, struct strbuf *faults)
{
	char why[256];
	unsigned timeout_ms = (unsigned)config_int(c, "STORE_TIMEOUT_MS");
	const char *url = config_str(c, "MONGODB_URL");
	if (!*url)
		return;
	if (store_check_mongo_url(url, timeout_ms, why, sizeof why) < 0)
		config_fault(c, "MONGODB_URL", faults, "%s", why);
	else if (store_mongo_url_is_loopback(url) && container_has_own_network())
		config_fault(c, "MONGODB_URL", faults, "is a loopback address, which inside a container is the container itself; name the host or service "
			     "that MongoDB runs on, or give the container the host's network");
	/* only if it was set: the default is lowered to a smaller maximum */
	if (config_given(c, "MONGODB_MIN_POOL_SIZE") && config_int(c, "MONGODB_MIN_POOL_SIZE") > config_int(c, "MONGODB_MAX_POOL_SIZE"))
		config_fault(c, "MONGODB_MIN_POOL_SIZE", faults, "is greater than MONGODB_MAX_POOL_SIZE");
}

static void check_desktops(const struct config *c, struct strbuf *faults)
{
	const char *wanted = config_str(c, "DESKTOP_DEFAULT");
	struct profiles *p = profiles_new(config_list(c, "DESKTOP_PROFILES"), NULL);
	struct strbuf names = { 0 };
	for (size_t i = 0; i < profiles_count(p); i++)
		strbuf_printf(&names, "%s%s", i ? ", " : "", profiles_at(p, i)->name);
	if (*wanted && !profiles_find(p, wanted))
		config_fault(c, "DESKTOP_DEFAULT", faults, "unknown profile; known profiles: %s", names.s ? names.s : "none");
	strbuf_done(&names);
	profiles_free(p);
}

static void check_recordings(const struct config *c, struct strbuf *faults)
{
	int64_t low = config_int(c, "STORAGE_LOW_WATER_MB"), high = config_int(c, "STORAGE_HIGH_WATER_MB");
	const char *name = config_given(c, "STORAGE_LOW_WATER_MB") ? "STORAGE_LOW_WATER_MB" : "STORAGE_HIGH_WATER_MB";
	if (low >= high)
		config_fault(c, name, faults, "STORAGE_LOW_WATER_MB (%lld) must be less than STORAGE_HIGH_WATER_MB (%lld)", (long long)low, (long long)high);
}

static void check_parts(const struct config *c, struct strbuf *faults)
{
	if (str_eq(config_str(c, "XRDP_BACKEND"), "systemd"))
		config_fault(c, "XRDP_BACKEND", faults, "the systemd backend is not built yet; use process or auto");
	if (!*config_str(c, "XRDP_CERT_FILE") != !*config_str(c, "XRDP_KEY_FILE"))
		config_fault(c, "XRDP_CERT_FILE", faults, "set both XRDP_CERT_FILE and XRDP_KEY_FILE, or neither");
	if (!*config_str(c, "TLS_CERT_FILE") != !*config_str(c, "TLS_KEY_FILE"))
		config_fault(c, "TLS_CERT_FILE", faults, "set both TLS_CERT_FILE and TLS_KEY_FILE, or neither");
	if (*config_str(c, "TLS_CLIENT_CA_FILE") && !*config_str(c, "TLS_CERT_FILE"))
		config_fault(c, "TLS_CLIENT_CA_FILE", faults, "needs TLS: without TLS_CERT_FILE clients cannot present a certificate; set both");
}

void checks_run(const struct config *c, const struct role *const *roles, struct strbuf *faults, struct strbuf *warnings)
{
	check_ports(c, roles, faults);
	check_single(c, roles, faults);
	check_secrets(c, faults);
	check_remote(c, roles, faults, warnings);
	check_webhook(c, faults);
	check_store(c, faults);
	check_parts(c, faults);
	check_desktops(c, faults);
	check_recordings(c, faults);
	checks_values(c, faults);
	checks_tls(c, faults);
	redis_check(c, faults);
}
