/* The table of settings: every row is complete, every default is valid, every name of the reference exists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "app/roles.h"
#include "app/settings/options.h"

/* Every name and alias of the reference. */
static const char names[] =
	"ROLE SERVICE_NAME APP_NAME SERVICE_PORT PORT SERVICE_DESCRIPTION APP_VERSION RDP_SERVER_MANAGER_PORT "
	"XRDP_INTEGRATION_PORT RDP_SESSION_CONTROLLER_PORT RDP_RESOURCE_MONITOR_PORT BIND_ADDRESS HOST "
	"RDP_SERVER_MANAGER_HOST XRDP_INTEGRATION_HOST RDP_SESSION_CONTROLLER_HOST RDP_RESOURCE_MONITOR_HOST "
	"RDP_SERVER_MANAGER_URL XRDP_INTEGRATION_URL RDP_SESSION_CONTROLLER_URL RDP_RESOURCE_MONITOR_URL NODE_NAME NODE_URL "
	"NODE_LABELS NODE_PUBLIC_HOST RDP_USER_MAP ENVIRONMENT LUCID_ENV LUCID_PLATFORM DEBUG DATA_DIR LOG_DIR RUNTIME_DIR "
	"PROJECT_ROOT MONGODB_URL MONGODB_URI MONGODB_MAX_POOL_SIZE MONGODB_MIN_POOL_SIZE REDIS_URL RATE_LIMIT_STORAGE_URL "
	"REDIS_MAX_CONNECTIONS STORE_QUEUE_LIMIT STORE_TIMEOUT_MS JWT_SECRET SECRET_KEY JWT_SECRETS_OLD JWT_ALGORITHM "
	"JWT_PUBLIC_KEY_FILE JWT_ISSUER JWT_AUDIENCE JWT_EXPIRATION AUTH_SERVICE_URL API_GATEWAY_URL MASTER_KEY MASTER_KEYS_OLD TLS_CERT_FILE "
	"TLS_KEY_FILE TLS_CLIENT_CA_FILE TLS_MIN_VERSION CORS_ORIGINS ALLOWED_ORIGINS ALLOWED_HOSTS TRUSTED_PROXIES "
	"RATE_LIMIT_ENABLED RATE_LIMIT_PER_MINUTE RATE_LIMIT_BURST_SIZE RATE_LIMIT_SESSION_CREATE RATE_LIMIT_SESSION_MESSAGE MAX_BODY_BYTES "
	"MAX_HEADER_BYTES PUBLIC_URL LOGIN_MAX_FAILURES LOGIN_BLOCK_SECONDS MAX_CONNECTIONS_PER_ADDRESS MAX_CONNECTIONS REQUEST_TIMEOUT IDLE_TIMEOUT SHUTDOWN_GRACE PORT_RANGE_START PORT_RANGE_END "
	"MAX_CONCURRENT_SERVERS MAX_SERVERS_PER_USER MAX_CONCURRENT_SESSIONS MAX_SESSIONS_PER_USER SESSION_TIMEOUT RUN_USER "
	"MAX_CPU_USAGE MAX_MEMORY_USAGE XRDP_CONFIG_PATH XRDP_LOG_PATH XRDP_BACKEND XRDP_BINARY XRDP_SESMAN_BINARY "
	"XRDP_CERT_FILE XRDP_KEY_FILE RDP_USERS_FILE STOP_SERVERS_ON_EXIT DESKTOP_PROFILES DESKTOP_DEFAULT METRICS_INTERVAL "
	"HEALTH_CHECK_INTERVAL PROMETHEUS_ENABLED PROMETHEUS_PORT METRICS_PUBLIC SESSION_HISTORY_DAYS AUDIT_RETENTION_DAYS LOG_RETENTION_DAYS "
	"ALERT_RETENTION_DAYS SESSION_STORAGE_PATH CHUNK_STORAGE_PATH MAX_STORAGE_SIZE_GB RECORDING_RETENTION_DAYS "
	"STORAGE_HIGH_WATER_MB STORAGE_LOW_WATER_MB DEFAULT_FRAME_RATE DEFAULT_RESOLUTION DEFAULT_QUALITY DEFAULT_COMPRESSION "
	"PIPELINE_BUFFER_SIZE PIPELINE_WORKER_COUNT PIPELINE_TIMEOUT_SECONDS OPS_PLANE_ISOLATION OPS_PLANE_ADDRESS "
	"OPS_PLANE_ALLOWED_ENDPOINTS OPS_PLANE_TOR_ONLY ENFORCE_TLS AUDIT_LOG ALERT_WEBHOOK_URL ALERT_WEBHOOK_SECRET LOG_FORWARD_URL BACKUP_DIR "
	"BACKUP_KEEP_DAYS LOG_LEVEL LOG_FORMAT LOG_TARGET CONFIG_FILE RDP_SERVER_MANAGER_CONFIG_FILE "
	"XRDP_INTEGRATION_CONFIG_FILE RDP_SESSION_CONTROLLER_CONFIG_FILE RDP_RESOURCE_MONITOR_CONFIG_FILE "
	"LOGIN_TIMEOUT MAX_CONNECTIONS_PER_SERVER RDP_CONNECTIONS_PER_ADDRESS PAM_SESSION_EXCLUDE RDP_TARGETS_ALLOWED";

