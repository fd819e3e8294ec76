/*
 * cli: parses the command line: the common options and the sub-command. Floor F7. For the effect of the options on settings see
 * app_config.h; for the sub-commands, commands.h.
 */
#ifndef APP_COMMANDS_CLI_H
#define APP_COMMANDS_CLI_H

#include "lucid/base.h"

#define CLI_ENV_FILES_MAX 24
#define CLI_SET_MAX 200

/* What loading the configuration does about secrets that are not set. */
enum cli_secrets {
	SECRETS_MAKE, /* read the generated one, or generate one */
	SECRETS_READ, /* only read the generated one */
	SECRETS_SKIP, /* leave them empty */
};

struct cli;
struct command {
	const char *name;
	const char *also; /* short form, or NULL */
	const char *line; /* what it does, for --help; NULL: not listed */
	/* argv[0] is the command; `c` has the options before it. Returns the exit code. */
	int (*run)(struct cli *c, int argc, char **argv);
};

struct cli {
	const char *roles; /* --role, or NULL */
	const char *config; /* --config, or NULL */
	const char *env_files[CLI_ENV_FILES_MAX + 1]; /* NULL-ended */
	const char *set[CLI_SET_MAX + 1];	      /* NULL-ended */
	size_t n_env_files, n_set;
	bool stop_servers;
	enum cli_secrets secrets; /* SECRETS_MAKE unless a command says otherwise */
	const struct command *command; /* NULL: run the daemon */
	int argc;		       /* of the sub-command; argv[0] is its name */
	char **argv;
	char why[256]; /* after a failure: one sentence */
};

/* Options, and optionally one of the n commands with its own arguments. 0, or -ERR_INVALID with ret->why. All strings are borrowed from
 * argv. */
int cli_parse(int argc, char **argv, const struct command *commands, size_t n, struct cli *ret);
const struct command *cli_find(const struct command *commands, size_t n, const char *name); /* NULL: unknown */

/* For sub-commands: parse argv[*i] and its value if it is one of the common options. 1: it is; 0: it is not; negative with c->why. */
int cli_option(struct cli *c, int argc, char **argv, int *i);

/* For sub-commands: the value of the option `name` at argv[*i], as `--name value` or `--name=value`. 1: it is this option; 0: it is not;
 * negative with c->why. */
int cli_value(struct cli *c, const char *name, int argc, char **argv, int *i, const char **ret);

#endif
