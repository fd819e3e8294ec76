/* head: the headers of a response. Floor F5, loop thread only, never blocks. */
#ifndef API_ANSWER_HEAD_H
#define API_ANSWER_HEAD_H

#include "api/answer/cors.h"
#include "api/answer/etag.h"
#include "api/proxy/public_url.h"
#include "lucid/bus.h"
#include "net/http.h"

#define ANSWER_LINES (19 + CORS_HEADERS) /* with REPLY_HEADERS of the operation */

/* Names are static; values are static, or belong to the request or this struct. */
struct answer_head {
	struct http_header list[ANSWER_LINES];
	size_t n;
	char location[PUBLIC_PREFIX_MAX + 512];
	char etag[ETAG_SIZE], limit[21], remaining[21], reset[21], retry[21];
};

/* The headers that every response has. NULL type: no body. */
void head_begin(struct request *q, struct answer_head *h, const char *type);
void head_add(struct answer_head *h, const char *name, const char *value);
void head_add_reply(struct answer_head *h, const struct reply_header headers[REPLY_HEADERS]);
void head_set(struct answer_head *h, const char *name, const char *value); /* replaces the value of a header */
/* For 0 or NULL, these add nothing. */
void head_add_etag(struct answer_head *h, int64_t version);
void head_add_retry(struct answer_head *h, unsigned seconds);
/* Location with the public prefix (proxy/public_url.h), as the client must request it. */
void head_add_location(struct request *q, struct answer_head *h, const char *path);

#endif
