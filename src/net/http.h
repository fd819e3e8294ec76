/*
 * http: HTTP/1.1 server. Floor F2, loop thread only, never blocks. The only room that knows libevhtp is http_server.c; in
 * front of its parser stands a strict gate (http_gate.c) that lets whole, sane heads through, one request at a time, and
 * answers what it refuses itself.
 *
 * Life of a request: handler(req) is called once head and body are there → the handler keeps the pointer → http_reply()
 * exactly once, now or later. The pointer is valid until then, whatever the client does: a client that goes away is noticed
 * when writing, and the reply is dropped. Everything it returns is borrowed until the reply.
 * Not for: routes, JSON, tokens (src/api).
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "lucid/loop.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };
const char *http_method_name(enum http_method m);

struct http_limits {
	size_t max_body;	/* bytes; over it 413 */
	size_t max_head;	/* bytes; over it 431; at most 64 header lines whatever this says */
	size_t max_connections; /* over all listeners; beyond it a new connection gets 503 and is closed */
	unsigned head_timeout_s; /* absolute, from the first byte of a head to its end */
	unsigned body_timeout_s; /* absolute, from the end of the head to the end of the body */
	unsigned idle_timeout_s; /* between requests */
};

struct http_server;
struct http_req;
struct http_tls; /* net/tls.h */
typedef void (*http_handler)(struct http_req *r, void *arg);
/* What the gate refuses is answered with the body that this makes (JSON error page); text is static. NULL: no body. */
#define HTTP_ID_SIZE 65
/* ret_id gets the X-Request-ID of the answer; peer is who sent it. */
typedef struct blob *(*http_refusal)(int status, const char *why, const char *peer, char ret_id[HTTP_ID_SIZE], void *arg);

/* For requests that begin from now on. */
void http_server_body_timeout(struct http_server *s, unsigned seconds);
struct http_server *http_server_new(struct loop *l, const struct http_limits *limits, http_handler handler,
				    http_refusal refusal, void *arg);
/* Take requests from a bound or listening socket (made non-blocking here; stays the caller's to close after
 * http_server_free). `tag` comes back from http_req_tag. `secure`: with TLS, as http_server_tls sets it before or after; a Unix
 * socket stays plain all the same. 0 or a negated errs code. */
int http_server_listen(struct http_server *s, int fd, int tag, bool secure);
/* Certificate, key and authorities of secure listeners, from the next connection on; those there are keep theirs. 0, or
 * -ERR_INVALID with a sentence in why[size], and then what was set stays. */
int http_server_tls(struct http_server *s, const struct http_tls *t, char *why, size_t size);
/* Stop accepting, close idle connections, let requests under way finish (their answers say Connection: close), then call
 * done; at the latest after grace_ms. */
void http_server_drain(struct http_server *s, int64_t grace_ms, void (*done)(void *arg), void *arg);
void http_server_free(struct http_server *s); /* only when drained or with no request unanswered */
size_t http_server_connections(const struct http_server *s);
/* Counted since the start: connections refused over the cap, requests refused by the gate. */
void http_server_counts(const struct http_server *s, uint64_t *ret_accepted, uint64_t *ret_refused, uint64_t *ret_capped);

enum http_method http_req_method(const struct http_req *r);
const char *http_req_path(const struct http_req *r);  /* raw, without the query; begins with '/' */
const char *http_req_query(const struct http_req *r); /* raw, NULL when there is no '?' */
/* Value of the header, names compared without case; NULL if absent. `ret_again` (may be NULL): it came more than once. */
const char *http_req_header(const struct http_req *r, const char *name, bool *ret_again);
const char *http_req_body(const struct http_req *r, size_t *ret_len); /* contiguous; NULL when empty */
const char *http_req_peer(const struct http_req *r);		      /* "192.0.2.1", "::1", "unix" */
int http_req_tag(const struct http_req *r);
int64_t http_req_started_us(const struct http_req *r); /* clock_mono_us when its head was complete */
/* Room for the handler's own state, zeroed for each request, kept until the reply. */
#define HTTP_REQ_STATE 512
void *http_req_state(struct http_req *r);

struct http_header {
	const char *name, *value; /* values with CR, LF or NUL are a programming error and are dropped with a log line */
};
/* Answer. Content-Length, Date, Connection are added here; for HEAD the body is left out and its length kept; 204 and 304
 * have none. `body` is copied, or with body_blob referenced. */
void http_reply(struct http_req *r, int status, const struct http_header *headers, size_t n, const void *body, size_t len);
void http_reply_blob(struct http_req *r, int status, const struct http_header *headers, size_t n, struct blob *body);

/*
 * An answer that goes on, of one of two kinds, with status 200 and without a length. It lives until http_stream_end or _drop, or
 * until `gone` is called: the client has gone, stalled, or the server is freed. After either the request is gone.
 *
 * HTTP_STREAM_OPEN: nobody knows its end; the connection is closed with it, what the client still sends is thrown away, and a
 * drain ends it. From its begin on nothing that http_req_* returned may be used but http_req_state.
 * HTTP_STREAM_BODY: it has an end, which the client can tell from its breaking off: it goes in chunks, and to HTTP/1.0, which
 * has none, until the connection is closed. What http_req_* returned stays; a drain waits for it; requests may follow. A client
 * that closes its sending side has gone, or a source that waits would wait for ever; but not one of HTTP/1.0, which may do so.
 */
enum http_stream_kind { HTTP_STREAM_OPEN, HTTP_STREAM_BODY };
struct http_stream_events {
	void (*gone)(void *arg);
	void (*room)(void *arg); /* all that was written has left, some of it after it had waited; NULL: not of interest */
};
/* False: it was answered and is over already, nothing will be called: a HEAD, a client that has gone; OPEN: a drain. */
bool http_stream_begin(struct http_req *r, enum http_stream_kind kind, const struct http_header *headers, size_t n,
		       const struct http_stream_events *events, void *arg);
/* Send, by reference where the socket does not take it at once. False, and nothing sent: more than max bytes would wait for
 * the client. Calls nobody back. */
bool http_stream_write(struct http_req *r, struct blob *b, size_t max);
size_t http_stream_backlog(struct http_req *r); /* bytes that wait for the client */
void http_stream_end(struct http_req *r);  /* what was written still leaves */
void http_stream_drop(struct http_req *r); /* at once */

#endif
