#include "net/client/http_result.h"

#include <event2/buffer.h>

enum http_outcome http_result_outcome(const struct http_result *r)
{
	return r->outcome;
}

int http_result_status(const struct http_result *r)
{
	return r->status;
}

const char *http_result_why(const struct http_result *r)
{
	return r->why;
}

const char *http_result_body(const struct http_result *r, size_t *ret_len)
{
	struct evbuffer *b = r->answer ? r->answer->body : NULL;
	*ret_len = b ? evbuffer_get_length(b) : 0;
	return *ret_len ? (const char *)evbuffer_pullup(b, -1) : NULL;
}

struct source *http_result_source(const struct http_result *r)
{
	return r->source;
}

const char *http_result_header(const struct http_result *r, const char *name)
{
	return r->answer ? http_answer_header(r->answer, name) : NULL;
}
