/*
 * config, the engine: rows, sources, precedence, faults. Floor F1; one thread, at the start and on reload; blocks for
 * reading files. What others read: lucid/config.h. Not for: what settings there are (src/app/options.c) and what they must
 * be to each other (src/app/checks.c).
 *
 * An empty value means "none": it takes the place of a value of lower precedence. Where a setting has a default that is not
 * empty, an empty value is a fault, unless OPT_EMPTY_OK says that "none" means something.
 */
#ifndef SYS_CONFIG_H
#define SYS_CONFIG_H

#include "lucid/config.h"
#include "lucid/str.h"

enum option_type { OPT_TEXT, OPT_INT, OPT_BOOL, OPT_LIST, OPT_ENUM };
enum {
	OPT_SECRET = 1 << 0,	/* never shown */
	OPT_LIVE = 1 << 1,	/* SIGHUP may change it */
	OPT_NOT_BUILT = 1 << 2, /* known, but its part is not in this program: setting it is refused */
	OPT_PORT = 1 << 3,
	OPT_IGNORED = 1 << 4, /* accepted and without effect */
	OPT_EMPTY_OK = 1 << 5, /* empty is a value of its own, not "as if it were not there" */
};
struct option {
	const char *name;
	const char *aliases; /* comma-separated or NULL */
	enum option_type type;
	unsigned flags;
	int64_t min, max;	/* ints: value; text: 0 or longest length */
	const char *unit;	/* "s", "MiB" … or NULL */
	const char *const *values; /* enums */
	const char *otherwise;	/* default as text; "" for none */
	const char *help;
	const char *part; /* OPT_NOT_BUILT: what it needs, for the sentence */
};

struct config_input {
	char *const *env;	       /* environ */
	const char *const *set;	       /* "NAME=value" from the command line, NULL-ended or NULL */
	const char *const *env_files;  /* NULL-ended or NULL: then ./.env where it exists */
	const char *config_file;       /* --config, or NULL */
	bool no_dotenv;		       /* leave ./.env alone, for who must not depend on the directory it stands in */
};

/* A snapshot, or NULL with every fault in `faults`, one sentence a line: name, value (secrets masked), source, what is
 * allowed. `warnings` gets what is merely odd. */
struct config *config_load(const struct option *rows, size_t n, const struct config_input *in, struct strbuf *faults,
			   struct strbuf *warnings);
void config_free(struct config *c); /* wipes secrets; takes NULL */

/* After the load, for defaults that are computed (directories, generated secrets): source "default". Same checks. */
bool config_default(struct config *c, const char *name, const char *value, struct strbuf *faults);

/* `to` has the value and the source of `from` from now on. Both are of the table; false with a fault if it does not fit. */
bool config_copy(struct config *c, const char *to, const char *from, struct strbuf *faults);
/* "NAME: \"value\" from SOURCE: ALLOWED", the value of a secret masked: how every fault of the table looks. */
void config_fault(const struct config *c, const char *name, struct strbuf *faults, const char *fmt, ...) PRINTF(4, 5);

/* config_change.c. A snapshot of its own with the same values. */
struct config *config_clone(const struct config *c);
/* fn for each setting that somebody gave in one of them and that differs; text, source and given are those of `next`. */
void config_compare(const struct config *old, const struct config *next,
		    void (*fn)(const struct option *row, const char *text, const char *source, bool given, void *arg), void *arg);
/* Loop thread: a new value for a live setting, in place. What was borrowed of the old one stays until config_free, but for
 * secrets, which are wiped. False with a fault, and nothing changed. */
bool config_put(struct config *c, const char *name, const char *text, const char *source, bool given, struct strbuf *faults);

/* Print the table (--help-config), the values with their sources (check-config), secrets masked. */
void config_print_help(const struct option *rows, size_t n, struct strbuf *out);
void config_print(const struct config *c, struct strbuf *out);

#endif
