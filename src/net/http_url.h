/*
 * http_url: parses the URL of a request. Floor F2, any thread, pure.
 *   http://host[:port][/path][?query]    https://…    unix:/path/of/socket[:/path[?query]]
 */
#ifndef NET_HTTP_URL_H
#define NET_HTTP_URL_H

#include "lucid/base.h"

enum http_scheme { HTTP_PLAIN, HTTP_SECURE, HTTP_LOCAL };

struct http_url {
	enum http_scheme scheme;
	uint16_t port;	       /* HTTP_LOCAL: 0 */
	char host[256];	       /* name, or address without brackets; HTTP_LOCAL: path of the socket */
	char host_header[264]; /* value of the Host header */
	const char *path;      /* points into the parsed text: "", or begins with '/' or '?' */
};

/* 0, or -ERR_INVALID with a static sentence (ret_why may be NULL). */
int http_url_parse(const char *url, struct http_url *u, const char **ret_why);
/* Same scheme, host and port, or the same socket. */
bool http_url_same_origin(const struct http_url *a, const struct http_url *b);

#endif
