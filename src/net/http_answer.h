/*
 * http_answer: reads the answer to one request out of what a connection brings. Floor F2, loop thread; every size is bounded.
 * Not for: connections (http_link.h).
 */
#ifndef NET_HTTP_ANSWER_H
#define NET_HTTP_ANSWER_H

#include "net/http.h"

struct evbuffer;

enum answer_part { ANSWER_HEAD, ANSWER_LENGTH, ANSWER_TO_END, ANSWER_CHUNK_SIZE, ANSWER_CHUNK, ANSWER_CHUNK_END, ANSWER_TRAILER, ANSWER_DONE, ANSWER_BAD };
#define ANSWER_HEADERS 64

struct http_answer {
	enum answer_part part;
	bool bodyless;	 /* it answers HEAD */
	bool keep;	 /* the connection may carry another request */
	int status;
	const char *why; /* BAD: what is wrong with it; static */
	unsigned heads;	 /* interim ones count too */
	size_t max_body, trailer;
	uint64_t left; /* of the body, or of the chunk */
	char *head;    /* its lines, terminated each; names and values point into it */
	struct http_header headers[ANSWER_HEADERS];
	size_t n_headers;
	struct evbuffer *body;
};

void http_answer_init(struct http_answer *a, bool bodyless, size_t max_body);
void http_answer_done(struct http_answer *a); /* as it was before init */
/* Take what belongs to the answer from `in`; until part is DONE or BAD, more is wanted. */
void http_answer_feed(struct http_answer *a, struct evbuffer *in);
/* Nothing more will come: DONE or BAD from here on. */
void http_answer_end(struct http_answer *a);
const char *http_answer_header(const struct http_answer *a, const char *name);

#endif
