/* options: the table of settings, one row each; from it come parsing, checks, --help-config and check-config. Floor F7;
 * constant. What a setting must be to others: checks.h; defaults that depend on the host: defaults.h. */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include "sys/config.h"

extern const struct option options[];
extern const size_t options_n;

#endif
