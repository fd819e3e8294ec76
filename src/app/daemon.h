/* daemon: from a configuration to running processes. Floor F7; before threads exist. */
#ifndef APP_DAEMON_H
#define APP_DAEMON_H

#include "app/commands/cli.h"
#include "lucid/config.h"

/* Runs until it is told to stop; returns the exit code. */
int daemon_run(struct config *c, const struct cli *cli);

#endif
