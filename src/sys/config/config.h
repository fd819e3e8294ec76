/*
 * config, the engine: rows, sources, precedence, faults. Floor F1; one thread, at the start and on reload; blocks to read files.
 * The interface for readers of settings is lucid/config.h. Not for: the list of settings (src/app/settings/options.c) and checks
 * across settings (src/app/settings/checks.c).
 *
 * An empty value means "none" and replaces a value of lower precedence. For a setting with a non-empty default, an empty value is a
 * fault, unless the row has OPT_EMPTY_OK.
 */
#ifndef SYS_CONFIG_CONFIG_H
#define SYS_CONFIG_CONFIG_H

#include "lucid/config.h"
#include "lucid/option.h"
#include "lucid/str.h"

struct config_input {
	char *const *env;	       /* environ */
	const char *const *set;	       /* "NAME=value" from the command line, NULL-ended or NULL */
	const char *const *env_files;  /* NULL-ended; NULL: ./.env if it exists */
	const char *config_file;       /* --config, or NULL */
	bool no_dotenv;		       /* do not read ./.env: the settings must not depend on the current directory */
};

/* A snapshot, or NULL with all faults in `faults`, one on each line: name, value (secrets masked), source, what is allowed.
 * `warnings` gets findings that do not prevent the start. */
struct config *config_load(const struct option *rows, size_t n, const struct config_input *in, struct strbuf *faults,
			   struct strbuf *warnings);
void config_free(struct config *c); /* wipes secrets; takes NULL */

/* Sets a computed default (a directory, a generated secret) after the load; its source is "default". The same checks apply. */
bool config_default(struct config *c, const char *name, const char *value, struct strbuf *faults);

/* Copies value and source of `from` to `to`; both are in the table. False with a fault if the value does not fit. */
bool config_copy(struct config *c, const char *to, const char *from, struct strbuf *faults);
/* Adds a fault in the common form: "NAME: \"value\" from SOURCE: ALLOWED"; the value of a secret is masked. */
void config_fault(const struct config *c, const char *name, struct strbuf *faults, const char *fmt, ...) PRINTF(4, 5);

/* config/change.c. An independent copy of a snapshot. */
struct config *config_clone(const struct config *c);
/* Calls fn for each setting that differs and was set in one of the two; text, source and given are those of `next`. */
void config_compare(const struct config *old, const struct config *next,
		    void (*fn)(const struct option *row, const char *text, const char *source, bool given, void *arg), void *arg);
/* Loop thread: replaces the value of a live setting. Text borrowed from the old value stays valid until config_free, except secrets,
 * which are wiped. False with a fault, and nothing changed. */
bool config_put(struct config *c, const char *name, const char *text, const char *source, bool given, struct strbuf *faults);

/* Print the table (--help-config), or the values with their sources and secrets masked (check-config). */
void config_print_help(const struct option *rows, size_t n, struct strbuf *out);
void config_print(const struct config *c, struct strbuf *out);

#endif
