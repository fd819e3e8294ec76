/* options: the table of settings, one row each, for parsing, checks, --help-config and check-config. It has the settings of the program,
 * those that every role has, and those of single roles. Floor F7; built at the first call, before threads exist; constant from then on.
 * Not for: checks across settings (checks.h), and defaults that depend on the host (defaults.h). */
#ifndef APP_SETTINGS_OPTIONS_H
#define APP_SETTINGS_OPTIONS_H

#include "sys/config/config.h"

const struct option *options(void);
size_t options_n(void);

#endif
