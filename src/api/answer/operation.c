#include "api/answer/operation.h"

#include "api/answer/error.h"
#include "api/answer/head.h"
#include "api/answer/pour.h"
#include "api/answer/reply.h"
#include "api/audit/requests.h"
#include "api/request.h"

struct blob *operation_body(const struct reply *r)
{
	return r->blob ? blob_ref(r->blob) : r->doc ? doc_blob(r->doc) : NULL;
}

static bool not_modified(struct request *q, const struct reply *r)
{
	if (!r->version || !(q->op->flags & OP_READ))
		return false;
	const char *list = http_req_header(q->http, "If-None-Match", NULL);
	return list && etag_list_has(list, r->version);
}

static void reply_success(struct request *q, const struct reply *r)
{
	struct answer_head h;
	bool empty = !r->blob && !r->doc;
	audit_request(q, 0, r->location);
	if (r->source) {
		pour(q, r);
		return;
	}
	head_begin(q, &h, empty ? NULL : r->type ? r->type : REPLY_JSON);
	head_add_etag(&h, r->version);
	head_add_location(q, &h, r->location);
	if (r->disposition)
		head_add(&h, "Content-Disposition", r->disposition);
	head_add_reply(&h, r->headers);
	if (not_modified(q, r)) {
		reply_with_head(q, 304, &h, NULL);
		return;
	}
	_cleanup_(blob_unrefp) struct blob *body = operation_body(r);
	reply_with_head(q, r->status, &h, body);
}

void operation_answered(const struct reply *r, void *request)
{
	struct request *q = request;
	list_remove(&q->node);
	if (!r->err) {
		reply_success(q, r);
		return;
	}
	reply_error(
	    q, &(struct error_page){
		   .err = r->err, .message = r->message, .details = r->details, .retry_after_s = r->retry_after_s });
}

int operation_if_match(struct request *q, int64_t *ret, const char **ret_why)
{
	bool again = false;
	const char *header = http_req_header(q->http, "If-Match", &again);
	if (!header)
		return 0;
	switch (again ? ETAG_BAD : etag_wanted(header, ret)) {
	case ETAG_ANY:
		*ret = 0;
		return 0;
	case ETAG_VERSION:
		return 0;
	case ETAG_NEVER:
		*ret_why = "If-Match is not an ETag of this object; read the object and send its ETag";
		return -ERR_STALE;
	default:
		*ret_why = "If-Match must be a single quoted ETag from a response, or *";
		return -ERR_MALFORMED;
	}
}
