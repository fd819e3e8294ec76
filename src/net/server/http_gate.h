/*
 * http_gate: the state machine of a connection: for each state, what it does about each input. Floor F2, loop thread. It passes on
 * complete, valid requests, one at a time, in place of libevhtp's parser, and replies itself to those it refuses.
 *
 *   IDLE → HEAD → BODY → BUSY → WRITE → IDLE …
 *   BUSY → OPEN, PARTS, UPGRADED → WRITE
 *   WRITE → LINGER → DEAD, if the client may still be sending or was upgraded
 * Not for: bytes of a request (http_intake.h) or of a reply (http_out.h), listeners (http_server.c).
 */
#ifndef NET_SERVER_HTTP_GATE_H
#define NET_SERVER_HTTP_GATE_H

#include "net/server/http_conn.h"

void http_gate_open(struct http_conn *c);		    /* a new connection, bev set */
void http_gate_refuse(struct http_conn *c, int status, const char *why); /* reply and close; why is static */
void http_gate_expire(struct http_conn *c, int64_t now_ms); /* check its deadline */
void http_gate_drain(struct http_conn *c);		    /* the server has begun to drain */

/* For the handler's side: */
void http_gate_finish(struct http_conn *c);	/* the reply is complete; queued data is still sent */
void http_gate_read_again(struct http_conn *c); /* resume reading, if it was paused */
void http_gate_run_again(struct http_conn *c);	/* process c again at the end of the loop's turn (AGAIN) */

#endif
