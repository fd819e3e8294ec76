#include "net/client/http_ask.h"

#include <event2/buffer.h>

#include "lucid/errs.h"
#include "net/http_wire.h"

static int ask_refuse(const char *why, const char **ret_why)
{
	if (ret_why)
		*ret_why = why;
	return -ERR_INVALID;
}

int http_ask_check(const struct http_ask *ask, struct http_url *ret_url, const char **ret_why)
{
	int r = http_url_parse(ask->url, ret_url, ret_why);
	if (r)
		return r;
	if (ask->method >= HTTP_OTHER)
		return ask_refuse("the method is not supported", ret_why);
	for (size_t i = 0; i < ask->n_headers; i++)
		if (!http_header_ok(&ask->headers[i]))
			return ask_refuse("a header has a control character or an invalid name", ret_why);
	return 0;
}

struct evbuffer *http_ask_write(const struct http_ask *ask, const struct http_url *url)
{
	struct evbuffer *out = evbuffer_new();
	if (!out)
		abort(); /* no memory */
	evbuffer_add_printf(out, "%s %s%s HTTP/1.1\r\nHost: %s\r\n", http_method_name(ask->method), *url->path == '/' ? "" : "/", url->path,
			    ask->host ? ask->host : url->host_header);
	for (size_t i = 0; i < ask->n_headers; i++)
		evbuffer_add_printf(out, "%s: %s\r\n", ask->headers[i].name, ask->headers[i].value);
	if (ask->body_len || ask->method == HTTP_POST || ask->method == HTTP_PUT || ask->method == HTTP_PATCH)
		evbuffer_add_printf(out, "Content-Length: %zu\r\n", ask->body_len);
	evbuffer_add(out, "\r\n", 2);
	evbuffer_add(out, ask->body, ask->body_len);
	return out;
}
