#include "app/defaults.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

static bool put(struct config *c, const char *name, struct strbuf *faults, const char *value)
{
	return config_default(c, name, value, faults);
}

/* --- directories: PROJECT_ROOT, else what systemd made for us, else the usual places */

static const struct place {
	const char *option, *below_project, *systemd, *as_root, *xdg, *xdg_otherwise;
} places[] = {
	{ "DATA_DIR", "data", "STATE_DIRECTORY", "/var/lib/lucid-rdp", "XDG_DATA_HOME", ".local/share" },
	{ "LOG_DIR", "logs", "LOGS_DIRECTORY", "/var/log/lucid-rdp", "XDG_STATE_HOME", ".local/state" },
	{ "RUNTIME_DIR", "run", "RUNTIME_DIRECTORY", "/run/lucid-rdp", "XDG_RUNTIME_DIR", NULL },
};

static char *directory(const struct config *c, const struct place *p)
{
	const char *project = config_str(c, "PROJECT_ROOT"), *given = getenv(p->systemd), *xdg = getenv(p->xdg);
	const char *home = getenv("HOME");
	if (*project)
		return xasprintf("%s/%s", project, p->below_project);
	if (given && *given == '/')
		return xstrndup(given, strcspn(given, ":"));
	if (geteuid() == 0)
		return xstrdup(p->as_root);
	if (xdg && *xdg == '/')
		return xasprintf("%s/lucid-rdp", xdg);
	if (p->xdg_otherwise && home && *home == '/')
		return xasprintf("%s/%s/lucid-rdp", home, p->xdg_otherwise);
	if (!p->xdg_otherwise)
		return xasprintf("/tmp/lucid-rdp-%u", (unsigned)geteuid());
	return NULL;
}

static bool fill_directories(struct config *c, struct strbuf *faults)
{
	bool ok = true;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (config_given(c, places[i].option))
			continue;
		_cleanup_(xfreep) char *path = directory(c, &places[i]);
		if (path) {
			ok &= put(c, places[i].option, faults, path);
			continue;
		}
		strbuf_printf(faults, "%s: this user has no HOME to put it in; give %s\n", places[i].option, places[i].option);
		ok = false;
	}
	struct stat st;
	bool own = stat("/var/log/xrdp", &st) == 0 && S_ISDIR(st.st_mode);
	return put(c, "XRDP_LOG_PATH", faults, own ? "/var/log/xrdp" : "/var/log") && ok;
}

/* --- names */

static const char *platform(void)
{
	static const char *const machines[][2] = { { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "armv7l", "arm" } };
	static struct utsname u;
	char model[64] = "";
	FILE *f = fopen("/proc/device-tree/model", "re");
	if (f) {
		size_t n = fread(model, 1, sizeof model - 1, f);
		model[n] = 0;
		fclose(f);
	}
	if (str_starts(model, "Raspberry Pi"))
		return "raspberry-pi";
	if (uname(&u) < 0)
		return "unknown";
	for (size_t i = 0; i < ARRAY_LEN(machines); i++)
		if (str_eq(u.machine, machines[i][0]))
			return machines[i][1];
	return u.machine;
}

static bool fill_names(struct config *c, struct strbuf *faults)
{
	static const char *const hosts[] = { "RDP_SERVER_MANAGER_HOST", "XRDP_INTEGRATION_HOST", "RDP_SESSION_CONTROLLER_HOST",
					     "RDP_RESOURCE_MONITOR_HOST", "NODE_NAME", "NODE_PUBLIC_HOST" };
	char name[256] = "";
	bool ok = true;
	if (gethostname(name, sizeof name - 1) < 0 || !*name)
		strcpy(name, "localhost");
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		ok &= put(c, hosts[i], faults, name);
	return put(c, "LUCID_PLATFORM", faults, platform()) && ok;
}

/* --- secrets */

static bool fill_secret(struct config *c, const char *name, const char *file, bool make, struct strbuf *faults)
{
	char why[160] = "";
	if (config_given(c, name))
		return true;
	_cleanup_(xfreep) char *path = xasprintf("%s/secrets/%s", config_str(c, "DATA_DIR"), file);
	char *text = secret_keep(path, make, why, sizeof why);
	if (!text && *why)
		strbuf_printf(faults, "%s: cannot use the generated one in %s: %s; give %s, or a DATA_DIR that this user can write\n",
			      name, path, why, name);
	if (!text)
		return !*why;
	bool ok = put(c, name, faults, text);
	mem_wipe(text, strlen(text));
	free(text);
	return ok;
}

bool defaults_secrets(struct config *c, bool make, struct strbuf *faults)
{
	/* production must be given its own; the checks say so */
	bool ok = str_eq(config_str(c, "ENVIRONMENT"), "production") || fill_secret(c, "JWT_SECRET", "jwt-secret", make, faults);
	return fill_secret(c, "MASTER_KEY", "master-key", make, faults) && ok;
}

/* --- the rest */

static bool fill_single(struct config *c, const struct role *const *roles, struct strbuf *faults)
{
	if (!roles[0] || roles[1] || !config_given(c, "SERVICE_PORT"))
		return true;
	const char *port = roles[0]->port_option;
	if (config_given(c, port) && config_int(c, port) != config_int(c, "SERVICE_PORT")) {
		config_fault(c, "SERVICE_PORT", faults, "%s says %s; give one of the two", port, config_str(c, port));
		return false;
	}
	return config_copy(c, port, "SERVICE_PORT", faults);
}

bool defaults_fill(struct config *c, const struct role *const *roles, struct strbuf *faults)
{
	bool development = str_eq(config_str(c, "ENVIRONMENT"), "development");
	bool text = *config_str(c, "LOG_TARGET") != '/' && isatty(STDERR_FILENO);
	bool ok = put(c, "BIND_ADDRESS", faults, development ? "127.0.0.1" : "0.0.0.0");
	ok &= put(c, "CORS_ORIGINS", faults, development ? "*" : "");
	ok &= put(c, "LOG_FORMAT", faults, text ? "text" : "json");
	ok &= put(c, "STOP_SERVERS_ON_EXIT", faults, getpid() == 1 ? "true" : "false");
	if (config_bool(c, "DEBUG"))
		ok &= put(c, "LOG_LEVEL", faults, "DEBUG");
	ok &= fill_names(c, faults);
	ok &= fill_single(c, roles, faults);
	return fill_directories(c, faults) && ok;
}
