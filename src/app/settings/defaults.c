#include "app/settings/defaults.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "app/roles.h"

static bool set_default(struct config *c, const char *name, struct strbuf *faults, const char *value)
{
	return config_default(c, name, value, faults);
}

/* --- directories: below PROJECT_ROOT, otherwise those of systemd, otherwise the usual ones */

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
			ok &= set_default(c, places[i].option, faults, path);
			continue;
		}
		strbuf_printf(faults, "%s: has no default, because HOME is not set; set %s\n", places[i].option, places[i].option);
		ok = false;
	}
	struct stat st;
	bool own = stat("/var/log/xrdp", &st) == 0 && S_ISDIR(st.st_mode);
	return set_default(c, "XRDP_LOG_PATH", faults, own ? "/var/log/xrdp" : "/var/log") && ok;
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
	char name[256] = "";
	if (gethostname(name, sizeof name - 1) < 0 || !*name)
		strcpy(name, "localhost");
	bool ok = set_default(c, "NODE_NAME", faults, name);
	ok &= set_default(c, "NODE_PUBLIC_HOST", faults, name);
	for (const struct role *const *r = all_roles; *r; r++)
		ok &= set_default(c, (*r)->option[ROLE_OPT_HOST], faults, name);
	return set_default(c, "LUCID_PLATFORM", faults, platform()) && ok;
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
		strbuf_printf(faults, "%s: cannot use the generated value in %s: %s; set %s, or a DATA_DIR that this user can write\n",
			      name, path, why, name);
	if (!text)
		return !*why;
	bool ok = set_default(c, name, faults, text);
	mem_wipe(text, strlen(text));
	free(text);
	return ok;
}

bool defaults_secrets(struct config *c, bool make, struct strbuf *faults)
{
	/* none is generated in production: checks_run requires one */
	bool ok = str_eq(config_str(c, "ENVIRONMENT"), "production") || fill_secret(c, "JWT_SECRET", "jwt-secret", make, faults);
	return fill_secret(c, "MASTER_KEY", "master-key", make, faults) && ok;
}

/* --- the rest */

static bool fill_single(struct config *c, const struct role *const *roles, struct strbuf *faults)
{
	if (!roles[0] || roles[1] || !config_given(c, "SERVICE_PORT"))
		return true;
	const char *port = roles[0]->option[ROLE_OPT_PORT];
	if (config_given(c, port) && config_int(c, port) != config_int(c, "SERVICE_PORT")) {
		config_fault(c, "SERVICE_PORT", faults, "%s is set too (%s); set only one of the two", port, config_str(c, port));
		return false;
	}
	return config_copy(c, port, "SERVICE_PORT", faults);
}

bool defaults_fill(struct config *c, const struct role *const *roles, struct strbuf *faults)
{
	bool development = str_eq(config_str(c, "ENVIRONMENT"), "development");
	bool text = *config_str(c, "LOG_TARGET") != '/' && isatty(STDERR_FILENO);
	bool ok = set_default(c, "BIND_ADDRESS", faults, development ? "127.0.0.1" : "0.0.0.0");
	ok &= set_default(c, "CORS_ORIGINS", faults, development ? "*" : "");
	ok &= set_default(c, "LOG_FORMAT", faults, text ? "text" : "json");
	ok &= set_default(c, "STOP_SERVERS_ON_EXIT", faults, getpid() == 1 ? "true" : "false");
	if (config_bool(c, "DEBUG"))
		ok &= set_default(c, "LOG_LEVEL", faults, "DEBUG");
	ok &= fill_names(c, faults);
	ok &= fill_single(c, roles, faults);
	return fill_directories(c, faults) && ok;
}
