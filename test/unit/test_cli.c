/* The command line, computed defaults, and checks across settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/settings/app_config.h"
#include "app/commands/commands.h"
#include "app/settings/defaults.h"
#include "app/roles.h"
#include "lucid/errs.h"

#define LONG "0123456789abcdef0123456789abcdef"

static struct cli cli;

static int parse(const char *const *words)
{
	static char *argv[320];
	int n = 0;
	argv[n++] = (char[]){ "lucid-rdp" };
	for (; words[n - 1]; n++)
		argv[n] = (char *)(uintptr_t)words[n - 1];
	return cli_parse(n, argv, commands, commands_n, &cli);
}
#define PARSE(...) parse((const char *[]){ __VA_ARGS__, NULL })

static void options_are_taken(void **state)
{
	assert_int_equal(PARSE("--role", "a,b", "--config=x", "--env-file", "1", "--env-file=2", "--set", "A=1", "--set=B=2",
			       "--stop-servers"), 0);
	assert_string_equal(cli.roles, "a,b");
	assert_string_equal(cli.config, "x");
	assert_string_equal(cli.env_files[0], "1");
	assert_string_equal(cli.env_files[1], "2");
	assert_null(cli.env_files[2]);
	assert_string_equal(cli.set[0], "A=1");
	assert_string_equal(cli.set[1], "B=2");
	assert_null(cli.set[2]);
	assert_true(cli.stop_servers);
	assert_null(cli.command);
}

static void commands_are_found(void **state)
{
	assert_int_equal(PARSE("--set", "A=1", "token", "--user", "ann"), 0);
	assert_string_equal(cli.command->name, "token");
	assert_int_equal(cli.argc, 3);
	assert_string_equal(cli.argv[0], "token");
	assert_string_equal(cli.set[0], "A=1");
	assert_int_equal(PARSE("-h"), 0);
	assert_string_equal(cli.command->name, "--help");
	for (size_t i = 0; i < commands_n; i++)
		assert_ptr_equal(cli_find(commands, commands_n, commands[i].name), &commands[i]);
	assert_null(cli_find(commands, commands_n, "tok"));
}

static void bad_words(void **state)
{
	static const char *const bad[][4] = {
		{ "--wrong", NULL, NULL, "unknown option \"--wrong\"" },
		{ "wrong", NULL, NULL, "unknown sub-command \"wrong\"" },
		{ "--roles=a", NULL, NULL, "unknown option \"--roles=a\"" },
		{ "--role", NULL, NULL, "--role needs a value" },
		{ "--role=", NULL, NULL, "--role needs a non-empty value" },
		{ "--role=a", "--role=b", NULL, "--role is given twice; use --role a,b" },
		{ "--config=a", "--config=b", NULL, "--config is given twice" },
		{ "--stop-servers=1", NULL, NULL, "unknown option" },
		{ "", NULL, NULL, "unknown sub-command \"\"" },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(parse(bad[i]), -ERR_INVALID);
		if (!strstr(cli.why, bad[i][3]))
			fail_msg("wanted \"%s\", not \"%s\"", bad[i][3], cli.why);
	}
	const char *many[2 * CLI_SET_MAX];
	for (size_t i = 0; i < CLI_SET_MAX + 1; i++)
		many[i] = "--set=A=1";
	many[CLI_SET_MAX + 1] = NULL;
	assert_int_equal(parse(many), -ERR_INVALID);
	assert_non_null(strstr(cli.why, "--set may be given at most 200 times"));
}

/* --- settings, from a command line */

struct fixture {
	char dir[40], data[80], was[4096];
	struct strbuf faults, warnings;
	struct config *c;
};

