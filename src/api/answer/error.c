#include "api/answer/error.h"

#include "api/answer/head.h"
#include "api/answer/reply.h"
#include "api/audit/requests.h"
#include "api/request.h"
#include "bus/rest_answer.h"
#include "lucid/clock.h"
#include "lucid/str.h"

#define QUOTA_RETRY_S 30 /* no better time is known; by then the load of a busy node has been measured again */

static void add_member(struct strbuf *b, const char *before, const char *text)
{
	strbuf_puts(b, before);
	strbuf_json(b, text);
}

static struct blob *page_text(const struct error_page *e, const char *service, const char *id)
{
	struct strbuf b = { 0 };
	char iso[CLOCK_ISO_SIZE];
	add_member(&b, "{\"error\":{\"code\":", err_code(e->err));
	add_member(&b, ",\"message\":", e->message ? e->message : err_text(e->err));
	add_member(&b, ",\"service\":", service);
	add_member(&b, ",\"version\":\"v1\",\"request_id\":", id);
	add_member(&b, ",\"timestamp\":", clock_iso(iso, clock_wall_ms()));
	_cleanup_(xfreep) char *list = json_is_array(e->details) ? doc_text(e->details) : NULL;
	strbuf_puts(&b, ",\"details\":");
	strbuf_puts(&b, list ? list : "[]");
	strbuf_puts(&b, "}}");
	struct blob *text = blob_new(b.s, b.len);
	strbuf_done(&b);
	return text;
}

struct blob *error_body(const struct request *q, const struct error_page *e)
{
	return page_text(e, q->endpoint->service, q->id);
}

unsigned error_retry_s(const struct error_page *e)
{
	if (e->retry_after_s)
		return e->retry_after_s;
	if (err_status(e->err) == 429)
		return QUOTA_RETRY_S;
	return err_status(e->err) == 503 && err_again(e->err) ? 2 : 0;
}

void reply_error(struct request *q, const struct error_page *e)
{
	struct answer_head h;
	int status = err_status(e->err);
	audit_request(q, e->err, NULL);
	head_begin(q, &h, REPLY_JSON);
	head_add_retry(&h, error_retry_s(e));
	if (e->err == ERR_UNCERTAIN)
		head_add(&h, REST_OUTCOME_HEADER, REST_UNCERTAIN);
	if (e->challenge)
		head_add(&h, "WWW-Authenticate", e->challenge);
	if (status == 405)
		head_add(&h, "Allow", q->endpoint->allow);
	_cleanup_(blob_unrefp) struct blob *body = error_body(q, e);
	reply_with_head(q, status, &h, body);
}

void reply_error_text(struct request *q, int err, const char *message)
{
	reply_error(q, &(struct error_page){ .err = err, .message = message });
}

/* The code for a status of the gate; the nearest one if errs.def has no row with that status. */
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

struct blob *error_refusal(int status, const char *why, const char *peer, char ret_id[HTTP_ID_SIZE], void *api)
{
	struct api *a = api;
	struct error_page e = { .err = err_of_refusal(status), .message = why };
	/* the '.' keeps these ids apart from those of requests; the listener is unknown */
	size_t n = str_fmt_u64(ret_id + 9, ++a->next_id);
	memcpy(ret_id, a->id_prefix, 8);
	ret_id[8] = '.';
	ret_id[9 + n] = 0;
	audit_refusal(a, e.err, status, why, peer, ret_id);
	return page_text(&e, a->nlisteners == 1 ? a->listeners[0].service : "lucid-rdp", ret_id);
}
