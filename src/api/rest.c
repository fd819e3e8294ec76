#include "api/core.h"

#include <strings.h>
#include <unistd.h>

#include "bus/rest.h"
#include "lucid/fault.h"
#include "lucid/id.h"
#include "lucid/log.h"
#include "sys/watchdog.h"

_Static_assert(sizeof(struct request) <= HTTP_REQ_STATE,
	       "the request's state must fit the room that http keeps for it");

/* --- ids */

static void make_id(struct request *q)
{
	static const char hex[] = "0123456789abcdef";
	char *p = q->id_room;
	uint64_t n = ++q->api->next_id;
	memcpy(p, q->api->id_prefix, 8);
	p[8] = '-';
	size_t digits = 8;
	while (digits < 14 && n >> (4 * digits))
		digits++;
	for (size_t i = 0; i < digits; i++)
		p[9 + i] = hex[n >> (4 * (digits - 1 - i)) & 15];
	p[9 + digits] = 0;
	q->id = p;
}

static void take_id(struct request *q)
{
	bool again;
	const char *id = http_req_header(q->http, "X-Request-ID", &again);
	if (id && !again && id_is_request(id))
		q->id = id;
	else
		make_id(q);
}

/* version 00: 2-32-16-2 lower-case hex digits, ids not all zero */
static const char *trace_of(struct request *q)
{
	static const char hex[] = "0123456789abcdef";
	bool again;
	const char *t = http_req_header(q->http, "traceparent", &again);
	if (!t || again || strlen(t) != 55 || t[0] != '0' || t[1] != '0' || strspn(t, hex) != 2 || t[2] != '-' ||
	    strspn(t + 3, hex) != 32 || t[35] != '-' || strspn(t + 36, hex) != 16 || t[52] != '-' ||
	    strspn(t + 53, hex) != 2)
		return NULL;
	return strspn(t + 3, "0") == 32 || strspn(t + 36, "0") == 16 ? NULL : t;
}

static void take_address(struct request *q)
{
	const struct proxies *trusted = q->api->proxies;
	bool again = false;
	const char *forwarded = trusted ? http_req_header(q->http, "X-Forwarded-For", &again) : NULL;
	/* several headers could be read in either order: then none is */
	proxies_client(trusted, http_req_peer(q->http), again ? NULL : forwarded, q->caller.address,
		       sizeof q->caller.address);
}

/* --- what comes with a request for an operation */

static bool query_well_formed(const char *s)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	while ((s = strchr(s, '%'))) {
		if (!s[1] || !strchr(hex, s[1]) || !s[2] || !strchr(hex, s[2]) || (s[1] == '0' && s[2] == '0'))
			return false;
		s += 3;
	}
	return true;
}

/* The query as a document; NULL shape: takes none. */
static int read_query(struct request *q, const struct shape *shape, json_t **ret)
{
	const char *raw = http_req_query(q->http);
	struct faults f = { 0 };
	if (!raw || !*raw)
		return 0;
	if (!query_well_formed(raw)) {
		reply_error_text(q, ERR_MALFORMED,
				 "the query has a '%' that two hex digits do not follow, or an encoded NUL");
		return -ERR_MALFORMED;
	}
	json_t *doc = shape_from_query(shape, raw, &f);
	if (faults_any(&f)) {
		reply_error(q, &(struct error_page){ .err = ERR_INVALID, .details = f.list });
		faults_done(&f);
		json_decref(doc);
		return -ERR_INVALID;
	}
	*ret = doc;
	return 0;
}

/* application/json, where a merge patch is taken also its own type, with no parameter but charset=utf-8 */
static bool is_json(const char *type, const struct op *op)
{
	static const char json[] = "application/json", patch[] = "application/merge-patch+json";
	if (type && !strncasecmp(type, json, sizeof json - 1))
		type += sizeof json - 1;
	else if (type && op->flags & OP_PATCH_BODY && !strncasecmp(type, patch, sizeof patch - 1))
		type += sizeof patch - 1;
	else
		return false;
	type += strspn(type, " \t");
	if (!*type)
		return true;
	if (*type != ';')
		return false;
	type += 1 + strspn(type + 1, " \t");
	return !*type || !strcasecmp(type, "charset=utf-8") || !strcasecmp(type, "charset=\"utf-8\"");
}

