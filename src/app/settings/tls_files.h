/*
 * tls_files: the PEM files of TLS_CERT_FILE, TLS_KEY_FILE and TLS_CLIENT_CA_FILE in memory. Floor F7; blocks to read files. They are read
 * as root, before privileges are dropped, and passed to the server, which cannot read them.
 */
#ifndef APP_SETTINGS_TLS_FILES_H
#define APP_SETTINGS_TLS_FILES_H

#include "lucid/config.h"
#include "net/tls.h"

struct tls_files {
	char *cert, *key, *client_ca; /* NULL: not set */
	struct http_tls pem;	      /* borrows the texts; pem.cert NULL: no TLS */
};

/* Reads the files and checks that they work together. Without TLS in the settings, *ret is empty. False with a reason in why[size] that
 * names the setting; *ret is then unchanged. */
bool tls_files_read(const struct config *c, struct tls_files *ret, char *why, size_t size);
/* For files received over the socket pair: owns the three texts, which may be NULL, from now on. */
void tls_files_set(struct tls_files *t, char *cert, char *key, char *client_ca, bool only_1_3);
void tls_files_done(struct tls_files *t); /* wipes and empties it */

#endif
