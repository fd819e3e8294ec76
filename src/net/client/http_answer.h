/*
 * http_answer: parser of an HTTP/1.x response: head, then a body of known length, in chunks, or up to the end of the connection.
 * Floor F2, loop thread; every size is bounded. Not for: connections (http_link.h).
 */
#ifndef NET_CLIENT_HTTP_ANSWER_H
#define NET_CLIENT_HTTP_ANSWER_H

#include "net/http.h"

struct evbuffer;

enum answer_part { ANSWER_HEAD, ANSWER_LENGTH, ANSWER_TO_END, ANSWER_CHUNK_SIZE, ANSWER_CHUNK, ANSWER_CHUNK_END, ANSWER_TRAILER, ANSWER_DONE, ANSWER_BAD };
#define ANSWER_HEADERS 64

struct http_answer {
	enum answer_part part;
	bool bodyless;	 /* the response to HEAD */
	bool keep;	 /* the connection may carry another request */
	int status;
	const char *why; /* ANSWER_BAD: the reason; static */
	unsigned heads;	 /* interim responses (1xx) included */
	size_t max_body, trailer;
	uint64_t left; /* bytes of the body or chunk still to come */
	char *head;    /* each line terminated; headers point into it */
	struct http_header headers[ANSWER_HEADERS];
	size_t n_headers;
	struct evbuffer *body;
};

void http_answer_init(struct http_answer *a, bool bodyless, size_t max_body);
void http_answer_done(struct http_answer *a); /* may be initialised again afterwards */
/* Consumes the bytes of the response from `in`. More input is needed until part is ANSWER_DONE or ANSWER_BAD. */
void http_answer_feed(struct http_answer *a, struct evbuffer *in);
/* The peer has closed the connection: part becomes ANSWER_DONE or ANSWER_BAD. */
void http_answer_end(struct http_answer *a);
const char *http_answer_header(const struct http_answer *a, const char *name);

#endif
