#include "api/idempotency/kept.h"

#include "api/answer/error.h"
#include "api/answer/head.h"
#include "api/answer/operation.h"
#include "api/answer/reply.h"

static char *copy_of(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

void kept_done(struct kept *k)
{
	blob_unref(k->body);
	free(k->location);
	free(k->type);
}

void kept_from(struct kept *ret, const struct request *q, const struct reply *r)
{
	if (r->err) {
		struct error_page e = { .err = r->err, .message = r->message, .details = r->details, .retry_after_s = r->retry_after_s };
		*ret = (struct kept){ .status = err_status(r->err), .retry_after_s = error_retry_s(&e), .body = error_body(q, &e) };
		return;
	}
	*ret = (struct kept){ .status = r->status,
			      .version = r->version,
			      .location = copy_of(r->location),
			      .type = copy_of(r->type),
			      .body = operation_body(r) };
}

void kept_write(const struct kept *k, json_t *doc)
{
	doc_set_int(doc, "status", k->status);
	doc_set_int(doc, "object_version", k->version);
	doc_set_int(doc, "retry_after", k->retry_after_s);
	doc_set_str(doc, "location", k->location);
	doc_set_str(doc, "type", k->type);
	doc_set_str(doc, "body", k->body ? k->body->data : NULL);
}

void kept_read(struct kept *ret, const json_t *doc)
{
	const char *body = doc_str(doc, "body", NULL);
	*ret = (struct kept){ .status = (int)doc_int(doc, "status", 500),
			      .version = doc_int(doc, "object_version", 0),
			      .retry_after_s = (unsigned)doc_int(doc, "retry_after", 0),
			      .location = copy_of(doc_str(doc, "location", NULL)),
			      .type = copy_of(doc_str(doc, "type", NULL)),
			      .body = body ? blob_new(body, strlen(body)) : NULL };
}

void kept_reply(const struct kept *k, struct request *q, bool again)
{
	struct answer_head h;
	head_begin(q, &h, !k->body ? NULL : k->type ? k->type : REPLY_JSON);
	head_add_etag(&h, k->version);
	head_add_location(q, &h, k->location);
	head_add_retry(&h, k->retry_after_s);
	if (again)
		head_add(&h, "Idempotency-Replayed", "true");
	reply_with_head(q, k->status, &h, k->body);
}
