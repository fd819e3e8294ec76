#include "app/commands.h"

#include <stdio.h>

#include "app/options.h"
#include "lucid/str.h"

const struct command commands[] = {
	{ "token", NULL, "make a bearer token", cmd_token },
	{ "check-config", NULL, "check the settings and print them with their sources", cmd_check_config },
	{ "healthcheck", NULL, "ask a running program whether it is ready; exit code 0 or 1", cmd_healthcheck },
	{ "backup", NULL, "copy the embedded store, also while the program runs", cmd_backup },
	{ "restore", NULL, "check a backup, and put it in the store's place", cmd_restore },
	{ "reference", NULL, NULL, cmd_reference },
	{ "verify", NULL, "prove that nobody changed the audit log", cmd_verify },
	{ "doctor", NULL, "look over this host, and say what to do", cmd_doctor },
	{ "--help-config", NULL, "print every setting as a configuration file", cmd_help_config },
	{ "--version", "-V", "print the version", cmd_version },
	{ "--help", "-h", "print this", cmd_help },
};
const size_t commands_n = ARRAY_LEN(commands);

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < commands_n; i++)
		if (str_eq(name, commands[i].name) || (commands[i].also && str_eq(name, commands[i].also)))
			return &commands[i];
	return NULL;
}

bool command_store_is_elsewhere(const struct config *c, const char *command, const char *instead)
{
	if (!config_given(c, "MONGODB_URL"))
		return false;
	fprintf(stderr, "%s: the store is in MongoDB (MONGODB_URL), and this command works on the embedded store's file; %s\n", command, instead);
	return true;
}

bool command_words(struct cli *c, int argc, char **argv, const char *help,
		   int (*take)(struct cli *c, int argc, char **argv, int *i, void *arg), void *arg, int *ret_code)
{
	for (int i = 1; i < argc; i++) {
		if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h")) {
			fputs(help, stdout);
			*ret_code = 0;
			return false;
		}
		int rc = take ? take(c, argc, argv, &i, arg) : 0;
		if (rc == 0)
			rc = cli_option(c, argc, argv, &i);
		if (rc > 0)
			continue;
		if (rc == 0)
			fprintf(stderr, "%s: it does not know \"%.100s\"; lucid-rdp %s --help says what it takes\n", argv[0], argv[i], argv[0]);
		else
			fprintf(stderr, "%s: %s\n", argv[0], c->why);
		*ret_code = EXIT_USAGE;
		return false;
	}
	return true;
}

static const char usage[] =
	"lucid-rdp: a control plane for Linux remote desktops served by xrdp.\n\n"
	"  lucid-rdp [OPTION…]                 run the roles, until SIGTERM\n"
	"  lucid-rdp [OPTION…] COMMAND [WORD…]  each has its own --help\n\n"
	"Options:\n"
	"  --role ROLE[,ROLE]   all (the default), rdp-server-manager, xrdp-integration,\n"
	"                       rdp-session-controller, rdp-resource-monitor\n"
	"  --config FILE        configuration file; else CONFIG_FILE, else /etc/lucid-rdp/lucid-rdp.conf\n"
	"  --env-file FILE      settings as NAME=value lines; again for more, later ones win; else ./.env\n"
	"  --set NAME=value     one setting; goes before all others\n"
	"  --stop-servers       end servers and desktops when the program ends; else they live on\n\n"
	"Commands:\n";

int cmd_help(struct cli *c, int argc, char **argv)
{
	fputs(usage, stdout);
	for (size_t i = 0; i < commands_n; i++)
		if (commands[i].line)
			printf("  %-20s %s\n", commands[i].name, commands[i].line);
	return fflush(stdout) == 0 ? 0 : 1;
}

int cmd_version(struct cli *c, int argc, char **argv)
{
	int code = 0;
	if (!command_words(c, argc, argv, "lucid-rdp --version: prints the version.\n", NULL, NULL, &code))
		return code;
	puts("lucid-rdp " LUCID_VERSION);
	return fflush(stdout) == 0 ? 0 : 1;
}

int cmd_help_config(struct cli *c, int argc, char **argv)
{
	int code = 0;
	if (!command_words(c, argc, argv, "lucid-rdp --help-config: prints every setting with type, default and meaning, in the form of a\n"
			   "configuration file: lucid-rdp --help-config > /etc/lucid-rdp/lucid-rdp.conf\n", NULL, NULL, &code))
		return code;
	struct strbuf out = { 0 };
	config_print_help(options, options_n, &out);
	fputs(out.s, stdout);
	strbuf_done(&out);
	return fflush(stdout) == 0 ? 0 : 1;
}
