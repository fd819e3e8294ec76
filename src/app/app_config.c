#include "app/app_config.h"

#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "app/checks.h"
#include "app/defaults.h"
#include "app/options.h"
#include "app/roles.h"

#define DEFAULT_FILE "/etc/lucid-rdp/lucid-rdp.conf"

extern char **environ;

/* --set, with --role as one more, the last. Freed with free_set. */
static const char **all_set(const struct cli *cli)
{
	const char **set = xcalloc(cli->n_set + 2, sizeof *set);
	for (size_t i = 0; i < cli->n_set; i++)
		set[i] = xstrdup(cli->set[i]);
	if (cli->roles)
		set[cli->n_set] = xasprintf("ROLE=%s", cli->roles);
	return set;
}

static void free_set(const char ***set)
{
	for (size_t i = 0; (*set)[i]; i++) {
		mem_wipe((char *)(uintptr_t)(*set)[i], strlen((*set)[i]));
		free((char *)(uintptr_t)(*set)[i]);
	}
	free(*set);
}

/* rdp-server-manager → RDP_SERVER_MANAGER_CONFIG_FILE */
static char *file_option(const struct role *r)
{
	char *name = xasprintf("%s_CONFIG_FILE", r->name);
	for (char *p = name; *p; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	return name;
}

static char *file_of_roles(const struct config *c, struct strbuf *faults)
{
	const struct role *roles[8];
	char why[512], *path = NULL;
	if (!roles_select(config_list(c, "ROLE"), roles, why, sizeof why))
		return NULL; /* said when the whole is loaded */
	for (const struct role *const *r = roles; *r; r++) {
		_cleanup_(xfreep) char *name = file_option(*r);
		const char *mine = config_str(c, name);
		if (*mine && path && !str_eq(mine, path))
			config_fault(c, name, faults, "another role of this process has %s; give CONFIG_FILE", path);
		else if (*mine && !path)
			path = xstrdup(mine);
	}
	return path;
}

/* Which file it is stands in the sources of higher precedence, so these are read once for it alone. What is wrong in them is
 * said by the load that follows. */
static char *find_file(const struct cli *cli, const struct config_input *in, struct strbuf *faults)
{
	static const char *const names[] = { "ROLE", "CONFIG_FILE", "RDP_SERVER_MANAGER_CONFIG_FILE", "XRDP_INTEGRATION_CONFIG_FILE",
					     "RDP_SESSION_CONTROLLER_CONFIG_FILE", "RDP_RESOURCE_MONITOR_CONFIG_FILE" };
	struct option rows[ARRAY_LEN(names)];
	size_t n = 0, nset = 0;
	const char *set[CLI_SET_MAX + 2] = { NULL };
	if (cli->config)
		return xstrdup(cli->config);
	for (size_t i = 0; i < options_n; i++)
		for (size_t j = 0; j < ARRAY_LEN(names); j++)
			if (str_eq(options[i].name, names[j]))
				rows[n++] = options[i];
	for (size_t i = 0; in->set[i]; i++)
		for (size_t j = 0; j < n; j++)
			if (str_starts(in->set[i], rows[j].name) && in->set[i][strlen(rows[j].name)] == '=')
				set[nset++] = in->set[i];
	struct strbuf unheard = { 0 };
	struct config_input some = *in;
	some.set = set;
	struct config *c = config_load(rows, n, &some, &unheard, &unheard);
	strbuf_done(&unheard);
	char *path = NULL;
	if (c)
		path = *config_str(c, "CONFIG_FILE") ? xstrdup(config_str(c, "CONFIG_FILE")) : file_of_roles(c, faults);
	config_free(c);
	return path || access(DEFAULT_FILE, F_OK) < 0 ? path : xstrdup(DEFAULT_FILE);
}

static void finish(struct config *c, enum cli_secrets secrets, struct strbuf *faults, struct strbuf *warnings)
{
	const struct role *roles[8];
	char why[512];
	size_t before = faults->len;
	if (!roles_select(config_list(c, "ROLE"), roles, why, sizeof why)) {
		config_fault(c, "ROLE", faults, "%s", why);
		return;
	}
	defaults_fill(c, roles, faults);
	checks_run(c, roles, faults, warnings);
	/* nothing is written while something is wrong */
	if (faults->len == before && secrets != SECRETS_SKIP)
		defaults_secrets(c, secrets == SECRETS_MAKE, faults);
}

struct config *app_config_load(const struct cli *cli, struct strbuf *faults, struct strbuf *warnings)
{
	_cleanup_(free_set) const char **set = all_set(cli);
	struct config_input in = { .env = environ, .set = set, .env_files = cli->env_files };
	size_t before = faults->len;
	_cleanup_(xfreep) char *file = find_file(cli, &in, faults);
	in.config_file = file;
	struct config *c = config_load(options, options_n, &in, faults, warnings);
	if (c)
		finish(c, cli->secrets, faults, warnings);
	if (faults->len == before)
		return c;
	config_free(c);
	return NULL;
}

struct config *app_config_load_or_say(const struct cli *cli)
{
	struct strbuf faults = { 0 }, warnings = { 0 };
	struct config *c = app_config_load(cli, &faults, &warnings);
	if (!c)
		fprintf(stderr, "%s", faults.s);
	strbuf_done(&faults);
	strbuf_done(&warnings);
	return c;
}
