#include "app/settings/app_config.h"

#include <stdio.h>
#include <unistd.h>

#include "app/settings/checks.h"
#include "app/settings/defaults.h"
#include "app/settings/options.h"
#include "app/roles.h"

#define DEFAULT_FILE "/etc/lucid-rdp/lucid-rdp.conf"

extern char **environ;

/* The --set options, with --role as the last one. Free with free_set. */
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

static char *file_of_roles(const struct config *c, struct strbuf *faults)
{
	const struct role *roles[ROLES_N + 1];
	char why[512], *path = NULL;
	if (!roles_select(config_list(c, "ROLE"), roles, why, sizeof why))
		return NULL; /* config_finish reports it */
	for (const struct role *const *r = roles; *r; r++) {
		const char *name = (*r)->option[ROLE_OPT_CONFIG_FILE];
		const char *mine = config_str(c, name);
		if (*mine && path && !str_eq(mine, path))
			config_fault(c, name, faults, "another role of this process has %s; set CONFIG_FILE instead", path);
		else if (*mine && !path)
			path = xstrdup(mine);
	}
	return path;
}

static bool names_file(const char *name)
{
	bool does = str_eq(name, "ROLE") || str_eq(name, "CONFIG_FILE");
	for (const struct role *const *r = all_roles; *r; r++)
		does |= str_eq(name, (*r)->option[ROLE_OPT_CONFIG_FILE]);
	return does;
}

/* The configuration file is named in sources of higher precedence, which are therefore read once only to find it. The load that follows
 * reports their faults. */
static char *find_file(const struct cli *cli, const struct config_input *in, struct strbuf *faults)
{
	struct option rows[ROLES_N + 2];
	size_t n = 0, nset = 0;
	const char *set[CLI_SET_MAX + 2] = { NULL };
	if (cli->config)
		return xstrdup(cli->config);
	for (size_t i = 0; i < options_n(); i++)
		if (names_file(options()[i].name))
			rows[n++] = options()[i];
	for (size_t i = 0; in->set[i]; i++)
		for (size_t j = 0; j < n; j++)
			if (str_starts(in->set[i], rows[j].name) && in->set[i][strlen(rows[j].name)] == '=')
				set[nset++] = in->set[i];
	struct strbuf ignored = { 0 };
	struct config_input some = *in;
	some.set = set;
	struct config *c = config_load(rows, n, &some, &ignored, &ignored);
	strbuf_done(&ignored);
	char *path = NULL;
	if (c)
		path = *config_str(c, "CONFIG_FILE") ? xstrdup(config_str(c, "CONFIG_FILE")) : file_of_roles(c, faults);
	config_free(c);
	return path || access(DEFAULT_FILE, F_OK) < 0 ? path : xstrdup(DEFAULT_FILE);
}

static void config_finish(struct config *c, enum cli_secrets secrets, struct strbuf *faults, struct strbuf *warnings)
{
	const struct role *roles[ROLES_N + 1];
	char why[512];
	size_t before = faults->len;
	if (!roles_select(config_list(c, "ROLE"), roles, why, sizeof why)) {
		config_fault(c, "ROLE", faults, "%s", why);
		return;
	}
	defaults_fill(c, roles, faults);
	checks_run(c, roles, faults, warnings);
	/* secrets are generated only if there are no faults */
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
	struct config *c = config_load(options(), options_n(), &in, faults, warnings);
	if (c)
		config_finish(c, cli->secrets, faults, warnings);
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
