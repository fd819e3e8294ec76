/* daemon: from a configuration to running processes. Floor F7; before threads exist. */
#ifndef APP_DAEMON_H
#define APP_DAEMON_H

#include "app/cli.h"
#include "lucid/config.h"

/* Until it is told to leave; returns the exit code. */
int daemon_run(struct config *c, const struct cli *cli);

#endif
