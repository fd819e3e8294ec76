/* commands: the sub-commands, one row each. Floor F7. A new one is a file cmd_NAME.c and a line in commands.c. */
#ifndef APP_COMMANDS_H
#define APP_COMMANDS_H

#include "app/cli.h"
#include "lucid/config.h"

struct command {
	const char *name;
	const char *also; /* another spelling, or NULL */
	const char *line; /* what it does, for --help; NULL: not listed */
	/* argv[0] is the command; the options before it are in `c`. Returns the exit code. */
	int (*run)(struct cli *c, int argc, char **argv);
};
extern const struct command commands[];
extern const size_t commands_n;

const struct command *command_find(const char *name); /* NULL: there is none */

int cmd_token(struct cli *c, int argc, char **argv);
int cmd_check_config(struct cli *c, int argc, char **argv);
int cmd_healthcheck(struct cli *c, int argc, char **argv);
int cmd_backup(struct cli *c, int argc, char **argv);
int cmd_restore(struct cli *c, int argc, char **argv);
int cmd_verify(struct cli *c, int argc, char **argv);
int cmd_doctor(struct cli *c, int argc, char **argv);
int cmd_help_config(struct cli *c, int argc, char **argv);
int cmd_reference(struct cli *c, int argc, char **argv);
int cmd_version(struct cli *c, int argc, char **argv);
int cmd_help(struct cli *c, int argc, char **argv);

/* For commands: go through the words; 0 go on, else leave with *ret_code. `take` is asked first and answers like
 * cli_option; common options and --help are taken here. */
bool command_words(struct cli *c, int argc, char **argv, const char *help,
		   int (*take)(struct cli *c, int argc, char **argv, int *i, void *arg), void *arg, int *ret_code);

/* For commands that work on the embedded store's file: true, and `instead` was said, when these settings keep the store elsewhere. */
bool command_store_is_elsewhere(const struct config *c, const char *command, const char *instead);

#define EXIT_USAGE 2

#endif
