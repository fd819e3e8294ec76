/*
 * reload: SIGHUP. Floor F7; loop thread; blocks for reading files. Who can read them (the supervisor; a server that has none)
 * reads all sources anew into a fresh snapshot. What differs and may change live goes, as a document, to the server, which
 * asks every role and takes all of it or nothing; then the reader's side takes it too. Nothing else is replaced: whoever holds
 * the configuration sees the new values in it.
 */
#ifndef APP_RELOAD_H
#define APP_RELOAD_H

#include "app/cli.h"
#include "app/tls_files.h"
#include "lucid/doc.h"
#include "lucid/id.h"
#include "sys/config.h"

struct reload {
	const struct cli *cli;
	struct config *config;	/* in use */
	struct tls_files *tls;	/* the same; the server's next lives begin with it */
	struct config *next;	/* between reload_read and reload_end */
	struct tls_files next_tls;
	/* digests, "" of what is not there: of the file with the public keys; of those of TLS, which the server wipes once it has used them */
	char keys[ID_DIGEST_SIZE], next_keys[ID_DIGEST_SIZE], tls_digest[ID_DIGEST_SIZE], next_tls_digest[ID_DIGEST_SIZE];
};

/* What is in use, before the first reload; config and tls are set and read. */
void reload_begin(struct reload *r);

/* Read and compare; faults, and changes that want a restart, are logged, one line each. What there is to take up, for
 * reload_values and reload_tls; NULL: nothing changed, or the old settings stay. */
json_t *reload_read(struct reload *r);
/* The end of what reload_read began; `taken`: the server goes by it now. */
void reload_end(struct reload *r, bool taken);

/* LOG_LEVEL from now on. */
void log_use_level(const struct config *c);

/* Put the values of the document into a snapshot; false with a fault. */
bool reload_values(struct config *c, const json_t *doc, struct strbuf *faults);
/* The TLS files of the document; nothing in *ret when they did not change. */
void reload_tls(const json_t *doc, struct tls_files *ret);

#endif
