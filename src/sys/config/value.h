/* value: the values of settings, checked against the type and range of their row. Floor F1, pure. */
#ifndef SYS_CONFIG_VALUE_H
#define SYS_CONFIG_VALUE_H

#include "lucid/option.h"
#include "lucid/str.h"

#define CONFIG_ITEMS_MAX 1024 /* of a list */

struct config_value {
	char *text, *source;
	bool given; /* not the default */
	int64_t num;
	char **items; /* of a list, NULL-ended */
};

/* Parses `text` into *ret. False: it is not a valid value; `detail` gets the reason where it says more than config_allowed, else it
 * stays empty. */
bool config_value_parse(const struct option *o, const char *text, struct config_value *ret, struct strbuf *detail);
void config_value_done(struct config_value *v); /* wipes it */
/* Describes the allowed values: "a whole number from 1 to 65535". */
void config_allowed(const struct option *o, struct strbuf *out);

#endif
