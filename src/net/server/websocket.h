/*
 * websocket: the server's side of the opening handshake (RFC 6455 4.2). Floor F2, any thread, pure. Not for: sending the reply
 * (http_upgrade.c), frames.
 */
#ifndef NET_SERVER_WEBSOCKET_H
#define NET_SERVER_WEBSOCKET_H

#include "net/http.h"

#define WEBSOCKET_VERSION "13"
#define WEBSOCKET_ACCEPT_SIZE 29 /* base64 of a SHA-1 and the NUL */

/* 0 and the value of Sec-WebSocket-Accept, or the status of the refusal (400, 426) with ret_why, a static text. */
int websocket_check(const struct http_req *r, bool http10, char ret_accept[WEBSOCKET_ACCEPT_SIZE], const char **ret_why);

#endif
