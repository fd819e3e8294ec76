#include "app/cli.h"

#include <stdio.h>

#include "app/commands.h"
#include "lucid/errs.h"
#include "lucid/str.h"

static int fail(struct cli *c, const char *fmt, ...) PRINTF(2, 3);
static int fail(struct cli *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(c->why, sizeof c->why, fmt, ap);
	va_end(ap);
	return -ERR_INVALID;
}

int cli_value(struct cli *c, const char *name, int argc, char **argv, int *i, const char **ret)
{
	const char *word = argv[*i];
	size_t n = strlen(name);
	if (strncmp(word, name, n) != 0 || (word[n] && word[n] != '='))
		return 0;
	if (word[n] == '=')
		*ret = word + n + 1;
	else if (*i + 1 < argc)
		*ret = argv[++*i];
	else
		return fail(c, "%s needs a value", name);
	if (!**ret)
		return fail(c, "%s needs a value that is not empty", name);
	return 1;
}

int cli_option(struct cli *c, int argc, char **argv, int *i)
{
	const char *value = NULL;
	int rc;
	if (str_eq(argv[*i], "--stop-servers")) {
		c->stop_servers = true;
		return 1;
	}
	if ((rc = cli_value(c, "--role", argc, argv, i, &value)) != 0) {
		if (rc > 0 && c->roles)
			return fail(c, "--role is given twice; write --role %.80s,%.80s", c->roles, value);
		c->roles = rc > 0 ? value : c->roles;
	} else if ((rc = cli_value(c, "--config", argc, argv, i, &value)) != 0) {
		if (rc > 0 && c->config)
			return fail(c, "--config is given twice; there is one configuration file");
		c->config = rc > 0 ? value : c->config;
	} else if ((rc = cli_value(c, "--env-file", argc, argv, i, &value)) != 0) {
		if (rc > 0 && c->n_env_files == CLI_ENV_FILES_MAX)
			return fail(c, "more than %d --env-file", CLI_ENV_FILES_MAX);
		if (rc > 0)
			c->env_files[c->n_env_files++] = value;
	} else if ((rc = cli_value(c, "--set", argc, argv, i, &value)) != 0) {
		if (rc > 0 && c->n_set == CLI_SET_MAX)
			return fail(c, "more than %d --set", CLI_SET_MAX);
		if (rc > 0)
			c->set[c->n_set++] = value;
	}
	return rc;
}

int cli_parse(int argc, char **argv, struct cli *ret)
{
	*ret = (struct cli){ 0 };
	for (int i = 1; i < argc; i++) {
		int rc = cli_option(ret, argc, argv, &i);
		if (rc < 0)
			return rc;
		if (rc)
			continue;
		ret->command = command_find(argv[i]);
		if (ret->command) {
			ret->argc = argc - i;
			ret->argv = argv + i;
			return 0;
		}
		return fail(ret, "there is no %s \"%.100s\"; lucid-rdp --help lists what there is",
			    argv[i][0] == '-' ? "option" : "sub-command", argv[i]);
	}
	return 0;
}
