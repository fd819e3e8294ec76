/*
 * http_crowd: the limits on connections, in total and from one address, and which idle connection is closed for a new one. Floor F2,
 * loop thread. Not for: the count of an address (http_share.h).
 */
#ifndef NET_SERVER_HTTP_CROWD_H
#define NET_SERVER_HTTP_CROWD_H

#include "net/server/http_conn.h"

void http_crowd_init(struct http_server *s);
void http_crowd_done(struct http_server *s);
bool http_crowd_is_full(const struct http_server *s);
bool http_crowd_is_full_for(const struct http_server *s, const struct sockaddr *sa); /* the address has reached max_per_address */
/* Closes the longest idle connection of that address, if there is one. */
void http_crowd_make_room(struct http_server *s, const struct sockaddr *sa);
/* Counts a new connection; `over`: it is beyond a limit and will be refused. */
void http_crowd_join(struct http_conn *c, const struct sockaddr *sa, bool over);
/* Returns memory to the system after most of many connections have closed. */
void http_crowd_trim(struct http_server *s);

#endif
