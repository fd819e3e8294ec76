#include "api/rest.h"

#include <unistd.h>

#include "api/access.h"
#include "api/answer/coding.h"
#include "api/answer/error.h"
#include "api/answer/operation.h"
#include "api/answer/reply.h"
#include "api/idempotency/idempotency.h"
#include "api/input.h"
#include "api/proxy/allowed_hosts.h"
#include "api/proxy/public_url.h"
#include "api/request.h"
#include "api/request_id.h"
#include "api/routes.h"
#include "bus/rest.h"
#include "lucid/fault.h"
#include "lucid/str.h"
#include "sys/watchdog.h"

_Static_assert(sizeof(struct request) <= HTTP_REQ_STATE,
	       "struct request must fit into http_req_state");

/* --- operations */

/* A number in a header from another role (bus/rest.h); 0: absent or invalid. */
static unsigned passed_on(struct request *q, const char *header, unsigned max)
{
	int64_t n = 0;
	const char *text = http_req_header(q->http, header, NULL);
	return text && str_int(text, 1, max, &n) ? (unsigned)n : 0;
}

static void begin_op(struct request *q, const char *const params[OP_MAX_PARAMS])
{
	const struct op *op = q->op;
	if (access_check(q, op->scope, op->rate, op->flags & OP_ROLES) < 0)
		return;
	struct call_args args = {
		.op = op,
		.caller = &q->caller,
		.request_id = q->id,
		.deadline_ms = op->deadline_ms ? op->deadline_ms : q->api->deadline_ms,
	};
	unsigned left_ms = passed_on(q, REST_TIME_HEADER, args.deadline_ms);
	args.deadline_ms = left_ms ? left_ms : args.deadline_ms;
	args.hops = passed_on(q, REST_HOPS_HEADER, 1000);
	args.accepts_zstd = coding_accepted(http_req_header(q->http, "Accept-Encoding", NULL), "zstd");
	const char *why;
	int rc = op->flags & OP_IF_MATCH ? operation_if_match(q, &args.if_match, &why) : 0;
	if (rc < 0) {
		reply_error_text(q, -rc, why);
		return;
	}
	_cleanup_(doc_unrefp) json_t *query = NULL;
	_cleanup_(doc_unrefp) json_t *body = NULL;
	if (input_query(q, op->query, &query) < 0 || input_body(q, &body) < 0)
		return;
	memcpy(args.params, params, sizeof args.params);
	args.query = query;
	args.body = body;
	args.trace = request_trace(q);
	if (idempotency_begin(q, &args))
		return;
	list_append(&q->api->open, &q->node);
	q->call = bus_call(q->api->env.bus, &args, operation_answered, q);
}

/* --- routing */

/* Rate limit for requests without an operation (refusals, preflights): by address or by token. Health and metrics are exempt. */
static bool may_have(struct request *q)
{
	return access_check(q, OP_PUBLIC, q->endpoint->rate, false) == 0;
}

static void refuse_request(struct request *q, int err, const char *why)
{
	if (may_have(q))
		reply_error_text(q, err, why);
}

static void begin_page(struct request *q)
{
	const struct endpoint *e = q->endpoint;
	_cleanup_(doc_unrefp) json_t *query = NULL;
	struct faults f = { 0 };
	if (access_check(q, e->scope, e->rate, e->for_roles) < 0 || input_query(q, e->query, &query) < 0)
		return;
	if (query && shape_check(q->endpoint->query, query, SHAPE_FULL, &f) < 0) {
		reply_error(q, &(struct error_page){ .err = ERR_INVALID, .details = f.list });
		faults_done(&f);
		return;
	}
	q->query = query;
	q->endpoint->page(q); /* q may be invalid afterwards */
}

static void request_route(struct request *q, const struct path *path)
{
	const char *params[OP_MAX_PARAMS], *inside;
	struct path behind;
	struct endpoint *e = routes_find(q, path, params);
	if (!e && (inside = public_inside(q, http_req_path(q->http))) && !path_split(&behind, inside))
		e = routes_find(q, &behind, params);
	if (!e) {
		refuse_request(q, ERR_NO_ROUTE, NULL);
		return;
	}
	q->endpoint = e;
	watchdog_doing(e->path);
	if (fault_delay_ms("api.stand"))
		usleep((useconds_t)fault_delay_ms("api.stand") * 1000);
	enum http_method m = q->method == HTTP_HEAD ? HTTP_GET : q->method;
	q->op = e->ops[m];
	if (m == HTTP_OPTIONS) {
		if (may_have(q))
			reply_options(q);
	} else if (q->op)
		begin_op(q, params);
	else if (e->page && m == HTTP_GET)
		begin_page(q);
	else
		refuse_request(q, ERR_NO_METHOD, NULL);
}

static void rest_again(struct request *q)
{
	struct path path;
	const char *why = allowed_hosts_refusal(q) ?: path_split(&path, http_req_path(q->http));
	if (why)
		refuse_request(q, ERR_MALFORMED, why);
	else
		request_route(q, &path);
	watchdog_doing(NULL);
}

void rest_on_request(struct http_req *r, void *arg)
{
	struct request *q = http_req_state(r);
	q->api = arg;
	q->http = r;
	q->again = rest_again;
	q->listener = &q->api->listeners[http_req_tag(r)];
	q->endpoint = &q->listener->unmatched;
	q->method = http_req_method(r);
	public_client(q, q->caller.address, sizeof q->caller.address);
	request_id_take(q);
	rest_again(q);
}
