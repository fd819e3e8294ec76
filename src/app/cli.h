/* cli: the command line. Floor F7. What it means for settings: app_config.h; the sub-commands: commands.h. */
#ifndef APP_CLI_H
#define APP_CLI_H

#include "lucid/base.h"

#define CLI_ENV_FILES_MAX 24
#define CLI_SET_MAX 200

struct command;

/* What the load of the configuration does about secrets that nobody gave. */
enum cli_secrets {
	SECRETS_MAKE, /* read what was generated before, or generate */
	SECRETS_READ, /* only read */
	SECRETS_SKIP, /* do without */
};

struct cli {
	const char *roles; /* --role, or NULL */
	const char *config; /* --config, or NULL */
	const char *env_files[CLI_ENV_FILES_MAX + 1]; /* NULL-ended */
	const char *set[CLI_SET_MAX + 1];	      /* NULL-ended */
	size_t n_env_files, n_set;
	bool stop_servers;
	enum cli_secrets secrets; /* SECRETS_MAKE unless a command says otherwise */
	const struct command *command; /* NULL: be the daemon */
	int argc;		       /* of the sub-command; argv[0] is its name */
	char **argv;
	char why[256]; /* after a failure: one sentence */
};

/* Options, and then maybe a sub-command with words of its own. 0 or -ERR_INVALID with ret->why; everything is borrowed from
 * argv. */
int cli_parse(int argc, char **argv, struct cli *ret);

/* For sub-commands: take argv[*i] (and its value) if it is one of the options above. 1 taken, 0 another word, negative
 * with c->why. */
int cli_option(struct cli *c, int argc, char **argv, int *i);

/* For sub-commands: the value of the option `name` at argv[*i], as `--name value` or `--name=value`. 1 taken, 0 another
 * word, negative with c->why. */
int cli_value(struct cli *c, const char *name, int argc, char **argv, int *i, const char **ret);

#endif
