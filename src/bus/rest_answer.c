#include "bus/rest_answer.h"

#include <strings.h>

#include "bus/call.h"
#include "lucid/clock.h"
#include "lucid/str.h"

#define CLOCKS_APART_S 30

static int64_t version_of(const struct http_result *res)
{
	const char *etag = http_result_header(res, "ETag");
	return etag && *etag == '"' ? strtoll(etag + 1, NULL, 10) : 0;
}

static void answer_success(struct call *c, const struct http_result *res)
{
	size_t len = 0;
	const char *body = http_result_body(res, &len), *type = http_result_header(res, "Content-Type");
	struct source *source = http_result_source(res);
	struct reply out = { .status = http_result_status(res), .version = version_of(res), .location = http_result_header(res, "Location"),
			     .disposition = http_result_header(res, "Content-Disposition") };
	if (source) {
		out.source = source_ref(source);
		out.type = call_known_type(type);
		call_answer(c, &out);
		return;
	}
	if (!len) {
		call_answer(c, &out);
		return;
	}
	if (!type || strncasecmp(type, "application/json", 16) != 0) {
		out.blob = blob_new(body, len);
		out.type = call_known_type(type);
	} else if (!(out.doc = doc_parse(body, len, NULL, 0))) {
		call_fail(c, ERR_UNCERTAIN, "the role %s sent a response that is not JSON", c->op->role);
		return;
	}
	call_answer(c, &out);
}

/* The peer has rejected this process's own token; the caller's token was checked when the request came in. */
static void answer_token_refused(struct call *c, const json_t *error)
{
	int64_t its_ms = 0, off_s;
	const char *why = doc_str(error, "message", "no reason given");
	off_s = clock_from_iso(doc_str(error, "timestamp", ""), &its_ms) ? (its_ms - clock_wall_ms()) / 1000 : 0;
	if (off_s > CLOCKS_APART_S || off_s < -CLOCKS_APART_S)
		call_fail(c, ERR_UNAVAILABLE, "the role %s rejects this process's token: its clock is %lld s %s; synchronise the clocks of both hosts",
			  c->op->role, (long long)(off_s < 0 ? -off_s : off_s), off_s < 0 ? "behind" : "ahead");
	else
		call_fail(c, ERR_UNAVAILABLE, "the role %s rejects this process's token (%s); set the same JWT_SECRET on both hosts and check their clocks",
			  c->op->role, why);
}

static bool answer_not_ours(struct call *c, const struct http_result *res)
{
	call_fail(c, ERR_UNAVAILABLE, "the peer at the URL of the role %s is not lucid-rdp (status %d); check the URL", c->op->role, http_result_status(res));
	return false;
}

static enum err failure_of(const struct http_result *res, const char *code)
{
	const char *outcome = http_result_header(res, REST_OUTCOME_HEADER);
	return outcome && str_eq(outcome, REST_UNCERTAIN) ? ERR_UNCERTAIN : (enum err)err_from_code(code);
}

/* False: the peer is not lucid-rdp. */
static bool answer_failure(struct call *c, const struct http_result *res)
{
	size_t len = 0;
	const char *body = http_result_body(res, &len), *again = http_result_header(res, "Retry-After");
	int64_t wait_s = 0;
	_cleanup_(doc_unrefp) json_t *page = len ? doc_parse(body, len, NULL, 0) : NULL;
	const json_t *error = json_object_get(page, "error");
	const char *code = doc_str(error, "code", NULL);
	if (!code)
		return answer_not_ours(c, res);
	if (err_from_code(code) == ERR_UNAUTHENTICATED) {
		answer_token_refused(c, error);
		return true;
	}
	if (again)
		str_int(again, 1, 86400, &wait_s);
	json_t *details = json_object_get(error, "details");
	call_answer(c, &(struct reply){ .err = failure_of(res, code), .message = doc_str(error, "message", NULL),
					.details = json_array_size(details) ? json_incref(details) : NULL,
					.retry_after_s = (unsigned)wait_s });
	return true;
}

bool rest_answer(struct call *c, const struct http_result *res)
{
	if (http_result_status(res) >= 300)
		return answer_failure(c, res);
	/* another web server may answer 200 to anything; our listeners always send X-Request-ID */
	if (!http_result_header(res, "X-Request-ID"))
		return answer_not_ours(c, res);
	answer_success(c, res);
	return true;
}
