/*
 * tls: what this program wants of TLS, on both sides. Floor F2, loop thread; making a context reads no file (the system's
 * authorities of tls_client_new apart) and may take a millisecond. The only file of the room that knows OpenSSL. Versions
 * from 1.2, forward secrecy and AEAD alone, no renegotiation, no compression, ALPN http/1.1.
 * Not for: bytes on the wire, which bufferevents carry (http_secure.c, http_link.c); files, which who may read them reads.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "lucid/base.h"

/* OpenSSL's own tags, so that nobody else needs its headers */
struct ssl_ctx_st;
struct ssl_st;

/* PEM text, borrowed; wiping the key is the owner's. */
struct http_tls {
	const char *cert;      /* certificate, then what leads to an authority; a client may have none */
	const char *key;       /* of that certificate, without a passphrase */
	const char *client_ca; /* authorities: a server wants certificates of them, a client trusts them besides the system's */
	bool only_1_3;
	bool trust_anyone; /* a client: do not look at the other side's certificate; for asking this host's own program */
};

/* NULL with a sentence in why[size]. */
struct ssl_ctx_st *tls_server_new(const struct http_tls *t, char *why, size_t size);
struct ssl_ctx_st *tls_client_new(const struct http_tls *t, char *why, size_t size);
struct ssl_ctx_st *tls_ref(struct ssl_ctx_st *ctx); /* takes and returns NULL */
void tls_unref(struct ssl_ctx_st *ctx);		    /* sessions keep theirs; takes NULL */

/* A client's session, for bufferevent_openssl, which frees it: the certificate must be one of `host`, a name or an address. */
struct ssl_st *tls_client_session(struct ssl_ctx_st *ctx, const char *host);
/* What is wrong with the other side's certificate; NULL: nothing. Static. */
const char *tls_distrust(const struct ssl_st *ssl);
/* What an error of bufferevent_get_openssl_error means; NULL: it is not one of TLS. Static. */
const char *tls_reason(unsigned long error);

/* All of it in one record: 1 it left, 0 not now (the same bytes again, and nothing else before them), -1 the session broke.
 * At most TLS_RECORD bytes. */
#define TLS_RECORD 16384
int tls_write(struct ssl_st *ssl, const void *data, size_t len);
bool tls_has_more(const struct ssl_st *ssl); /* bytes were read from the socket that nobody has taken yet */
void tls_close_notify(struct ssl_st *ssl);

#endif
