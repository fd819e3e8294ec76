/* app_config: from the command line to a checked configuration: finds the configuration file, loads, fills computed
 * defaults, checks. Floor F7; before threads exist; reads files and may write generated secrets. */
#ifndef APP_APP_CONFIG_H
#define APP_APP_CONFIG_H

#include "app/cli.h"
#include "lucid/role.h"
#include "sys/config.h"

/* NULL with every fault in `faults`, one sentence a line. Free with config_free. */
struct config *app_config_load(const struct cli *cli, struct strbuf *faults, struct strbuf *warnings);

/* The same for a sub-command: faults go to stderr, warnings are the daemon's matter. */
struct config *app_config_load_or_say(const struct cli *cli);

#endif
