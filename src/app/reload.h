/*
 * reload: applies changed settings on SIGHUP. Floor F7; loop thread; blocks to read files. The supervisor, or a server without one, reads all
 * sources into a new snapshot. It passes the changes that can be applied without a restart to the server as a document. The server asks
 * every role and applies all changes or none; then the process that read them applies them too. Values are changed in place, so that
 * all holders of the configuration see the new ones.
 */
#ifndef APP_RELOAD_H
#define APP_RELOAD_H

#include "app/commands/cli.h"
#include "app/settings/tls_files.h"
#include "lucid/doc.h"
#include "lucid/id.h"
#include "sys/config/config.h"

struct reload {
	const struct cli *cli;
	struct config *config;	/* in force */
	struct tls_files *tls;	/* in force; the next server process starts with them */
	struct config *next;	/* between reload_read and reload_end */
	struct tls_files next_tls;
	/* digests of the public keys and of the TLS files, whose content the server wipes after use; "": none */
	char keys[ID_DIGEST_SIZE], next_keys[ID_DIGEST_SIZE], tls_digest[ID_DIGEST_SIZE], next_tls_digest[ID_DIGEST_SIZE];
};

/* Record the state before the first reload; config and tls must be set. */
void reload_begin(struct reload *r);

/* Read all sources and compare. Logs faults, and changes that require a restart. Returns the other changes, for reload_values and
 * reload_tls; NULL: nothing to apply, or faults. */
json_t *reload_read(struct reload *r);
/* End a reload; `taken`: the server has applied it. */
void reload_end(struct reload *r, bool taken);

/* Apply LOG_LEVEL. */
void log_use_level(const struct config *c);

/* Apply the values of the document to a snapshot; false with a fault. */
bool reload_values(struct config *c, const json_t *doc, struct strbuf *faults);
/* The TLS files of the document; *ret is empty if they did not change. */
void reload_tls(const json_t *doc, struct tls_files *ret);

#endif
