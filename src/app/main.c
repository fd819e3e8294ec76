#include <stdio.h>

#include "app/settings/app_config.h"
#include "app/commands/cli.h"
#include "app/commands/commands.h"
#include "app/daemon.h"
#include "app/hide.h"
#include "host/host.h"
#include "lucid/str.h"
#include "sys/log.h"
#include "supervisor/supervisor.h"

/* Logs each line of the text as a line of its own. */
static void say_lines(void (*say)(const char *line), char *text)
{
	char *rest = text;
	for (char *line = text ? strsep(&rest, "\n") : NULL; line; line = strsep(&rest, "\n"))
		if (*line)
			say(line);
}

static void say_fault(const char *line)
{
	log_error("config", "%s", line);
}

static void say_warning(const char *line)
{
	log_warn("config", "%s", line);
}

static int run_daemon(const struct cli *cli)
{
	hide_memory();
	struct strbuf faults = { 0 }, warnings = { 0 };
	struct config *c = app_config_load(cli, &faults, &warnings);
	say_lines(say_warning, warnings.s);
	say_lines(say_fault, faults.s);
	strbuf_done(&faults);
	strbuf_done(&warnings);
	int code = c ? daemon_run(c, cli) : EXIT_FINAL;
	config_free(c);
	log_flush();
	return code;
}

int main(int argc, char **argv)
{
	/* first of all, because PAM waits for this at every login */
	if (argc > 1 && str_eq(argv[1], "pam-hook"))
		return host_pam_hook(argc - 2, argv + 2);
	hide_secrets(argc, &argv);
	struct cli cli;
	if (cli_parse(argc, argv, commands, commands_n, &cli) < 0) {
		fprintf(stderr, "lucid-rdp: %s\n", cli.why);
		return 2;
	}
	return cli.command ? cli.command->run(&cli, cli.argc, cli.argv) : run_daemon(&cli);
}
