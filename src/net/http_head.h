/*
 * http_head: strict parser of an HTTP/1.x request head. Floor F2, any thread, pure, no allocation. Everything that parsers interpret
 * differently is refused, so that a proxy before or behind this server cannot be made to see another request (request smuggling).
 * Not for: waiting for the head (server/http_intake.h), replies (server/http_out.h).
 */
#ifndef NET_HTTP_HEAD_H
#define NET_HTTP_HEAD_H

#include "net/http.h"

#define HTTP_HEAD_LINES 64    /* header lines at most */
#define HTTP_HEAD_TARGET 4000 /* bytes of path and query at most */

struct http_head {
	enum http_method method; /* set first: the reply to a refused HEAD has no body either */
	bool http10, keep_alive, expect_continue;
	uint32_t path, query; /* offsets into the checked buffer; query 0: none */
	uint32_t authority;   /* host[:port] of a target in absolute form, which overrides Host (RFC 9112 3.2.2); 0: none */
	uint64_t body_len;
	unsigned n_lines;
	struct {
		uint32_t name, value, name_len;
	} line[HTTP_HEAD_LINES];
};

/*
 * Checks buf[0..len), which ends with the first empty line, and splits it in place into terminated strings; buf[len] must be writable.
 * 0, or the HTTP status of the refusal (400, 411, 413, 414, 417, 431, 505) with ret_why, a static text for the error page.
 */
int http_head_check(char *buf, size_t len, uint64_t max_body, struct http_head *ret, const char **ret_why);

/*
 * Checks an incomplete head, to refuse early what cannot become valid. buf[0..len) is what has arrived; bytes before `from` were checked
 * already. Returns the same as http_head_check.
 */
int http_head_partial(const char *buf, size_t from, size_t len, size_t max_head, const char **ret_why);

/* Whether a comma-separated header value has the token, ignoring case and surrounding blanks. */
bool http_head_list_has(const char *list, const char *token);
/* The value of a header in buf, or NULL. ret_again (may be NULL): the header occurs more than once. */
const char *http_head_find(const struct http_head *h, const char *buf, const char *name, bool *ret_again);
/* The values of all headers of that name in order, at most max; returns how many. */
size_t http_head_find_all(const struct http_head *h, const char *buf, const char *name, const char *ret[], size_t max);

#endif
