#include "api/answer/reply.h"

#include "api/answer/account.h"
#include "api/answer/head.h"
#include "api/request.h"

static void reply_bytes(struct request *q, int status, struct answer_head *h, const void *body, size_t len)
{
	account_request(q, status, len);
	http_reply(q->http, status, h->list, h->n, body, len);
}

void reply_with_head(struct request *q, int status, struct answer_head *h, struct blob *body)
{
	if (!body) {
		reply_bytes(q, status, h, NULL, 0);
		return;
	}
	account_request(q, status, body->len);
	http_reply_blob(q->http, status, h->list, h->n, body);
}

void reply_text(struct request *q, int status, const char *type, const void *body, size_t len)
{
	struct answer_head h;
	head_begin(q, &h, type);
	reply_bytes(q, status, &h, body, len);
}

void reply_blob(struct request *q, int status, const char *type, struct blob *body)
{
	struct answer_head h;
	head_begin(q, &h, type);
	reply_with_head(q, status, &h, body);
}

bool reply_stream(struct request *q, enum http_stream_kind kind, const struct reply *r, const struct http_stream_events *events, void *arg)
{
	struct answer_head h;
	head_begin(q, &h, r->type);
	if (r->disposition)
		head_add(&h, "Content-Disposition", r->disposition);
	head_add_reply(&h, r->headers);
	if (kind == HTTP_STREAM_OPEN) {
		head_add(&h, "X-Accel-Buffering", "no"); /* nginx must not buffer the stream */
		account_request(q, 200, 0);
	} else if (q->method == HTTP_HEAD) {
		account_request(q, 200, 0);
	}
	return http_stream_begin(q->http, kind, h.list, h.n, events, arg);
}

void reply_streamed(struct request *q, size_t bytes)
{
	account_request(q, 200, bytes);
}

void reply_options(struct request *q)
{
	struct answer_head h;
	head_begin(q, &h, NULL);
	head_add(&h, "Allow", q->endpoint->allow);
	reply_with_head(q, 204, &h, NULL);
}
