/*
 * http_out: sends data and complete replies to the client. Floor F2, loop thread. Writes to the socket directly if possible, which saves
 * two turns of the loop; the rest is queued in the bufferevent. On failure, sets c->broken.
 */
#ifndef NET_SERVER_HTTP_OUT_H
#define NET_SERVER_HTTP_OUT_H

#include "net/server/http_conn.h"

size_t http_out_waiting(const struct http_conn *c); /* queued bytes */
/* The body is copied, or referenced if it is in `blob`. Without a body, `blob` may contain the head. */
void http_out_send(struct http_conn *c, const char *head, size_t head_len, const char *body, size_t body_len, struct blob *blob);
/* Head and body; c->last decides the Connection header. */
void http_out_reply(struct http_conn *c, int status, const struct http_header *headers, size_t n, const char *body, size_t len,
		    struct blob *blob);
const char *http_out_date(struct http_server *s); /* the present value of the Date header */
void http_out_shut(struct http_conn *c);	  /* closes the sending side; may be called again */

#endif
