#include "app/commands/commands.h"

#include <stdio.h>

#include "app/roles.h"
#include "app/settings/options.h"
#include "lucid/near.h"
#include "lucid/str.h"

const struct command commands[] = {
	{ "token", NULL, "create a bearer token", cmd_token },
	{ "check-config", NULL, "check the settings and print them with their sources", cmd_check_config },
	{ "healthcheck", NULL, "ask a running program whether it is ready; exit code 0 or 1", cmd_healthcheck },
	{ "backup", NULL, "back up the embedded store, even while the program runs", cmd_backup },
	{ "restore", NULL, "verify a backup, and restore it", cmd_restore },
	{ "reference", NULL, NULL, cmd_reference },
	{ "verify", NULL, "verify that a recording or the audit log was not modified", cmd_verify },
	{ "recorder", NULL, NULL, cmd_recorder },
	{ "doctor", NULL, "check this host and recommend what to change", cmd_doctor },
	{ "--help-config", NULL, "print every setting as a configuration file", cmd_help_config },
	{ "--version", "-V", "print the version", cmd_version },
	{ "--help", "-h", "print this", cmd_help },
};
const size_t commands_n = ARRAY_LEN(commands);

bool command_store_is_elsewhere(const struct config *c, const char *command, const char *instead)
{
	if (!config_given(c, "MONGODB_URL"))
		return false;
	fprintf(stderr, "%s: this command works on the file of the embedded store, but the store is in MongoDB (MONGODB_URL); %s\n", command, instead);
	return true;
}

static const char usage_options[] =
	"  --config FILE        configuration file; else CONFIG_FILE, else /etc/lucid-rdp/lucid-rdp.conf\n"
	"  --env-file FILE      settings as NAME=value lines; repeatable, the last one wins; default ./.env\n"
	"  --set NAME=value     one setting; has precedence over all others\n"
	"  --stop-servers       end servers and desktops when the program stops; by default they continue\n\n"
	"Commands:\n";

/* The option in the text of --help that a misspelt word is similar to; NULL: none. The caller frees it. */
static char *near_option(const char *help, const char *word)
{
	_cleanup_(xfreep) char *given = xstrndup(word, strcspn(word, "="));
	for (const char *s = strstr(help, "--"); s; s = strstr(s + 2, "--")) {
		_cleanup_(xfreep) char *name = xstrndup(s, 2 + strspn(s + 2, "abcdefghijklmnopqrstuvwxyz-"));
		if (near_alike(given, name))
			return TAKE_PTR(name);
	}
	return NULL;
}

static void refuse_word(const char *command, const char *help, const char *word)
{
	_cleanup_(xfreep) char *own = near_option(help, word), *common = near_option(usage_options, word);
	const char *near = own ? own : common ? common : near_alike(word, "--help") ? "--help" : NULL;
	/* the value may be a secret: --role --set JWT_SECRET=… */
	fprintf(stderr, "%s: unexpected argument \"%.*s\"; ", command, (int)MIN(strcspn(word, "="), (size_t)100), word);
	if (near)
		fprintf(stderr, "did you mean %s?\n", near);
	else
		fprintf(stderr, "see lucid-rdp %s --help\n", command);
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
			refuse_word(argv[0], help, argv[i]);
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
	"  lucid-rdp [OPTION…] COMMAND [WORD…]  run a sub-command; each has --help\n\n"
	"Options:\n";

#define HELP_INDENT 23
#define HELP_WIDTH 80

static void print_role_option(void)
{
	int column = printf("  %-*s%s", HELP_INDENT - 2, "--role ROLE[,ROLE]", "all (the default)");
	for (const struct role *const *r = all_roles; *r; r++) {
		int len = (int)strlen((*r)->name);
		bool wrap = column + len + 3 > HELP_WIDTH; /* with a comma on each side */
		fputs(wrap ? "," : ", ", stdout);
		if (wrap)
			printf("\n%*s", HELP_INDENT, "");
		column = (wrap ? HELP_INDENT : column + 2) + printf("%s", (*r)->name);
	}
	putchar('\n');
}

int cmd_help(struct cli *c, int argc, char **argv)
{
	fputs(usage, stdout);
	print_role_option();
	fputs(usage_options, stdout);
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
	config_print_help(options(), options_n(), &out);
	fputs(out.s, stdout);
	strbuf_done(&out);
	return fflush(stdout) == 0 ? 0 : 1;
}
