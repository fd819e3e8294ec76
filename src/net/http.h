/*
 * http: HTTP/1.1 server. Floor F2, loop thread only, never blocks. Its modules are in src/net/server (http_conn.h lists them).
 *
 * Life of a request: handler(req) is called when head and body are complete → the handler keeps the pointer → it calls http_reply()
 * exactly once, immediately or later. The pointer is valid until then, even if the client disconnects; the reply is then discarded.
 * Everything that http_req_* returns is borrowed until the reply.
 * Not for: routes, JSON, tokens (src/api).
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <sys/types.h>

#include "lucid/loop.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };
const char *http_method_name(enum http_method m);

struct http_limits {
	size_t max_body;	/* bytes; a larger body gets 413 */
	size_t max_head;	/* bytes; a larger head gets 431, and so do more than 64 header lines */
	size_t max_connections; /* of all listeners; beyond it a new connection gets 503 and is closed */
	unsigned head_timeout_s; /* absolute, from the first byte of a head to its end */
	unsigned body_timeout_s; /* absolute, from the end of the head to the end of the body */
	unsigned idle_timeout_s; /* between requests */
	unsigned linger_timeout_s; /* for a refused client to read the reply; 0: HTTP_LINGER_S */
	size_t max_per_address; /* of max_connections; 0: no limit. Beyond it the longest idle connection of that address is closed; if none
				 * is idle, the new one gets 503 */
};
#define HTTP_LINGER_S 2

struct http_server;
struct http_req;
struct http_tls; /* net/tls.h */
typedef void (*http_handler)(struct http_req *r, void *arg);
#define HTTP_ID_SIZE 65
/* Makes the body (a JSON error page) of the reply to a request that the server itself refuses; `why` is static. ret_id gets the
 * X-Request-ID of the reply. NULL: no body. */
typedef struct blob *(*http_refusal)(int status, const char *why, const char *peer, char ret_id[HTTP_ID_SIZE], void *arg);

/* True: connections of this address are not limited by max_per_address, as a proxy's represent many clients. Unix sockets never are. */
typedef bool (*http_exempt)(const char *peer, void *arg);
void http_server_exempt(struct http_server *s, http_exempt exempt);
/* Sets body_timeout_s for new requests. */
void http_server_body_timeout(struct http_server *s, unsigned seconds);
struct http_server *http_server_new(struct loop *l, const struct http_limits *limits, http_handler handler,
				    http_refusal refusal, void *arg);
/* Accepts connections on a bound or listening socket, which becomes non-blocking; the caller closes it after http_server_free.
 * http_req_tag returns `tag`. `secure`: TLS, with the settings of http_server_tls before or after; a Unix socket is always plain. 0 or a
 * negated errs code. */
int http_server_listen(struct http_server *s, int fd, int tag, bool secure);
/* Sets certificate, key and authorities of secure listeners for new connections; existing ones keep theirs. 0, or -ERR_INVALID with a
 * sentence in why[size]; the previous settings then stay. */
int http_server_tls(struct http_server *s, const struct http_tls *t, char *why, size_t size);
/* Stops accepting, closes idle connections, lets requests in flight complete (their replies say Connection: close), then calls done;
 * after grace_ms at the latest. */
void http_server_drain(struct http_server *s, int64_t grace_ms, void (*done)(void *arg), void *arg);
void http_server_free(struct http_server *s); /* only after a drain, or if no request is unanswered */
size_t http_server_connections(const struct http_server *s);
/* Totals since the start: connections accepted, requests refused by the gate, connections refused because of a limit. */
void http_server_counts(const struct http_server *s, uint64_t *ret_accepted, uint64_t *ret_refused, uint64_t *ret_capped);

enum http_method http_req_method(const struct http_req *r);
const char *http_req_path(const struct http_req *r);  /* raw, without the query; begins with '/' */
const char *http_req_query(const struct http_req *r); /* raw, NULL when there is no '?' */
/* host[:port] of the request target, else of the Host header; NULL: an HTTP/1.0 client sent neither. */
const char *http_req_host(const struct http_req *r);
/* The value of a header, whose name is compared without case; NULL if absent. `ret_again` (may be NULL): it occurs more than once. */
const char *http_req_header(const struct http_req *r, const char *name, bool *ret_again);
/* The values of all headers of that name in order, at most max; returns how many. */
size_t http_req_headers(const struct http_req *r, const char *name, const char *ret[], size_t max);
const char *http_req_body(const struct http_req *r, size_t *ret_len); /* contiguous; NULL when empty */
const char *http_req_peer(const struct http_req *r);		      /* "192.0.2.1", "::1", "unix" */
int http_req_tag(const struct http_req *r);
int64_t http_req_started_us(const struct http_req *r); /* clock_mono_us when its head was complete */
/* Space for the handler's own state, zeroed for each request, valid until the reply. */
#define HTTP_REQ_STATE 512
void *http_req_state(struct http_req *r);

