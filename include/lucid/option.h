/*
 * option: the definition of a setting, one row. Floor F1; types only. The settings of the program are in src/app/settings/options.c;
 * a setting that only one role reads is in that role (lucid/role.h).
 */
#ifndef LUCID_OPTION_H
#define LUCID_OPTION_H

#include "lucid/base.h"

enum option_type { OPT_TEXT, OPT_INT, OPT_BOOL, OPT_LIST, OPT_ENUM };
enum {
	OPT_SECRET = 1 << 0,	/* never shown */
	OPT_LIVE = 1 << 1,	/* SIGHUP may change it */
	OPT_NOT_BUILT = 1 << 2, /* known, but its feature is not built yet: setting it is refused */
	OPT_PORT = 1 << 3, /* a port number */
	OPT_IGNORED = 1 << 4, /* accepted and without effect */
	OPT_EMPTY_OK = 1 << 5, /* an empty value is valid, and not the same as no value */
	OPT_LISTENS = 1 << 6, /* a TCP port on which this program listens */
};
struct option {
	const char *name;
	const char *aliases; /* further accepted names, comma-separated, or NULL */
	enum option_type type;
	unsigned flags;
	int64_t min, max;	/* of an integer: its value; of a text: length in characters, 0: unbounded */
	const char *unit;	/* "s", "MiB" … or NULL */
	const char *const *values; /* allowed values of an OPT_ENUM, NULL-terminated */
	const char *otherwise;	/* default as text; "" for none */
	const char *help; /* one sentence or more, for --help-config and the reference page */
	const char *part; /* OPT_NOT_BUILT: the feature it belongs to, for the message */
	const char *after; /* a role's setting: the setting it is listed after; NULL: after the previous row, or at the end for the first row */
};

#endif
