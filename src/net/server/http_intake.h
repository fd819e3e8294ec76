/*
 * http_intake: takes one request from the input and copies it to c->buf, checked and split. Floor F2, loop thread.
 * Not for: the states (http_gate.h); it only reads c->state.
 */
#ifndef NET_SERVER_HTTP_INTAKE_H
#define NET_SERVER_HTTP_INTAKE_H

#include "net/server/http_conn.h"

/* Limits the input buffer to a head, or to the expected body; reading stops there. */
void http_intake_room(struct http_conn *c, uint64_t body_len);

#define INTAKE_WHOLE 0
#define INTAKE_PART -1	/* the head is incomplete */
#define INTAKE_EMPTY -2 /* no data, or only empty lines */
/* INTAKE_…, or the status of the refusal with ret_why, a static text. */
int http_intake_head(struct http_conn *c, const char **ret_why);
/* True: the body is complete and in c->buf. */
bool http_intake_body(struct http_conn *c);
void http_intake_shrink(struct http_conn *c); /* frees the buffer if a request made it large */
void http_intake_forget(struct http_conn *c); /* frees the buffer */

#endif
