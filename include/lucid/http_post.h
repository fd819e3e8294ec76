/*
 * http_post: posts documents to HTTP servers outside of the installation, such as receivers of webhooks. Floor F2 (implemented in
 * src/net/client), loop thread only, never blocks. http:// and https:// URLs only. With https:// the receiver must present a certificate for the
 * host of the URL, issued by an authority that the system trusts.
 *
 * Redirects are not followed. Nothing is retried. Not for: calls to other roles (lucid/bus.h), and anything but the status of the response.
 */
#ifndef LUCID_HTTP_POST_H
#define LUCID_HTTP_POST_H

#include "lucid/loop.h"

#define HTTP_POST_HEADERS_MAX 8

struct http_poster;
struct http_post_header {
	const char *name, *value;
};
/* Borrowed during http_post. */
struct http_post {
	const char *url;
	const char *type; /* Content-Type */
	const struct http_post_header *headers;
	size_t n_headers; /* at most HTTP_POST_HEADERS_MAX */
	const void *body;
	size_t len;
	int64_t timeout_ms; /* from http_post to the complete response, names and connection included; 0: 30 s */
};

/* At most max_in_flight requests at a time. http_poster_free ends all of them: their callbacks get status 0. */
struct http_poster *http_poster_new(struct loop *l, unsigned max_in_flight);
void http_poster_free(struct http_poster *p); /* takes NULL; not from a callback */

/* Called exactly once, never from within http_post. status: that of the response, whatever it is; 0: there is no complete response, and `why`
 * says so. The receiver may have acted on the request in any case. `why` is static. */
typedef void (*http_posted)(int status, const char *why, void *arg);
/* 0, -ERR_INVALID (URL or a header; *ret_why says which, in static text) or -ERR_BUSY; on an error the callback is not called. */
int http_post(struct http_poster *p, const struct http_post *post, http_posted done, void *arg, const char **ret_why);

#endif
