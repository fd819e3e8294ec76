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

static void success(struct call *c, const struct http_result *res)
{
	size_t len = 0;
	const char *body = http_result_body(res, &len), *type = http_result_header(res, "Content-Type");
	struct source *source = http_result_source(res);
	struct reply out = { .status = http_result_status(res), .version = version_of(res), .location = http_result_header(res, "Location") };
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
		call_fail(c, ERR_UNCERTAIN, "the role %s answered with what is not JSON", c->op->role);
		return;
	}
	call_answer(c, &out);
}

/* The token was ours, not the caller's, whom the first listener has let in. */
static void refused(struct call *c, const json_t *error)
{
	int64_t its_ms = 0, off_s;
	const char *why = doc_str(error, "message", "no reason given");
	off_s = clock_from_iso(doc_str(error, "timestamp", ""), &its_ms) ? (its_ms - clock_wall_ms()) / 1000 : 0;
	if (off_s > CLOCKS_APART_S || off_s < -CLOCKS_APART_S)
		call_fail(c, ERR_UNAVAILABLE, "the role %s does not accept this process's token: its clock is %lld s %s; set the clocks of both hosts",
			  c->op->role, (long long)(off_s < 0 ? -off_s : off_s), off_s < 0 ? "behind" : "ahead");
	else
		call_fail(c, ERR_UNAVAILABLE, "the role %s does not accept this process's token (%s); give both the same JWT_SECRET and the right time",
			  c->op->role, why);
}

static bool strangers(struct call *c, const struct http_result *res)
{
	call_fail(c, ERR_UNAVAILABLE, "what answers for the role %s is not lucid-rdp (status %d); look at its URL", c->op->role, http_result_status(res));
	return false;
}

/* False: what answers is not one of ours. */
static bool failure(struct call *c, const struct http_result *res)
{
	size_t len = 0;
	const char *body = http_result_body(res, &len), *again = http_result_header(res, "Retry-After");
	int64_t wait_s = 0;
	_cleanup_(doc_unrefp) json_t *page = len ? doc_parse(body, len, NULL, 0) : NULL;
	const json_t *error = json_object_get(page, "error");
	const char *code = doc_str(error, "code", NULL);
	if (!code)
		return strangers(c, res);
	if (err_from_code(code) == ERR_UNAUTHENTICATED) {
		refused(c, error);
		return true;
	}
	if (again)
		str_int(again, 1, 86400, &wait_s);
	json_t *details = json_object_get(error, "details");
	call_answer(c, &(struct reply){ .err = (enum err)err_from_code(code), .message = doc_str(error, "message", NULL),
					.details = json_array_size(details) ? json_incref(details) : NULL,
					.retry_after_s = (unsigned)wait_s });
	return true;
}

bool rest_answer(struct call *c, const struct http_result *res)
{
	if (http_result_status(res) >= 300)
		return failure(c, res);
	/* a web server says 200 to anything; every listener of ours tells the request's id */
	if (!http_result_header(res, "X-Request-ID"))
		return strangers(c, res);
	success(c, res);
	return true;
}
