#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "app/commands/commands.h"
#include "sys/files.h"

#define PROGRAM "lucid-rdp-recorder"

static const char help[] =
	"lucid-rdp recorder: internal. Executes " PROGRAM ", which the supervisor starts for each recording with a control socket as\n"
	"descriptor 3. It is a program of its own so that only recordings need the libraries of the X extensions.\n";

int cmd_recorder(struct cli *c, int argc, char **argv)
{
	int code = 0;
	if (!command_words(c, argc, argv, help, NULL, NULL, &code))
		return code;
	_cleanup_(xfreep) char *path = program_file(PROGRAM);
	if (!path) {
		fputs("recorder: " PROGRAM " is missing beside the program and in ../lib/lucid-rdp; install it again\n", stderr);
		return 1;
	}
	static char name[] = PROGRAM;
	char *const args[] = { name, NULL }, *const no_environment[] = { NULL };
	execve(path, args, no_environment);
	fprintf(stderr, "recorder: %s cannot be executed: %s\n", path, strerror(errno));
	return 1;
}
