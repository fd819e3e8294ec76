/*
 * http_ask: a request to another HTTP server: what the caller specifies, its checks, and its bytes on the wire. Floor F2, any thread,
 * pure.
 */
#ifndef NET_CLIENT_HTTP_ASK_H
#define NET_CLIENT_HTTP_ASK_H

#include "net/http.h"
#include "net/http_url.h"

struct evbuffer;

struct http_ask {
	enum http_method method; /* not HTTP_OTHER */
	const char *url;
	const char *host; /* the Host header; NULL: host and port of the URL */
	const struct http_header *headers;
	size_t n_headers;
	const void *body; /* copied */
	size_t body_len;
	int64_t timeout_ms; /* from http_client_ask to the complete response; 0: 30 s */
	size_t max_body;    /* bytes of the response body; 0: 1 MiB */
	/* Deliver the body of a 2xx response as http_result_source. The request then counts as answered when the head of the response is
	 * complete; timeout_ms and max_body do not apply to the body. The source reports an error if nothing arrives for
	 * HTTP_BODY_IDLE_MS while the reader waits. */
	bool streams;
};

/* 0 and the parsed URL, or -ERR_INVALID with a static sentence (ret_why may be NULL). */
int http_ask_check(const struct http_ask *ask, struct http_url *ret_url, const char **ret_why);
/* Request line, headers and body of a request that http_ask_check accepted. The caller frees the buffer. */
struct evbuffer *http_ask_write(const struct http_ask *ask, const struct http_url *url);

#endif