static int read_body(struct request *q, json_t **ret)
{
	size_t len;
	char why[160], message[240] = "the body is ";
	const char *body = http_req_body(q->http, &len);
	if (!body || !len)
		return 0;
	bool again = false;
	const char *type = http_req_header(q->http, "Content-Type", &again);
	const char *coding = http_req_header(q->http, "Content-Encoding", NULL);
	if (again || !is_json(type, q->op) || (coding && strcasecmp(coding, "identity") != 0)) {
		reply_error_text(q, ERR_NOT_JSON, NULL);
		return -ERR_NOT_JSON;
	}
	*ret = doc_parse(body, len, why, sizeof why);
	if (*ret)
		return 0;
	size_t n = strlen(message);
	str_copy(message + n, sizeof message - n, why);
	reply_error_text(q, ERR_MALFORMED, str_starts(why, "it ") || str_starts(why, "something") ? why : message);
	return -ERR_MALFORMED;
}

/* A number that another listener of ours sent along; 0 when there is none or it makes no sense. */
static unsigned passed_on(struct request *q, const char *header, unsigned max)
{
	int64_t n = 0;
	const char *text = http_req_header(q->http, header, NULL);
	return text && str_int(text, 1, max, &n) ? (unsigned)n : 0;
}

static void begin_op(struct request *q, const char *const params[OP_MAX_PARAMS])
{
	const struct op *op = q->op;
	if (access_check(q, op->scope, op->rate) < 0)
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
	const char *why;
	int rc = op->flags & OP_IF_MATCH ? reply_if_match(q, &args.if_match, &why) : 0;
	if (rc < 0) {
		reply_error_text(q, -rc, why);
		return;
	}
	_cleanup_(doc_unrefp) json_t *query = NULL;
	_cleanup_(doc_unrefp) json_t *body = NULL;
	if (read_query(q, op->query, &query) < 0 || read_body(q, &body) < 0)
		return;
	memcpy(args.params, params, sizeof args.params);
	args.query = query;
	args.body = body;
	args.trace = trace_of(q);
	if (idempotency_begin(q, &args))
		return;
	list_append(&q->api->open, &q->node);
	q->call = bus_call(q->api->env.bus, &args, reply_call, q);
}

/* --- from a request to its endpoint */

static bool host_allowed(struct request *q)
{
	char name[256];
	const char *host = http_req_header(q->http, "Host", NULL);
	if (q->api->any_host || !host)
		return true;
	size_t n = host[0] == '[' ? strcspn(host, "]") + (strchr(host, ']') != NULL) : strcspn(host, ":");
	if (n >= sizeof name)
		return false;
	for (size_t i = 0; i < n; i++)
		name[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] | 0x20) : host[i];
	name[n] = 0;
	for (const char *const *p = config_list(q->api->env.config, "ALLOWED_HOSTS"); *p; p++)
		if (str_match(*p, name))
			return true;
	return false;
}

static void begin_page(struct request *q)
{
	_cleanup_(doc_unrefp) json_t *query = NULL;
	struct faults f = { 0 };
	if (read_query(q, q->endpoint->query, &query) < 0)
		return;
	if (query && shape_check(q->endpoint->query, query, SHAPE_FULL, &f) < 0) {
		reply_error(q, &(struct error_page){ .err = ERR_INVALID, .details = f.list });
		faults_done(&f);
		return;
	}
	q->query = query;
	q->endpoint->page(q); /* q may be gone */
}

static void route(struct request *q, const struct path *path)
{
	const char *params[OP_MAX_PARAMS];
	struct endpoint *e = router_find(q->listener->router, path, params);
	if (!e && q->listener->role)
		e = router_find(q->api->router, path, params);
	if (!e) {
		reply_error_text(q, ERR_NO_ROUTE, NULL);
		return;
	}
	q->endpoint = e;
	watchdog_doing(e->path);
	if (fault_delay_ms("api.stand"))
		usleep((useconds_t)fault_delay_ms("api.stand") * 1000);
	enum http_method m = q->method == HTTP_HEAD ? HTTP_GET : q->method;
	q->op = e->ops[m];
	if (m == HTTP_OPTIONS)
		reply_options(q);
	else if (q->op)
		begin_op(q, params);
	else if (e->page && m == HTTP_GET)
		begin_page(q);
	else
		reply_error_text(q, ERR_NO_METHOD, NULL);
}

void rest_again(struct request *q)
{
	struct path path;
	const char *why = path_split(&path, http_req_path(q->http));
	if (why)
		reply_error_text(q, ERR_MALFORMED, why);
	else
		route(q, &path);
	watchdog_doing(NULL);
}

void rest_on_request(struct http_req *r, void *arg)
{
	struct request *q = http_req_state(r);
	q->api = arg;
	q->http = r;
	q->listener = &q->api->listeners[http_req_tag(r)];
	q->endpoint = &q->listener->unmatched;
	q->method = http_req_method(r);
	take_address(q);
	take_id(q);
	if (!host_allowed(q)) {
		reply_error_text(q, ERR_MALFORMED,
				 "this host name is not served here; ALLOWED_HOSTS lists those that are");
		return;
	}
	rest_again(q);
}