static bool has_name(const char *name)
{
	for (size_t i = 0; i < options_n(); i++) {
		if (str_eq(options()[i].name, name) || (options()[i].aliases && str_eq(options()[i].aliases, name)))
			return true;
	}
	return false;
}

static struct config *load(const char *const *set, struct strbuf *faults)
{
	struct strbuf warnings = { 0 };
	struct config_input in = { .set = set, .no_dotenv = true };
	struct config *c = config_load(options(), options_n(), &in, faults, &warnings);
	strbuf_done(&warnings);
	return c;
}

static void rows_are_complete(void **state)
{
	for (size_t i = 0; i < options_n(); i++) {
		const struct option *o = &options()[i];
		assert_non_null(o->otherwise);
		assert_non_null(o->help);
		assert_true(strlen(o->help) > 8 && str_ends(o->help, "."));
		assert_true(o->type != OPT_ENUM || o->values);
		assert_true(o->type != OPT_INT || o->max > o->min);
		assert_true(!(o->flags & OPT_NOT_BUILT) == !o->part);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(o->name, options()[j].name);
			if (o->aliases && options()[j].aliases)
				assert_string_not_equal(o->aliases, options()[j].aliases);
		}
	}
}

static bool is_of_role(const char *name)
{
	for (const struct role *const *r = all_roles; *r; r++) {
		for (size_t i = 0; i < ROLE_OPT_COUNT; i++)
			if (str_eq((*r)->option[i], name))
				return true;
		for (size_t i = 0; i < (*r)->n_settings; i++)
			if (str_eq((*r)->settings[i].name, name))
				return true;
	}
	return false;
}

static void every_name_exists(void **state)
{
	_cleanup_(xfreep) char *copy = xstrdup(names);
	char *save = NULL;
	size_t n = 0;
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save), n++)
		if (!has_name(s))
			fail_msg("no row has the name %s", s);
	/* a role may add more */
	size_t in_table = 0;
	for (size_t i = 0; i < options_n(); i++) {
		_cleanup_(xfreep) char *word = xasprintf(" %s ", options()[i].name), *list = xasprintf(" %s ", names);
		if (strstr(list, word) || !is_of_role(options()[i].name))
			in_table += options()[i].aliases ? 2 : 1;
	}
	assert_int_equal(n, in_table);
}

static void defaults_parse(void **state)
{
	struct strbuf faults = { 0 };
	struct config *c = load(NULL, &faults);
	if (!c)
		fail_msg("%s", faults.s);
	for (size_t i = 0; i < options_n(); i++) {
		assert_string_equal(config_str(c, options()[i].name), options()[i].otherwise);
		assert_string_equal(config_source(c, options()[i].name), "default");
		assert_false(config_given(c, options()[i].name));
	}
	assert_int_equal(config_int(c, "MAX_BODY_BYTES"), 1048576);
	assert_true(config_bool(c, "METRICS_PUBLIC"));
	assert_string_equal(config_list(c, "ROLE")[0], "all");
	config_free(c);
	strbuf_done(&faults);
}

