/*
 * http_host: the host[:port] of a Host header or of a request target. Floor F2, any thread, pure.
 */
#ifndef NET_HTTP_HOST_H
#define NET_HTTP_HOST_H

#include "lucid/base.h"

#define HTTP_HOST_MAX 255 /* bytes of a name */

/* Whether s[0..len) is host[:port] of RFC 3986 with a port up to 65535. An empty host is valid (RFC 9112 3.2). */
bool http_host_ok(const char *s, size_t len);

/* The normalised name, for comparisons: lower case, without port, brackets and trailing dot; an IPv6 address in its short form. `host`
 * may be NULL. False, with "" in dst: there is no name. */
bool http_host_name(const char *host, char dst[HTTP_HOST_MAX + 1]);

#endif
