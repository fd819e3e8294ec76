/* app_config: from the command line to a checked configuration: finds the configuration file, loads the settings, adds computed defaults and
 * runs the checks. Floor F7; before threads exist; reads files and may write generated secrets. */
#ifndef APP_SETTINGS_APP_CONFIG_H
#define APP_SETTINGS_APP_CONFIG_H

#include "app/commands/cli.h"
#include "lucid/role.h"
#include "sys/config/config.h"

/* NULL with all faults in `faults`, one on each line. Free with config_free. */
struct config *app_config_load(const struct cli *cli, struct strbuf *faults, struct strbuf *warnings);

/* The same for a sub-command: prints faults to stderr and drops warnings, which the daemon logs. */
struct config *app_config_load_or_say(const struct cli *cli);

#endif
