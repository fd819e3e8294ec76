#include "api/core.h"

#include "api/etag.h"
#include "lucid/clock.h"
#include "lucid/metrics.h"
#include "sys/log.h"

#define JSON_TYPE "application/json"
#define HEADS (14 + CORS_HEADERS)
#define QUOTA_RETRY_S 30 /* others stop servers when they like; a busy node is measured anew by then */

/* The head of an answer: static names, values in the request, in here, or static too. */
struct head {
	struct http_header list[HEADS];
	size_t n;
	char etag[ETAG_SIZE], limit[21], remaining[21], reset[21], retry[21];
};

static void add(struct head *h, const char *name, const char *value)
{
	h->list[h->n++] = (struct http_header){ name, value };
}

static const char *number(char dst[21], uint64_t v)
{
	dst[str_fmt_u64(dst, v)] = 0;
	return dst;
}

static void head_begin(struct request *q, struct head *h, const char *type)
{
	h->n = 0;
	if (type)
		add(h, "Content-Type", type);
	add(h, "X-Request-ID", q->id);
	add(h, "Cache-Control", "no-store");
	add(h, "X-Content-Type-Options", "nosniff");
	h->n += cors_headers(q, h->list + h->n);
	if (!q->rate.limit)
		return;
	add(h, "RateLimit-Limit", number(h->limit, q->rate.limit));
	add(h, "RateLimit-Remaining", number(h->remaining, q->rate.remaining));
	add(h, "RateLimit-Reset", number(h->reset, q->rate.reset_s));
}

/* --- what is counted and logged of each */

static struct series *series_of(struct request *q)
{
	struct endpoint *e = q->endpoint;
	struct series *s = e->series[q->method];
	if (!s) {
		s = e->series[q->method] = XNEW(struct series);
		s->seconds = metric_with(q->api->seconds, e->service, e->path, http_method_name(q->method));
	}
	return s;
}

static struct metric *counter_of(struct request *q, struct series *s, int status)
{
	size_t i = 0;
	for (; i < ARRAY_LEN(s->by_status) && s->by_status[i].count; i++)
		if (s->by_status[i].status == status)
			return s->by_status[i].count;
	char text[21];
	struct metric *m = metric_with(q->api->requests, q->endpoint->service, q->endpoint->path,
				       http_method_name(q->method), number(text, (uint64_t)status));
	if (i < ARRAY_LEN(s->by_status)) {
		s->by_status[i].status = status;
		s->by_status[i].count = m;
	}
	return m;
}

static void account(struct request *q, int status, size_t bytes)
{
	int64_t took_us = clock_mono_us() - http_req_started_us(q->http);
	struct series *s = series_of(q);
	metric_observe(s->seconds, (double)took_us / 1e6);
	metric_add(counter_of(q, s, status), 1);
	log_access(&(struct log_access){
	    .service = q->endpoint->service,
	    .method = http_method_name(q->method),
	    .endpoint = q->endpoint->path,
	    .request_id = q->id,
	    .principal = q->caller.sub[0] ? q->caller.sub : "-",
	    .client = q->caller.address,
	    .status = status,
	    .bytes = q->method == HTTP_HEAD || status == 304 ? 0 : bytes,
	    .duration_us = took_us,
	});
}

static void finish(struct request *q, int status, struct head *h, const void *body, size_t len)
{
	account(q, status, len);
	http_reply(q->http, status, h->list, h->n, body, len);
}

static void finish_blob(struct request *q, int status, struct head *h, struct blob *body)
{
	account(q, status, body->len);
	http_reply_blob(q->http, status, h->list, h->n, body);
}

/* --- errors */

static void add_member(struct strbuf *b, const char *before, const char *text)
{
	strbuf_puts(b, before);
	strbuf_json(b, text);
}

static void error_body(struct strbuf *b, int err, const char *message, const char *service, const char *id,
		       const json_t *details)
{
	char iso[CLOCK_ISO_SIZE];
	add_member(b, "{\"error\":{\"code\":", err_code(err));
	add_member(b, ",\"message\":", message ? message : err_text(err));
	add_member(b, ",\"service\":", service);
	add_member(b, ",\"version\":\"v1\",\"request_id\":", id);
	add_member(b, ",\"timestamp\":", clock_iso(iso, clock_wall_ms()));
	_cleanup_(xfreep) char *list = json_is_array(details) ? doc_text(details) : NULL;
	strbuf_puts(b, ",\"details\":");
	strbuf_puts(b, list ? list : "[]");
	strbuf_puts(b, "}}");
}

static unsigned retry_after(const struct error_page *e)
{
	if (e->retry_after_s)
		return e->retry_after_s;
	if (err_status(e->err) == 429)
		return QUOTA_RETRY_S;
	return err_status(e->err) == 503 && err_again(e->err) ? 2 : 0;
}

static void reply_error_status(struct request *q, int status, const struct error_page *e)
{
	struct head h;
	struct strbuf b = { 0 };
	audit_request(q, e->err, NULL);
	unsigned wait_s = retry_after(e);
	head_begin(q, &h, JSON_TYPE);
	if (wait_s)
		add(&h, "Retry-After", number(h.retry, wait_s));
	if (e->challenge)
		add(&h, "WWW-Authenticate", e->challenge);
	if (status == 405)
		add(&h, "Allow", q->endpoint->allow);
	error_body(&b, e->err, e->message, q->endpoint->service, q->id, e->details);
	finish(q, status, &h, b.s, b.len);
	strbuf_done(&b);
}

void reply_error(struct request *q, const struct error_page *e)
{
	reply_error_status(q, err_status(e->err), e);
}