struct http_header {
	const char *name, *value; /* a control character in a value is a programming error: the header is omitted and logged */
};
/* Sends the reply with Content-Length, Date and Connection. The reply to HEAD has the length of the body but not the body; 204 and 304 have
 * neither. `body` is copied; http_reply_blob takes a reference instead. */
void http_reply(struct http_req *r, int status, const struct http_header *headers, size_t n, const void *body, size_t len);
void http_reply_blob(struct http_req *r, int status, const struct http_header *headers, size_t n, struct blob *body);

/*
 * A streamed reply with status 200 and without a length. It lasts until http_stream_end or http_stream_drop, or until `gone` is called
 * because the client disconnected or stalled, or the server is freed. After any of them the request is freed.
 *
 * HTTP_STREAM_OPEN: without a defined end, such as an event stream. The connection is closed with it, input from the client is discarded,
 * and a drain ends it. From http_stream_begin on, of the results of http_req_* only http_req_state may be used.
 * HTTP_STREAM_BODY: with an end that the client can distinguish from a truncation: sent in chunks; to HTTP/1.0, up to the end of the
 * connection. The results of http_req_* stay valid, a drain waits for it, and the connection can carry further requests. A client that
 * closes its sending side counts as disconnected, as a waiting source would wait for ever; except with HTTP/1.0, where clients do that.
 */
enum http_stream_kind { HTTP_STREAM_OPEN, HTTP_STREAM_BODY };
struct http_stream_events {
	void (*gone)(void *arg);
	void (*room)(void *arg); /* the backlog has been sent completely; may be NULL */
};
/* False: the reply has already ended and no callback comes: to HEAD, if the client disconnected, and for OPEN during a drain. */
bool http_stream_begin(struct http_req *r, enum http_stream_kind kind, const struct http_header *headers, size_t n,
		       const struct http_stream_events *events, void *arg);
/* Sends a blob; what the socket does not take at once is queued by reference. False, and nothing is sent: the queue would exceed max bytes.
 * After a disconnect, data is discarded until `gone` is called. Never calls a callback. */
bool http_stream_write(struct http_req *r, struct blob *b, size_t max);
size_t http_stream_backlog(struct http_req *r); /* bytes queued for the client */
void http_stream_end(struct http_req *r);  /* the queue is still sent */
void http_stream_drop(struct http_req *r); /* closes the connection at once */

/*
 * An upgraded connection (RFC 9110 7.8): after a 101 the bytes of both directions belong to the endpoint. The server still provides what
 * every connection has: the limits, TLS, and the idle timeout for a client that does not read. The connection lasts until http_stream_end
 * or http_stream_drop, or until `gone` is called. http_stream_write, _backlog, _end and _drop work as for a stream. From the upgrade on,
 * of the results of http_req_* only http_req_state may be used.
 *
 * Back-pressure: at most HTTP_UPGRADE_IN bytes are buffered for the endpoint; then the server stops reading until the endpoint has taken
 * some. In the other direction, http_stream_write refuses what exceeds the endpoint's own limit.
 */
#define HTTP_UPGRADE_IN 65536
struct http_upgrade_events {
	struct http_stream_events stream;
	/* Data has arrived, or the client has closed its sending side. Called again only when more arrives: an endpoint that leaves bytes
	 * unread must read them itself later. */
	void (*readable)(void *arg);
	/* The server drains: end the connection soon, or it is closed at the end of the grace time. Called once; may be NULL. */
	void (*drain)(void *arg);
};
/*
 * The opening handshake of WebSocket (RFC 6455 4.2). True: a 101 with Sec-WebSocket-Accept and the given headers (such as a chosen
 * Sec-WebSocket-Protocol) was sent, and the connection belongs to the endpoint. False: the request has been answered, and no callback
 * comes: 426 if it does not ask for an upgrade or asks for another version, 400 if the handshake is malformed, 503 during a drain. The
 * endpoint must check the token and the Origin before. Not for: frames.
 */
bool http_upgrade_websocket(struct http_req *r, const struct http_header *headers, size_t n, const struct http_upgrade_events *events,
			    void *arg);
/* Reads up to size bytes. 0: no data at present; -1: end of data. */
ssize_t http_upgrade_read(struct http_req *r, void *dst, size_t size);

#endif