static int set_up(void **state)
{
	struct fixture *f = XNEW(struct fixture);
	strcpy(f->dir, "/tmp/lrdp-cli-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->data, sizeof f->data, "DATA_DIR=%s/data", f->dir);
	assert_non_null(getcwd(f->was, sizeof f->was));
	assert_int_equal(chdir(f->dir), 0);
	/* the developer's own environment must not matter */
	static const char *const names[] = { "PORT", "HOST", "DEBUG", "ROLE", "JWT_SECRET", "SECRET_KEY", "ENVIRONMENT" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unsetenv(names[i]);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	static const char *const made[] = { "data/secrets/jwt-secret", "data/secrets/master-key", "data/secrets", "data", "conf", "link" };
	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		remove(made[i]);
	assert_int_equal(chdir(f->was), 0);
	assert_int_equal(rmdir(f->dir), 0);
	config_free(f->c);
	strbuf_done(&f->faults);
	strbuf_done(&f->warnings);
	free(f);
	return 0;
}

static struct config *load(struct fixture *f, const char *const *words)
{
	const char *all[40] = { "--set", f->data };
	for (size_t i = 0; words[i]; i++)
		all[i + 2] = words[i];
	assert_int_equal(parse(all), 0);
	config_free(f->c);
	strbuf_reset(&f->faults);
	strbuf_reset(&f->warnings);
	f->c = app_config_load(&cli, &f->faults, &f->warnings);
	return f->c;
}
#define LOAD(...) load(f, (const char *[]){ __VA_ARGS__, NULL })
#define LOAD_OK(...)                                                                                                   \
	do {                                                                                                           \
		if (!LOAD(__VA_ARGS__))                                                                                \
			fail_msg("%s", f->faults.s);                                                                   \
	} while (0)

static void development_works_with_nothing(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	LOAD_OK("--role=all");
	assert_string_equal(config_str(f->c, "BIND_ADDRESS"), "127.0.0.1");
	assert_string_equal(config_str(f->c, "CORS_ORIGINS"), "*");
	assert_true(*config_str(f->c, "NODE_NAME") && *config_str(f->c, "LUCID_PLATFORM"));
	assert_int_equal(config_str(f->c, "LOG_DIR")[0], '/');
	assert_int_equal(strlen(config_str(f->c, "JWT_SECRET")), 64);
	assert_string_equal(config_source(f->c, "JWT_SECRET"), "default");
	assert_int_equal(stat("data/secrets/jwt-secret", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat("data/secrets", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	/* and it is the same at the next start */
	_cleanup_(xfreep) char *first = xstrdup(config_str(f->c, "JWT_SECRET"));
	assert_string_not_equal(first, config_str(f->c, "MASTER_KEY"));
	LOAD_OK("--role=rdp-controller,rdp-monitor");
	assert_string_equal(config_str(f->c, "JWT_SECRET"), first);
	LOAD_OK("--set=DEBUG=true");
	assert_string_equal(config_str(f->c, "LOG_LEVEL"), "DEBUG");
}

static void secrets_are_guarded(void **state)
{
	struct fixture *f = *state;
	char why[160] = "";
	assert_null(secret_keep("data/secrets/jwt-secret", false, why, sizeof why));
	assert_string_equal(why, "");
	char *s = secret_keep("data/secrets/jwt-secret", true, why, sizeof why);
	assert_non_null(s);
	free(s);
	chmod("data/secrets/jwt-secret", 0644);
	assert_null(LOAD("--role=all"));
	assert_non_null(strstr(f->faults.s, "JWT_SECRET: cannot use the generated value"));
	assert_non_null(strstr(f->faults.s, "mode 0600"));
	chmod("data/secrets/jwt-secret", 0600);
	assert_int_equal(truncate("data/secrets/jwt-secret", 5), 0);
	assert_null(LOAD("--role=all"));
	assert_non_null(strstr(f->faults.s, "remove it to have a new one"));
	remove("data/secrets/jwt-secret");
	assert_int_equal(symlink("/etc/hostname", "data/secrets/jwt-secret"), 0);
	assert_null(LOAD("--role=all"));
	assert_null(LOAD("--set=DATA_DIR=/proc/nowhere"));
	assert_non_null(strstr(f->faults.s, "cannot write it"));
	/* a command that only reads generates none */
	remove("data/secrets/jwt-secret");
	assert_int_equal(PARSE("--set", f->data), 0);
	cli.secrets = SECRETS_READ;
	strbuf_reset(&f->faults);
	f->c = app_config_load(&cli, &f->faults, &f->warnings);
	assert_non_null(f->c);
	assert_string_equal(config_str(f->c, "JWT_SECRET"), "");
	assert_int_equal(access("data/secrets/jwt-secret", F_OK), -1);
}

static void directories_follow_the_project(void **state)
{
	struct fixture *f = *state;
	LOAD_OK("--set=PROJECT_ROOT=/srv/lucid");
	assert_string_equal(config_str(f->c, "LOG_DIR"), "/srv/lucid/logs");
	assert_string_equal(config_str(f->c, "RUNTIME_DIR"), "/srv/lucid/run");
	assert_string_equal(config_source(f->c, "DATA_DIR"), "--set");
	setenv("LOGS_DIRECTORY", "/var/log/one:/var/log/two", 1);
	LOAD_OK("--role=all");
	unsetenv("LOGS_DIRECTORY");
	assert_string_equal(config_str(f->c, "LOG_DIR"), "/var/log/one");
}

static void role_may_have_its_own_file(void **state)
{
	struct fixture *f = *state;
	FILE *out = fopen("conf", "w");
	fputs("METRICS_INTERVAL=11\n", out);
	fclose(out);
	LOAD_OK("--set=RDP_SERVER_MANAGER_CONFIG_FILE=conf", "--role=all");
	assert_int_equal(config_int(f->c, "METRICS_INTERVAL"), 11);
	LOAD_OK("--set=RDP_SERVER_MANAGER_CONFIG_FILE=conf", "--role=rdp-monitor");
	assert_int_equal(config_int(f->c, "METRICS_INTERVAL"), 30);
	LOAD_OK("--set=CONFIG_FILE=conf", "--role=rdp-monitor");
	assert_string_equal(config_source(f->c, "METRICS_INTERVAL"), "conf");
	LOAD_OK("--config=conf");
	assert_int_equal(config_int(f->c, "METRICS_INTERVAL"), 11);
	assert_null(LOAD("--set=RDP_SERVER_MANAGER_CONFIG_FILE=conf", "--set=XRDP_INTEGRATION_CONFIG_FILE=other"));
	assert_non_null(strstr(f->faults.s, "XRDP_INTEGRATION_CONFIG_FILE: \"other\" from --set: another role"));
}

static void one_role_may_be_renamed(void **state)
{
	struct fixture *f = *state;
	LOAD_OK("--role=rdp-server-manager", "--set=PORT=9000", "--set=APP_NAME=mine");
	assert_int_equal(config_int(f->c, "RDP_SERVER_MANAGER_PORT"), 9000);
	assert_string_equal(config_source(f->c, "RDP_SERVER_MANAGER_PORT"), "--set");
	assert_null(LOAD("--role=rdp-server-manager", "--set=PORT=9000", "--set=RDP_SERVER_MANAGER_PORT=9001"));
	assert_non_null(strstr(f->faults.s, "set only one of the two"));
}

static void invalid_combinations_are_refused(void **state)
{
	static const char *const bad[][5] = {
		{ "JWT_SECRET: \"\" from default: is required in production", "--set=ENVIRONMENT=production" },
		{ "CORS_ORIGINS: \"*\" from --set: * is not allowed in production", "--set=ENVIRONMENT=production",
		  "--set=JWT_SECRET=" LONG, "--set=CORS_ORIGINS=*" },
		{ "JWT_SECRET: \"********\" from --set: is too short: at least 32 bytes are required", "--set=JWT_SECRET=short" },
		{ "JWT_SECRETS_OLD: \"********\" from --set: number 2 is too short", "--set=JWT_SECRETS_OLD=" LONG ",x" },
		{ "MASTER_KEY: \"********\" from --set: is too short", "--set=MASTER_KEY=short" },
		{ "MASTER_KEYS_OLD: \"********\" from --set: number 2 is too short", "--set=MASTER_KEYS_OLD=" LONG ",x" },
		{ "PORT_RANGE_START: \"20000\" from --set: is greater than PORT_RANGE_END", "--set=PORT_RANGE_START=20000" },
		{ "PORT_RANGE_START: \"1023\" from --set: a whole number from 1024 to 65535", "--set=PORT_RANGE_START=1023" },
		{ "MAX_CONCURRENT_SERVERS: \"1001\" from --set: a whole number from 1 to 1000", "--set=MAX_CONCURRENT_SERVERS=1001" },
		{ "XRDP_INTEGRATION_PORT: \"8090\" from --set: RDP_SERVER_MANAGER_PORT has the same port", "--set=XRDP_INTEGRATION_PORT=8090" },
		{ "PROMETHEUS_PORT: \"8093\" from --set: RDP_RESOURCE_MONITOR_PORT has", "--set=PROMETHEUS_PORT=8093" },
		{ "RDP_SERVER_MANAGER_PORT: \"13389\" from --set: is within the RDP port range", "--set=RDP_SERVER_MANAGER_PORT=13389" },
		{ "BIND_ADDRESS: \"localhost\" from --set: \"localhost\" is neither an IPv4 or IPv6 address nor", "--set=HOST=localhost" },
		{ "::1 is listed twice", "--set=BIND_ADDRESS=::1,127.0.0.1,::1" },
		{ "the systemd backend is not built yet", "--set=XRDP_BACKEND=systemd" },
		{ "JWT_PUBLIC_KEY_FILE: \"\" from default: is required with", "--set=JWT_ALGORITHM=RS256" },
		{ "/nowhere cannot be read", "--set=JWT_ALGORITHM=ES256", "--set=JWT_PUBLIC_KEY_FILE=/nowhere" },
		{ "HS256 does not use public key", "--set=JWT_PUBLIC_KEY_FILE=/etc/hostname" },
		{ "ROLE: \"rdp\" from --set: unknown role \"rdp\"", "--role=rdp" },
		{ "rdp-session-controller (also rdp-controller), rdp-resource-monitor (also rdp-monitor)", "--role=x" },
		{ "SERVICE_PORT: \"9000\" from --set: applies to one role", "--set=PORT=9000" },
		{ "SERVICE_NAME: \"x\" from --set: applies to one role", "--set=SERVICE_NAME=x" },
		{ "JWT_SECRET: \"\" from default: is required if a role runs in another process", "--role=xrdp-integration",
		  "--set=RDP_RESOURCE_MONITOR_URL=http://h" },
		{ "MASTER_KEY: \"\" from default: is required if a role runs in another process", "--role=xrdp-integration",
		  "--set=RDP_RESOURCE_MONITOR_URL=http://h" },
		{ "NODE_URL: \"http://u:p@h/\"", "--set=NODE_URL=http://u:p@h/" },
		{ "DATA_DIR: \"here\" from --set: allowed: an absolute path", "--set=DATA_DIR=here" },
		{ "XRDP_BINARY: \"/nowhere\" from --set: allowed: the absolute path of a program", "--set=XRDP_BINARY=/nowhere" },
		{ "set both XRDP_CERT_FILE and XRDP_KEY_FILE, or neither", "--set=XRDP_CERT_FILE=/etc/hostname" },
		{ "\"10.0.0.0/33\" is not valid; allowed: addresses or networks", "--set=TRUSTED_PROXIES=::1,10.0.0.0/33" },
		{ "\"example.org\" is not valid; allowed: * or origins", "--set=CORS_ORIGINS=https://a.org,example.org" },
		{ "\"https://b.org\" is not valid; allowed: * or host names", "--set=ALLOWED_HOSTS=a.org,https://b.org" },
		{ "\"a.org b.org\" is not valid; allowed: * or host names", "--set=ALLOWED_HOSTS=a.org b.org" },
		{ "\":80\" is not valid; allowed: * or host names", "--set=ALLOWED_HOSTS=:80" },
		{ "\"ann\" is not valid; allowed: user=account", "--set=RDP_USER_MAP=bob=rob,ann" },
		{ "\"ann=\" is not valid; allowed: user=account", "--set=RDP_USER_MAP=ann=" },
		{ "\"10.0.0.0/33\": the prefix length must be a number from 0 to 32", "--set=RDP_TARGETS_ALLOWED=10.0.0.0/8,10.0.0.0/33" },
		{ "\"10.0.0.5/8\" has bits beyond its prefix; write 10.0.0.5 for", "--set=RDP_TARGETS_ALLOWED=10.0.0.5/8" },
		{ "\"win.example.org:3389\" is not valid; allowed: addresses, networks", "--set=RDP_TARGETS_ALLOWED=win.example.org:3389" },
		{ "NODE_PUBLIC_HOST: \"0.0.0.0\"", "--set=NODE_PUBLIC_HOST=0.0.0.0" },
		{ "NODE_NAME: \"a:b\"", "--set=NODE_NAME=a:b" },
		{ "LOG_TARGET: \"journal\"", "--set=LOG_TARGET=journal" },
		{ "NODE_NAME: \"a..b\"", "--set=NODE_NAME=a..b" },
		{ "NODE_NAME: ", "--set=NODE_NAME=" LONG LONG LONG },
		{ "DESKTOP_PROFILES: ", "--set=DESKTOP_PROFILES=xfce" },
		{ "DESKTOP_DEFAULT: \"b\" from --set: unknown profile; known profiles: a, xx", "--set=DESKTOP_PROFILES=a=aa,xx=b",
		  "--set=DESKTOP_DEFAULT=b" },
		{ "MONGODB_URL: \"********\" from --set: not a MongoDB connection string", "--set=MONGODB_URI=mongodb://u:p@ss@h/" },
		{ "MONGODB_URL: \"********\" from --set: the database admin is reserved by MongoDB", "--set=MONGODB_URI=mongodb://h/admin" },
		{ "MONGODB_URL: \"********\" from --set: its option socketTimeoutMS must be 50 to 5000 ms", "--set=MONGODB_URI=mongodb://h/?socketTimeoutMS=0" },
		{ "JWT_SECRET: \"\" from default: is required if", "--set=MONGODB_URI=mongodb://h/" },
		{ "MASTER_KEY: \"\" from default: is required if", "--set=MONGODB_URI=mongodb://h/" },
		{ "MONGODB_MIN_POOL_SIZE: \"9\" from --set: is greater than MONGODB_MAX_POOL_SIZE", "--set=MONGODB_URI=mongodb://h/", "--set=MONGODB_MIN_POOL_SIZE=9",
		  "--set=MONGODB_MAX_POOL_SIZE=8" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_null(load(f, &bad[i][1]));
		if (!strstr(f->faults.s, bad[i][0]))
			fail_msg("wanted \"%s\" in:\n%s", bad[i][0], f->faults.s);
		assert_int_equal(access("data", F_OK), -1); /* nothing was written */
	}
}

/* A misspelt word or role is answered with a suggestion. */
static void near_words_are_suggested(void **state)
{
	static const char *const rows[][2] = {
		{ "version", "did you mean --version?" }, { "help", "did you mean --help?" }, { "--roles", "did you mean --role?" },
		{ "--env_file=x", "did you mean --env-file?" }, { "chekc-config", "did you mean check-config?" },
		{ "sing", "see lucid-rdp --help" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cli c;
		char *argv[] = { (char[]){ "lucid-rdp" }, xstrdup(rows[i][0]), NULL };
		assert_true(cli_parse(2, argv, commands, commands_n, &c) < 0);
		if (!strstr(c.why, rows[i][1]))
			fail_msg("%s: %s", rows[i][0], c.why);
		free(argv[1]);
	}
	const struct role *chosen[8];
	char why[300];
	assert_false(roles_select((const char *const[]){ "rdp-sever-manager", NULL }, chosen, why, sizeof why));
	assert_non_null(strstr(why, "did you mean rdp-server-manager?"));
}

static void valid_combinations_are_accepted(void **state)
{
	struct fixture *f = *state;
	LOAD_OK("--set=ALLOWED_HOSTS=a.org:8090,*.b.org,b_c,192.0.2.1,2001:db8::1,[::1],[::1]:80,d.org.");
	LOAD_OK("--set=ENVIRONMENT=production", "--set=JWT_SECRET=" LONG, "--set=CORS_ORIGINS=https://a.org:8443",
		"--set=TRUSTED_PROXIES=10.0.0.0/8,::1,fe80::/64", "--set=RDP_USER_MAP=a@b.c=ann,b=DOM\\\\B \xc3\xbc,c=0815", "--set=NODE_LABELS=zone=a");
	assert_string_equal(config_str(f->c, "BIND_ADDRESS"), "0.0.0.0");
	LOAD_OK("--set=ENVIRONMENT=production", "--set=JWT_SECRET=" LONG);
	assert_string_equal(config_str(f->c, "CORS_ORIGINS"), "");
	LOAD_OK("--set=BIND_ADDRESS=127.0.0.1,::1", "--set=PROMETHEUS_ENABLED=false", "--set=PROMETHEUS_PORT=8090");
	assert_int_equal(f->warnings.len, 0);
	LOAD_OK("--role=rdp-server-manager");
	assert_non_null(strstr(f->warnings.s, "xrdp-integration does not run in this process"));
}

/* All faults at once, each with its name; local addresses and URLs with TLS are allowed. */
static void tls_is_enforced(void **state)
{
	struct fixture *f = *state;
	static const char *const wanted[] = {
		"BIND_ADDRESS: \"0.0.0.0,127.0.0.2,::1,unix:/run/s,fd00::1\" from --set: ENFORCE_TLS is on, but 0.0.0.0 is not a loopback",
		"but fd00::1 is not a loopback address; set TLS_CERT_FILE and TLS_KEY_FILE",
		"PROMETHEUS_ENABLED: \"true\" from default: ENFORCE_TLS is on, but PROMETHEUS_PORT on 0.0.0.0",
		"RDP_RESOURCE_MONITOR_URL: \"http://127.0.0.1:1\" from --set: ENFORCE_TLS is on; allowed: https:// or unix:",
		"AUTH_SERVICE_URL: \"http://a\" from --set: ENFORCE_TLS is on; allowed: https://",
		"API_GATEWAY_URL: \"http://b\"", "NODE_URL: \"http://n\"",
	};
	assert_null(load(f, (const char *[]){ "--set=ENFORCE_TLS=true", "--set=BIND_ADDRESS=0.0.0.0,127.0.0.2,::1,unix:/run/s,fd00::1",
					      "--set=RDP_RESOURCE_MONITOR_URL=http://127.0.0.1:1", "--set=AUTH_SERVICE_URL=http://a",
					      "--set=API_GATEWAY_URL=http://b", "--set=NODE_URL=http://n", NULL }));
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (!strstr(f->faults.s, wanted[i]))
			fail_msg("wanted \"%s\" in:\n%s", wanted[i], f->faults.s);
	assert_null(strstr(f->faults.s, "127.0.0.2 is no"));
	assert_null(strstr(f->faults.s, "::1 is not a loopback address; set TLS_CERT_FILE and TLS_KEY_FILE\nBIND"));
	LOAD_OK("--set=ENFORCE_TLS=true", "--set=BIND_ADDRESS=127.0.0.1,::1,unix:/run/s", "--set=RDP_RESOURCE_MONITOR_URL=unix:/run/m",
		"--set=AUTH_SERVICE_URL=https://a");
	LOAD_OK("--set=ENFORCE_TLS=true", "--set=BIND_ADDRESS=0.0.0.0", "--set=PROMETHEUS_ENABLED=false", "--set=TLS_CERT_FILE=/etc/hostname",
		"--set=TLS_KEY_FILE=/etc/hostname");
	LOAD_OK("--set=BIND_ADDRESS=0.0.0.0", "--set=NODE_URL=http://n");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_taken), cmocka_unit_test(commands_are_found), cmocka_unit_test(bad_words),
		T(development_works_with_nothing), T(secrets_are_guarded), T(directories_follow_the_project), T(role_may_have_its_own_file),
		T(one_role_may_be_renamed), T(invalid_combinations_are_refused), T(valid_combinations_are_accepted), cmocka_unit_test(near_words_are_suggested), T(tls_is_enforced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
