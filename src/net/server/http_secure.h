/*
 * http_secure: the parts of a connection that differ with TLS (c->ssl). Floor F2, loop thread. bufferevent_openssl carries the data; a
 * reply is written at once as one record if possible. Not for: certificates and settings (net/tls.h).
 */
#ifndef NET_SERVER_HTTP_SECURE_H
#define NET_SERVER_HTTP_SECURE_H

#include "net/server/http_conn.h"

void http_secure_send(struct http_conn *c, const char *head, size_t head_len, const char *body, size_t body_len,
		      struct blob *blob);
void http_secure_wake(struct http_conn *c);   /* the input buffer has space: process what OpenSSL has buffered */
void http_secure_write_on(struct http_conn *c); /* the client has closed its sending side: continue to send */
void http_secure_open(struct http_conn *c);   /* the handshake is complete */
void http_secure_failed(struct http_conn *c); /* the handshake failed; the caller closes the connection next */

#endif
