/*
 * public_url: the URL of this program as clients see it, which differs behind a proxy with its own host name or path. Floor F5, loop
 * thread, never blocks. It is PUBLIC_URL, or what trusted proxies forward: X-Forwarded-Prefix, X-Forwarded-Host, X-Forwarded-Proto, or host and
 * proto of Forwarded. For requests of other roles there is none.
 */
#ifndef API_PROXY_PUBLIC_URL_H
#define API_PROXY_PUBLIC_URL_H

#include "api/proxy/forwarded.h"

struct request;

#define PUBLIC_PREFIX_MAX 255
#define PUBLIC_URL_MAX 1024

/* Whether this is a valid PUBLIC_URL: http:// or https://, host[:port], and a path without '.', '..' and empty segments. */
bool public_url_ok(const char *url);

/* The prefix of all paths: "/desktops", or "" for none. Returns dst. */
const char *public_prefix(struct request *q, char dst[PUBLIC_PREFIX_MAX + 1]);
/* The base URL, with scheme and host if they are known: "https://example.org/desktops", "/desktops", "/". Returns dst. */
const char *public_base(struct request *q, char dst[PUBLIC_URL_MAX]);
/* host[:port] that a trusted proxy forwards, not validated; s is NULL if none does. */
struct span public_forwarded_host(struct request *q);

/* For proxies that do not remove the prefix: the part of `path` after it; NULL: the path does not begin with the prefix. */
const char *public_inside(struct request *q, const char *path);

/* The client's address (proxy.h). */
void public_client(struct request *q, char *dst, size_t size);

#endif
