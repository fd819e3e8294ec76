/* http_request: the handler's access to a request, and replies in one piece. */
#include "net/server/http_gate.h"
#include "net/server/http_out.h"

static const struct http_conn *request_conn(const struct http_req *r)
{
	return CONTAINER_OF(r, struct http_conn, req);
}

enum http_method http_req_method(const struct http_req *r)
{
	return r->head.method;
}

const char *http_req_path(const struct http_req *r)
{
	return request_conn(r)->buf + r->head.path;
}

const char *http_req_query(const struct http_req *r)
{
	return r->head.query ? request_conn(r)->buf + r->head.query : NULL;
}

const char *http_req_host(const struct http_req *r)
{
	return r->head.authority ? request_conn(r)->buf + r->head.authority : http_req_header(r, "Host", NULL);
}

const char *http_req_header(const struct http_req *r, const char *name, bool *ret_again)
{
	return http_head_find(&r->head, request_conn(r)->buf, name, ret_again);
}

size_t http_req_headers(const struct http_req *r, const char *name, const char *ret[], size_t max)
{
	return http_head_find_all(&r->head, request_conn(r)->buf, name, ret, max);
}

const char *http_req_body(const struct http_req *r, size_t *ret_len)
{
	*ret_len = (size_t)r->head.body_len;
	return r->head.body_len ? request_conn(r)->buf + request_conn(r)->body_at : NULL;
}

const char *http_req_peer(const struct http_req *r)
{
	return request_conn(r)->peer;
}

int http_req_tag(const struct http_req *r)
{
	return request_conn(r)->tag;
}

int64_t http_req_started_us(const struct http_req *r)
{
	return r->started_us;
}

void *http_req_state(struct http_req *r)
{
	return r->state;
}

static void request_reply(struct http_req *r, int status, const struct http_header *headers, size_t n, const char *body,
			  size_t len, struct blob *blob)
{
	struct http_conn *c = http_conn_of(r);
	if (!r->pending)
		abort(); /* a second answer to one request */
	if (c->state == CONN_DEAD) { /* the client has disconnected, or the server was freed */
		http_gate_finish(c);
		return;
	}
	c->last |= c->server->draining;
	if (!c->broken)
		http_out_reply(c, status, headers, n, body, len, blob);
	http_gate_finish(c);
}

void http_reply(struct http_req *r, int status, const struct http_header *headers, size_t n, const void *body,
		size_t len)
{
	request_reply(r, status, headers, n, body, len, NULL);
}

void http_reply_blob(struct http_req *r, int status, const struct http_header *headers, size_t n, struct blob *body)
{
	request_reply(r, status, headers, n, body ? body->data : NULL, body ? body->len : 0, body);
}
