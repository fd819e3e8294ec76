#include <stdio.h>

#include "app/settings/app_config.h"
#include "app/commands/commands.h"
#include "app/settings/tls_files.h"

static const char help[] =
	"lucid-rdp check-config [OPTION…]: reads the settings as the program does, with the same options, and prints each with\n"
	"its source; secrets are masked. With faults it lists all of them and exits 1. It changes nothing.\n";

int cmd_check_config(struct cli *c, int argc, char **argv)
{
	int code = 0;
	if (!command_words(c, argc, argv, help, NULL, NULL, &code))
		return code;
	struct strbuf faults = { 0 }, text = { 0 };
	c->secrets = SECRETS_READ;
	struct config *config = app_config_load(c, &faults, &text);
	_cleanup_(tls_files_done) struct tls_files tls = { 0 };
	char why[512];
	if (config && !tls_files_read(config, &tls, why, sizeof why)) {
		strbuf_printf(&faults, "%s\n", why);
		config_free(config);
		config = NULL;
	}
	if (text.len)
		fprintf(stderr, "%s", text.s);
	strbuf_reset(&text);
	if (config) {
		config_print(config, &text);
		fputs(text.s, stdout);
	} else {
		fprintf(stderr, "%s", faults.s);
	}
	code = config && fflush(stdout) == 0 ? 0 : 1;
	config_free(config);
	strbuf_done(&faults);
	strbuf_done(&text);
	return code;
}