void reply_error_text(struct request *q, int err, const char *message)
{
	reply_error(q, &(struct error_page){ .err = err, .message = message });
}

/* The gate's statuses that no row of the table has wear the nearest row's code. */
static int err_of_refusal(int status)
{
	static const struct {
		int status, err;
	} rows[] = { { 408, ERR_DEADLINE }, { 413, ERR_TOO_LARGE }, { 503, ERR_BUSY } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].status == status)
			return rows[i].err;
	return ERR_MALFORMED;
}

struct blob *reply_refusal(int status, const char *why, const char *peer, char ret_id[HTTP_ID_SIZE], void *api)
{
	struct api *a = api;
	struct strbuf b = { 0 };
	/* no request came out of it, and no listener is known; the number stands in no other answer */
	size_t n = str_fmt_u64(ret_id + 9, ++a->next_id);
	memcpy(ret_id, a->id_prefix, 8);
	ret_id[8] = '.';
	ret_id[9 + n] = 0;
	const char *service = a->nlisteners == 1 ? a->listeners[0].service : "lucid-rdp";
	error_body(&b, err_of_refusal(status), why, service, ret_id, NULL);
	audit_refusal(a, err_of_refusal(status), status, why, peer, ret_id);
	struct blob *out = blob_new(b.s, b.len);
	strbuf_done(&b);
	return out;
}

/* --- answers of operations */

static bool not_modified(struct request *q, const struct reply *r)
{
	if (!r->version || !(q->op->flags & OP_READ))
		return false;
	const char *list = http_req_header(q->http, "If-None-Match", NULL);
	return list && etag_list_has(list, r->version);
}

static void reply_success(struct request *q, const struct reply *r)
{
	struct head h;
	bool empty = !r->blob && !r->doc;
	audit_request(q, 0, r->location);
	if (r->source) {
		pour(q, r->type, source_ref(r->source));
		return;
	}
	head_begin(q, &h, empty ? NULL : r->type ? r->type : JSON_TYPE);
	if (r->version) {
		etag_print(h.etag, r->version);
		add(&h, "ETag", h.etag);
	}
	if (r->location)
		add(&h, "Location", r->location);
	if (not_modified(q, r)) {
		finish(q, 304, &h, NULL, 0);
	} else if (r->blob) {
		finish_blob(q, r->status, &h, r->blob);
	} else if (r->doc) {
		struct blob *body = doc_blob(r->doc);
		finish_blob(q, r->status, &h, body);
		blob_unref(body);
	} else {
		finish(q, r->status, &h, NULL, 0);
	}
}

void reply_call(const struct reply *r, void *request)
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

/* --- answers to an Idempotency-Key */

void reply_keep_error(struct request *q, struct kept *ret, const struct error_page *e)
{
	struct strbuf b = { 0 };
	error_body(&b, e->err, e->message, q->endpoint->service, q->id, e->details);
	*ret = (struct kept){ .status = err_status(e->err), .retry_after_s = retry_after(e), .body = blob_new(b.s, b.len) };
	strbuf_done(&b);
}

void reply_kept(struct request *q, const struct kept *k, bool again)
{
	struct head h;
	head_begin(q, &h, !k->body ? NULL : k->type ? k->type : JSON_TYPE);
	if (k->version) {
		etag_print(h.etag, k->version);
		add(&h, "ETag", h.etag);
	}
	if (k->location)
		add(&h, "Location", k->location);
	if (k->retry_after_s)
		add(&h, "Retry-After", number(h.retry, k->retry_after_s));
	if (again)
		add(&h, "Idempotency-Replayed", "true");
	if (k->body)
		finish_blob(q, k->status, &h, k->body);
	else
		finish(q, k->status, &h, NULL, 0);
}

/* --- everything else */

void reply_text(struct request *q, int status, const char *type, const void *body, size_t len)
{
	struct head h;
	head_begin(q, &h, type);
	finish(q, status, &h, body, len);
}

void reply_blob(struct request *q, int status, const char *type, struct blob *body)
{
	struct head h;
	head_begin(q, &h, type);
	finish_blob(q, status, &h, body);
}

void reply_page(struct request *q, const char *type, const char *policy, struct blob *body)
{
	struct head h;
	head_begin(q, &h, type);
	add(&h, "Content-Security-Policy", policy);
	add(&h, "X-Frame-Options", "DENY"); /* for those that do not know frame-ancestors */
	add(&h, "Referrer-Policy", "no-referrer");
	add(&h, "Cross-Origin-Opener-Policy", "same-origin");
	finish_blob(q, 200, &h, body);
}

bool reply_stream(struct request *q, enum http_stream_kind kind, const char *type, const struct http_stream_events *events, void *arg)
{
	struct head h;
	head_begin(q, &h, type);
	if (kind == HTTP_STREAM_OPEN) {
		add(&h, "X-Accel-Buffering", "no"); /* nginx would gather what must go at once */
		account(q, 200, 0);
	} else if (q->method == HTTP_HEAD) {
		account(q, 200, 0);
	}
	return http_stream_begin(q->http, kind, h.list, h.n, events, arg);
}

void reply_streamed(struct request *q, size_t bytes)
{
	account(q, 200, bytes);
}

void reply_options(struct request *q)
{
	struct head h;
	head_begin(q, &h, NULL);
	add(&h, "Allow", q->endpoint->allow);
	finish(q, 204, &h, NULL, 0);
}

int reply_if_match(struct request *q, int64_t *ret, const char **ret_why)
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
		*ret_why = "If-Match names no version of this object; read it and send its ETag";
		return -ERR_STALE;
	default:
		*ret_why = "If-Match must be one ETag in quotes, as the object's answer had it, or *";
		return -ERR_MALFORMED;
	}
}
