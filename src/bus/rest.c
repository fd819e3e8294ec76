#include "bus/rest.h"

#include <stdio.h>
#include <strings.h>

#include "bus/call.h"
#include "lucid/str.h"

#define TOKEN_LIFE_S 60
#define ANSWER_MAX (8u << 20)
#define HEADERS_MAX 8
#define TIMEOUT_SLACK_MS 1000

struct rest {
	struct transport transport;
	struct http_client *client;
	struct token_keys *keys;
	char *url;
	struct list asked;
};

struct asked {
	struct list node;
	struct call *call;
	struct http_call *http;
};

/* --- out */

static char *make_url(const struct rest *r, const struct call *c)
{
	struct strbuf b = { 0 };
	size_t param = 0;
	strbuf_puts(&b, r->url);
	for (const char *p = c->op->path; *p; p++) {
		if (*p != '{') {
			strbuf_putc(&b, *p);
			continue;
		}
		strbuf_percent(&b, c->params[param++]);
		p = strchr(p, '}');
	}
	_cleanup_(xfreep) char *query = c->query ? shape_to_query(c->query) : xstrdup("");
	if (*query)
		strbuf_printf(&b, "?%s", query);
	return strbuf_take(&b);
}

static char *make_authorization(const struct rest *r, const struct call *c)
{
	const char *roles[4] = { 0 };
	size_t n = 0;
	if (c->caller.roles & CALLER_ADMIN)
		roles[n++] = "admin";
	if (c->caller.roles & CALLER_SERVICE)
		roles[n++] = "service";
	if (c->caller.roles & CALLER_USER)
		roles[n++] = "user";
	const char *sub = c->caller.sub[0] ? c->caller.sub : "lucid-rdp";
	_cleanup_(xfreep) char *token = token_mint(r->keys, sub, roles, c->caller.can_create_sessions, TOKEN_LIFE_S);
	return xasprintf("Bearer %s", token);
}

static enum http_method method_of(const struct op *op)
{
	for (int m = HTTP_GET; m < HTTP_OTHER; m++)
		if (str_eq(http_method_name((enum http_method)m), op->verb))
			return (enum http_method)m;
	abort(); /* a row with a verb that is not one */
}

static void on_result(const struct http_result *res, void *arg);

static void send_call(struct transport *t, struct call *c)
{
	struct rest *r = CONTAINER_OF(t, struct rest, transport);
	if (!c->op->verb || c->hops >= REST_MAX_HOPS) {
		call_fail(c, ERR_UNAVAILABLE, c->op->verb ? "the call came through %d listeners already; two URLs point at each other"
							    : "this is not offered over REST", REST_MAX_HOPS);
		return;
	}
	char hops[16], left[24], match[32];
	_cleanup_(xfreep) char *url = make_url(r, c), *authorization = NULL, *body = NULL;
	authorization = make_authorization(r, c);
	body = c->body ? doc_text(c->body) : NULL;
	snprintf(hops, sizeof hops, "%u", c->hops + 1);
	snprintf(left, sizeof left, "%lld", (long long)MAX(call_time_left_ms(c), 1));
	snprintf(match, sizeof match, "\"%lld\"", (long long)c->if_match);
	struct http_header headers[HEADERS_MAX] = { { "Authorization", authorization }, { REST_HOPS_HEADER, hops }, { REST_TIME_HEADER, left } };
	size_t n = 3;
	if (c->request_id[0])
		headers[n++] = (struct http_header){ "X-Request-ID", c->request_id };
	if (c->trace[0])
		headers[n++] = (struct http_header){ "traceparent", c->trace };
	if (c->if_match)
		headers[n++] = (struct http_header){ "If-Match", match };
	if (body)
		headers[n++] = (struct http_header){ "Content-Type", "application/json" };
	/* a little longer than the call's own deadline, which is then what ends it */
	int64_t timeout_ms = call_time_left_ms(c) + TIMEOUT_SLACK_MS;
	struct http_ask ask = { method_of(c->op), url, headers, n, body, body ? strlen(body) : 0, timeout_ms, ANSWER_MAX };
	struct asked *a = XNEW(struct asked);
	a->call = c;
	const char *why = NULL;
	int rc = http_client_ask(r->client, &ask, on_result, a, &why, &a->http);
	if (rc < 0) {
		free(a);
		call_fail(c, rc == -ERR_INVALID ? ERR_INTERNAL : rc, "the role %s cannot be asked: %s", c->op->role, why ? why : "too many calls are under way");
		return;
	}
	list_append(&r->asked, &a->node);
	c->remote = (uintptr_t)a;
}

