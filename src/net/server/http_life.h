/*
 * http_life: begin and end of libevhtp's requests and connections. Floor F2, loop thread. Not for: the states between (http_gate.h).
 */
#ifndef NET_SERVER_HTTP_LIFE_H
#define NET_SERVER_HTTP_LIFE_H

#include "net/server/http_conn.h"

struct evhtp;

void http_life_init(struct http_server *s);
void http_life_serve(struct http_server *s, struct evhtp *htp); /* registers for the requests of a listener */
void http_life_watch(struct http_conn *c);			 /* registers for the end of a new connection */

bool http_life_begin(struct http_conn *c);	     /* begins a request in evhtp; false: the connection was closed */
void http_life_end(struct http_conn *c, bool keep); /* the reply has been sent; !keep closes the connection */
void http_life_close(struct http_conn *c);	     /* closes at once, and calls `gone` of its events */
void http_life_bury(struct http_conn *c);	     /* frees a DEAD connection without a pending reply, at the end of the turn */
/* Calls on_drained if a drain has ended; that may free the server. */
void http_life_check_drained(struct http_server *s);
void http_life_reap(struct http_server *s); /* frees the buried connections now */

#endif
