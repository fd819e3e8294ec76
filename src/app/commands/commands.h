/* commands: the sub-commands, one row each. Floor F7. To add one, write a file NAME.c and add a row to commands.c. */
#ifndef APP_COMMANDS_COMMANDS_H
#define APP_COMMANDS_COMMANDS_H

#include "app/commands/cli.h"
#include "lucid/config.h"

extern const struct command commands[];
extern const size_t commands_n;

int cmd_token(struct cli *c, int argc, char **argv);
int cmd_check_config(struct cli *c, int argc, char **argv);
int cmd_healthcheck(struct cli *c, int argc, char **argv);
int cmd_backup(struct cli *c, int argc, char **argv);
int cmd_restore(struct cli *c, int argc, char **argv);
int cmd_verify(struct cli *c, int argc, char **argv);
int cmd_doctor(struct cli *c, int argc, char **argv);
int cmd_recorder(struct cli *c, int argc, char **argv);
int cmd_help_config(struct cli *c, int argc, char **argv);
int cmd_reference(struct cli *c, int argc, char **argv);
int cmd_version(struct cli *c, int argc, char **argv);
int cmd_help(struct cli *c, int argc, char **argv);

/* For sub-commands: parse the arguments. `take` is called first and returns like cli_option; --help and the common options are handled
 * here. True: continue; false: exit with *ret_code. */
bool command_words(struct cli *c, int argc, char **argv, const char *help,
		   int (*take)(struct cli *c, int argc, char **argv, int *i, void *arg), void *arg, int *ret_code);

/* For sub-commands that work on the embedded store's file. If the store is in MongoDB: prints that, with `instead`, and returns true. */
bool command_store_is_elsewhere(const struct config *c, const char *command, const char *instead);

#define EXIT_USAGE 2

#endif