/* A setting whose feature is not built: its default may be given, other values are refused with the name of the feature. */
static void settings_that_are_not_built_are_refused(void **state)
{
	size_t seen = 0;
	for (size_t i = 0; i < options_n(); i++) {
		const struct option *o = &options()[i];
		if (!(o->flags & OPT_NOT_BUILT))
			continue;
		char same[256], other[256];
		const char *value = o->type == OPT_BOOL ? (str_eq(o->otherwise, "true") ? "false" : "true") : "7";
		if (o->type == OPT_ENUM)
			value = str_eq(o->values[0], o->otherwise) ? o->values[1] : o->values[0];
		if (o->type == OPT_INT)
			value = str_eq(o->otherwise, "7") ? "8" : o->min > 7 ? "61" : "7";
		snprintf(same, sizeof same, "%s=%s", o->name, o->otherwise);
		snprintf(other, sizeof other, "%s=%s", o->name, value);
		struct strbuf faults = { 0 };
		struct config *c = load((const char *[]){ same, NULL }, &faults);
		if (!c)
			fail_msg("%s", faults.s);
		config_free(c);
		assert_null(load((const char *[]){ other, NULL }, &faults));
		if (!strstr(faults.s, "this program does not support ") || !strstr(faults.s, o->part) ||
		    !str_starts(faults.s, o->name))
			fail_msg("%s", faults.s);
		strbuf_done(&faults);
		seen++;
	}
	assert_true(seen > 4);
}

/* The output of --help-config is a configuration file, and changes nothing. */
static void help_is_a_configuration_file(void **state)
{
	struct strbuf out = { 0 }, faults = { 0 };
	char path[] = "/tmp/lrdp-help-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	config_print_help(options(), options_n(), &out);
	FILE *f = fdopen(fd, "w");
	/* with the comment sign removed from every row */
	for (char *line = out.s, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		*next++ = 0;
		fprintf(f, "%s\n", line[0] == '#' && line[1] != ' ' ? line + 1 : line);
	}
	fclose(f);
	struct strbuf warnings = { 0 };
	struct config_input in = { .config_file = path, .no_dotenv = true };
	struct config *c = config_load(options(), options_n(), &in, &faults, &warnings);
	remove(path);
	if (!c)
		fail_msg("%s", faults.s);
	for (size_t i = 0; i < options_n(); i++)
		assert_string_equal(config_str(c, options()[i].name), options()[i].otherwise);
	config_free(c);
	strbuf_done(&out);
	strbuf_done(&faults);
	strbuf_done(&warnings);
}

static size_t place_of(const char *name)
{
	for (size_t i = 0; i < options_n(); i++)
		if (str_eq(options()[i].name, name))
			return i;
	fail_msg("no row has the name %s", name);
	return 0;
}

static void each_role_has_its_settings(void **state)
{
	for (const struct role *const *r = all_roles; *r; r++) {
		for (size_t i = 0; i < ROLE_OPT_COUNT; i++)
			place_of((*r)->option[i]);
		const struct option *port = &options()[place_of((*r)->option[ROLE_OPT_PORT])];
		assert_string_equal(port->otherwise, (*r)->port);
		assert_true(port->flags & OPT_LISTENS);
		assert_non_null(strstr(port->help, (*r)->name));
		for (size_t i = 0; i < (*r)->n_settings; i++) {
			const struct option *o = &(*r)->settings[i];
			size_t at = place_of(o->name);
			if (o->after)
				assert_true(at > place_of(o->after));
			else if (i > 0)
				assert_int_equal(at, place_of(o[-1].name) + 1);
		}
	}
	assert_string_equal(options()[place_of("PORT_RANGE_END") + 1].name, "MAX_CONCURRENT_SERVERS");
	static const char some[] = "Roles to run: all, or rdp-server-manager, xrdp-integration, rdp-session-controller, rdp-resource-monitor";
	assert_true(str_starts(options()[0].help, some));
	for (const struct role *const *r = all_roles; *r; r++)
		assert_non_null(strstr(options()[0].help, (*r)->name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_complete),	      cmocka_unit_test(every_name_exists),
		cmocka_unit_test(defaults_parse),	      cmocka_unit_test(settings_that_are_not_built_are_refused),
		cmocka_unit_test(help_is_a_configuration_file),	      cmocka_unit_test(each_role_has_its_settings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
