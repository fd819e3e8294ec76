/*
 * tls_files: the PEM files of TLS_CERT_FILE, TLS_KEY_FILE and TLS_CLIENT_CA_FILE in memory. Floor F7; reads files, so not on
 * a loop. Read by who may (root, before privileges are given up), used by the server, which cannot read them.
 */
#ifndef APP_TLS_FILES_H
#define APP_TLS_FILES_H

#include "lucid/config.h"
#include "net/tls.h"

struct tls_files {
	char *cert, *key, *client_ca; /* NULL: not set */
	struct http_tls pem;	      /* borrows them; pem.cert NULL: no TLS */
};

/* Reads the files, and tries whether they are of use together. With settings for no TLS there is nothing in *ret. False with
 * a sentence, which names the option, in why[size]; then *ret is as it was. */
bool tls_files_read(const struct config *c, struct tls_files *ret, char *why, size_t size);
/* To carry them over the socket pair or the like: takes the three texts, which may be NULL, as its own. */
void tls_files_set(struct tls_files *t, char *cert, char *key, char *client_ca, bool only_1_3);
void tls_files_done(struct tls_files *t); /* wiped; as if nothing was set */

#endif
