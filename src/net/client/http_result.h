/*
 * http_result: the outcome of one request, as the callback of http_client_ask gets it. Floor F2, loop thread only.
 */
#ifndef NET_CLIENT_HTTP_RESULT_H
#define NET_CLIENT_HTTP_RESULT_H

#include "lucid/source.h"
#include "net/client/http_answer.h"

enum http_outcome {
	HTTP_ANSWERED,	 /* a complete response, or with `streams` its head, whatever its status */
	HTTP_NEVER_SENT, /* not a byte was sent (no address, connection refused, time-out while connecting): safe to retry */
	HTTP_UNCERTAIN,	 /* bytes were sent, but no usable response came: the server may have performed the request */
};

/* Filled in by http_call.c; everyone else uses the functions below. */
struct http_result {
	enum http_outcome outcome;
	int status;
	const char *why;
	struct http_answer *answer;
	struct source *source;
};

enum http_outcome http_result_outcome(const struct http_result *r);
int http_result_status(const struct http_result *r);			    /* 0 unless HTTP_ANSWERED */
const char *http_result_why(const struct http_result *r);		    /* the reason as text; "" if HTTP_ANSWERED */
const char *http_result_body(const struct http_result *r, size_t *ret_len); /* contiguous; NULL if empty */
/* The body as a source; NULL unless the request had `streams` and the status is 2xx. Take a reference to read it. Releasing the last
 * reference before the end closes the connection. A source that outlives the client reports an error. */
struct source *http_result_source(const struct http_result *r);
const char *http_result_header(const struct http_result *r, const char *name); /* NULL if absent or not HTTP_ANSWERED */

#endif
