#include "app/commands/cli.h"

#include <stdio.h>

#include "lucid/errs.h"
#include "lucid/near.h"
#include "lucid/str.h"

static int cli_fail(struct cli *c, const char *fmt, ...) PRINTF(2, 3);
static int cli_fail(struct cli *c, const char *fmt, ...)
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
		return cli_fail(c, "%s needs a value", name);
	if (!**ret)
		return cli_fail(c, "%s needs a non-empty value", name);
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
			return cli_fail(c, "--role is given twice; use --role %.80s,%.80s", c->roles, value);
		c->roles = rc > 0 ? value : c->roles;
	} else if ((rc = cli_value(c, "--config", argc, argv, i, &value)) != 0) {
		if (rc > 0 && c->config)
			return cli_fail(c, "--config is given twice; only one configuration file can be read");
		c->config = rc > 0 ? value : c->config;
	} else if ((rc = cli_value(c, "--env-file", argc, argv, i, &value)) != 0) {
		if (rc > 0 && c->n_env_files == CLI_ENV_FILES_MAX)
			return cli_fail(c, "--env-file may be given at most %d times", CLI_ENV_FILES_MAX);
		if (rc > 0)
			c->env_files[c->n_env_files++] = value;
	} else if ((rc = cli_value(c, "--set", argc, argv, i, &value)) != 0) {
		if (rc > 0 && c->n_set == CLI_SET_MAX)
			return cli_fail(c, "--set may be given at most %d times", CLI_SET_MAX);
		if (rc > 0)
			c->set[c->n_set++] = value;
	}
	return rc;
}

static const char *near_word(const char *word, const struct command *commands, size_t n)
{
	static const char *const options[] = { "--stop-servers", "--role", "--config", "--env-file", "--set" };
	_cleanup_(xfreep) char *name = xstrndup(word, strcspn(word, "="));
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (near_alike(name, options[i]))
			return options[i];
	for (size_t i = 0; i < n; i++)
		if (near_alike(name, commands[i].name))
			return commands[i].name;
	return NULL;
}

static int cli_unknown(struct cli *c, const char *word, const struct command *commands, size_t n)
{
	const char *kind = word[0] == '-' ? "option" : "sub-command", *near = near_word(word, commands, n);
	if (near)
		return cli_fail(c, "unknown %s \"%.100s\"; did you mean %s?", kind, word, near);
	return cli_fail(c, "unknown %s \"%.100s\"; see lucid-rdp --help", kind, word);
}

const struct command *cli_find(const struct command *commands, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(name, commands[i].name) || (commands[i].also && str_eq(name, commands[i].also)))
			return &commands[i];
	return NULL;
}

int cli_parse(int argc, char **argv, const struct command *commands, size_t n, struct cli *ret)
{
	*ret = (struct cli){ 0 };
	for (int i = 1; i < argc; i++) {
		int rc = cli_option(ret, argc, argv, &i);
		if (rc < 0)
			return rc;
		if (rc)
			continue;
		ret->command = cli_find(commands, n, argv[i]);
		if (ret->command) {
			ret->argc = argc - i;
			ret->argv = argv + i;
			return 0;
		}
		return cli_unknown(ret, argv[i], commands, n);
	}
	return 0;
}
