/*
 * http_client: ask another HTTP server, without waiting. Floor F2, loop thread only, never blocks: literal addresses are
 * dialled at once, names go through evdns (resolv.conf, hosts). Connections are kept and used again, one request at a time on
 * each; what finds all connections to its place in use waits for one, and past a bound is refused at once. http://, https:// and unix: are spoken (http_url.h); user:password@ is refused with ERR_INVALID. With https:// the other
 * side must have a certificate of the host that was asked for, of an authority that is trusted. Redirects are not followed,
 * nothing is tried twice: whether trying again is safe is the caller's to know, and the outcome says what it needs for that.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "lucid/source.h"
#include "net/http.h"

struct http_client;
struct http_call;
struct http_result;

enum http_outcome {
	HTTP_ANSWERED,	 /* status, headers and body are there, whatever the status */
	HTTP_NEVER_SENT, /* not one byte left: no address, refused, timed out while dialling; safe to try again */
	HTTP_UNCERTAIN,	 /* lost or timed out after bytes had left, or the answer was unusable; it may have been done */
};

struct http_ask {
	enum http_method method; /* not HTTP_OTHER */
	const char *url;
	const struct http_header *headers;
	size_t n_headers;
	const void *body; /* copied */
	size_t body_len;
	int64_t timeout_ms; /* for all of it; 0: 30 s */
	size_t max_body;    /* of the answer; 0: 1 MiB */
	/* The body of a 2xx comes as http_result_source, of whatever length: answered is then what has answered its head, and neither
	 * timeout_ms nor max_body bind what follows. It breaks off when nothing comes for HTTP_BODY_IDLE_MS though more is wanted. */
	bool streams;
};

/* At most max_in_flight calls at one time, waiting ones too. Free ends those under way: their callbacks come with NEVER_SENT or UNCERTAIN. */
struct http_client *http_client_new(struct loop *l, unsigned max_in_flight);
void http_client_free(struct http_client *c); /* takes NULL; not from a callback */
/* To one host and port, or socket: at most so many connections with a call on them, and calls that wait for one. As many as
 * there may be calls, and none that wait, unless this says otherwise. */
void http_client_limit_place(struct http_client *c, unsigned connections, unsigned waiting);
/* Of all answers that are not whole yet, together; what would exceed it fails. No bound unless this says otherwise. */
void http_client_limit_answers(struct http_client *c, size_t bytes);
/* For https:// from now on: authorities that are trusted besides the system's, and the certificate to show when asked. 0, or
 * -ERR_INVALID with a sentence in why[size]. May be called again; before it there are the system's authorities alone. */
int http_client_tls(struct http_client *c, const struct http_tls *t, char *why, size_t size);

/* Called exactly once, never from within http_client_ask; res and all it returns is borrowed until it comes back. */
typedef void (*http_client_cb)(const struct http_result *res, void *arg);

/* 0, -ERR_INVALID (URL, method or header, ret_why says which) or -ERR_BUSY (a bound of the above is reached); then there is no
 * callback. ret_why and ret_call may be NULL; the call is valid until its callback. */
int http_client_ask(struct http_client *c, const struct http_ask *ask, http_client_cb cb, void *arg, const char **ret_why,
		    struct http_call **ret_call);
/* Give it up: no callback comes. */
void http_client_cancel(struct http_call *call);
unsigned http_client_in_flight(const struct http_client *c);

/* A connection of its own, for http_feed.c, with the client's resolver and certificates. NULL with a sentence. */
struct link;
struct link_events;
struct http_url;
struct link *http_client_dial(struct http_client *c, const struct http_url *place, const struct link_events *events, void *arg,
			      const char **ret_why);
void http_client_drop(struct http_client *c, struct link *k); /* freed at the end of the turn */

#define HTTP_BODY_IDLE_MS 30000
enum http_outcome http_result_outcome(const struct http_result *r);
int http_result_status(const struct http_result *r);	    /* 0 unless answered */
const char *http_result_why(const struct http_result *r);   /* for people, "" when answered */
const char *http_result_body(const struct http_result *r, size_t *ret_len); /* contiguous; NULL when empty */
/* The body in pieces; NULL unless that was asked for and the status is 2xx. Take a reference to read it; with the last one let
 * go before its end, the connection is closed. It outlives the client, and then breaks off. */
struct source *http_result_source(const struct http_result *r);
const char *http_result_header(const struct http_result *r, const char *name); /* NULL when absent or not answered */

#endif