static void cancel_call(UNUSED struct transport *t, struct call *c)
{
	struct asked *a = (struct asked *)(uintptr_t)c->remote;
	if (!a)
		return;
	c->remote = 0;
	list_remove(&a->node);
	http_client_cancel(a->http);
	free(a);
	call_fail(c, ERR_CANCELLED, NULL);
}

/* --- in */

static int64_t version_of(const struct http_result *res)
{
	const char *etag = http_result_header(res, "ETag");
	return etag && *etag == '"' ? strtoll(etag + 1, NULL, 10) : 0;
}

static const char *text_type(const char *type)
{
	static const char *const known[] = { "text/plain; charset=utf-8", "application/x-rdp", "application/octet-stream" };
	for (size_t i = 0; type && i < ARRAY_LEN(known); i++)
		if (!strcasecmp(type, known[i]))
			return known[i];
	return known[2];
}

static void answer_success(struct call *c, const struct http_result *res)
{
	size_t len = 0;
	const char *body = http_result_body(res, &len), *type = http_result_header(res, "Content-Type");
	struct reply out = { .status = http_result_status(res), .version = version_of(res), .location = http_result_header(res, "Location") };
	if (!len) {
		call_answer(c, &out);
		return;
	}
	if (!type || strncasecmp(type, "application/json", 16) != 0) {
		out.blob = blob_new(body, len);
		out.type = text_type(type);
	} else if (!(out.doc = doc_parse(body, len, NULL, 0))) {
		call_fail(c, ERR_UNCERTAIN, "the role %s answered with what is not JSON", c->op->role);
		return;
	}
	call_answer(c, &out);
}

static void answer_error(struct call *c, const struct http_result *res)
{
	size_t len = 0;
	const char *body = http_result_body(res, &len), *again = http_result_header(res, "Retry-After");
	int64_t wait_s = 0;
	_cleanup_(doc_unrefp) json_t *page = len ? doc_parse(body, len, NULL, 0) : NULL;
	const json_t *error = json_object_get(page, "error");
	const char *code = doc_str(error, "code", NULL);
	if (!code) {
		call_fail(c, ERR_UNAVAILABLE, "what answers for the role %s is not lucid-rdp (status %d)", c->op->role, http_result_status(res));
		return;
	}
	if (err_from_code(code) == ERR_UNAUTHENTICATED) {
		/* the token was ours, not the caller's, whom the first listener has let in */
		call_fail(c, ERR_UNAVAILABLE, "the role %s does not accept this process's token (%s); give both the same JWT_SECRET and "
			  "the right time", c->op->role, doc_str(error, "message", "no reason given"));
		return;
	}
	if (again)
		str_int(again, 1, 86400, &wait_s);
	json_t *details = json_object_get(error, "details");
	call_answer(c, &(struct reply){ .err = (enum err)err_from_code(code), .message = doc_str(error, "message", NULL),
					.details = json_array_size(details) ? json_incref(details) : NULL,
					.retry_after_s = (unsigned)wait_s });
}

static void on_result(const struct http_result *res, void *arg)
{
	_cleanup_(xfreep) struct asked *a = arg;
	struct call *c = a->call;
	c->remote = 0;
	list_remove(&a->node);
	if (http_result_outcome(res) == HTTP_NEVER_SENT)
		call_fail(c, ERR_UNAVAILABLE, "the role %s does not answer: %s", c->op->role, http_result_why(res));
	else if (http_result_outcome(res) == HTTP_UNCERTAIN)
		call_fail(c, ERR_UNCERTAIN, NULL);
	else if (http_result_status(res) < 300)
		answer_success(c, res);
	else
		answer_error(c, res);
}

/* --- life */

struct rest *rest_new(struct http_client *client, struct token_keys *keys, const char *url)
{
	struct rest *r = XNEW(struct rest);
	r->transport = (struct transport){ "rest", send_call, cancel_call, NULL };
	r->client = client;
	r->keys = keys;
	r->url = xstrdup(url);
	list_init(&r->asked);
	return r;
}

void rest_free(struct rest *r)
{
	struct asked *a, *tmp;
	if (!r)
		return;
	LIST_FOREACH_SAFE(a, tmp, &r->asked, node) {
		a->call->remote = 0;
		http_client_cancel(a->http);
		call_fail(a->call, ERR_UNCERTAIN, NULL);
		free(a);
	}
	free(r->url);
	free(r);
}

struct transport *rest_transport(struct rest *r)
{
	return &r->transport;
}
