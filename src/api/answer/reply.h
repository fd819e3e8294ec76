/* reply: answers requests, and counts and logs them (account.h). Floor F5, loop thread only, never blocks. Call one of these functions once
 * for each request; except after reply_stream, q is invalid afterwards. */
#ifndef API_ANSWER_REPLY_H
#define API_ANSWER_REPLY_H

#include "lucid/base.h"
#include "net/http.h"

#define REPLY_JSON "application/json"

struct request;
struct answer_head;
struct reply; /* lucid/bus.h */

/* `h` was begun with head_begin. */
void reply_with_head(struct request *q, int status, struct answer_head *h, struct blob *body); /* NULL: none */

void reply_text(struct request *q, int status, const char *type, const void *body, size_t len);
void reply_blob(struct request *q, int status, const char *type, struct blob *body);
void reply_options(struct request *q);

/* Begins a streamed response with the type, file name and headers of r, as http_stream_begin; q stays valid. HTTP_STREAM_OPEN is counted and logged now, and its request headers are
 * freed; for HTTP_STREAM_BODY call reply_streamed at the end. */
bool reply_stream(struct request *q, enum http_stream_kind kind, const struct reply *r, const struct http_stream_events *events, void *arg);
void reply_streamed(struct request *q, size_t bytes);

#endif
