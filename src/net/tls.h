/*
 * tls: TLS settings of server and client. Floor F2, loop thread. Creating a context may take a millisecond; it reads no files except
 * the system's authorities (tls_client_new). TLS 1.2 or newer, only cipher suites with forward secrecy and AEAD, no renegotiation, no
 * compression, ALPN http/1.1.
 * Not for: data on the wire, which bufferevents carry (http_secure.c, http_link.c); reading certificate and key files.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "lucid/base.h"

/* OpenSSL's names, so that includers do not need its headers */
struct ssl_ctx_st;
struct ssl_st;

/* PEM text, borrowed; the owner wipes the key. */
struct http_tls {
	const char *cert;      /* certificate, then its chain of intermediates; optional for a client */
	const char *key;       /* of that certificate, not encrypted */
	const char *client_ca; /* authorities. A server requires client certificates from them; a client trusts them besides the system's */
	bool only_1_3;
	bool trust_anyone; /* client: do not verify the server's certificate; only for requests to this host itself */
};

/* NULL with a sentence in why[size]. */
struct ssl_ctx_st *tls_server_new(const struct http_tls *t, char *why, size_t size);
struct ssl_ctx_st *tls_client_new(const struct http_tls *t, char *why, size_t size);
struct ssl_ctx_st *tls_ref(struct ssl_ctx_st *ctx); /* takes and returns NULL */
void tls_unref(struct ssl_ctx_st *ctx);		    /* sessions hold references of their own; takes NULL */

/* A client session for bufferevent_openssl, which frees it. The server's certificate must be issued for `host`, a name or an address. */
struct ssl_st *tls_client_session(struct ssl_ctx_st *ctx, const char *host);
/* Why the peer's certificate is not trusted; static. NULL: it is. */
const char *tls_distrust(const struct ssl_st *ssl);
/* The text of an error from bufferevent_get_openssl_error; static. NULL: it is not a TLS error. */
const char *tls_reason(unsigned long error);

/* Writes len <= TLS_RECORD bytes as one record. 1: written; 0: the socket is full, retry with the same bytes before any others; -1: the
 * session failed. */
#define TLS_RECORD 16384
int tls_write(struct ssl_st *ssl, const void *data, size_t len);
bool tls_has_more(const struct ssl_st *ssl); /* OpenSSL has buffered input that was not read yet */
void tls_close_notify(struct ssl_st *ssl);

#endif
