/*
 * http_head: the strict check of a whole HTTP/1.x request head, and its parts. Floor F2, any thread, pure: bytes in, verdict
 * out, no allocation. Everything that different parsers read differently is refused here, so that what stands behind (or in
 * front) cannot be made to see another request than we do. Not for: waiting for the head, answering (http_gate.h).
 */
#ifndef NET_HTTP_HEAD_H
#define NET_HTTP_HEAD_H

#include "net/http.h"

#define HTTP_HEAD_LINES 64    /* header lines at most */
#define HTTP_HEAD_TARGET 4000 /* bytes of path and query at most */

struct http_head {
	enum http_method method; /* set first, so that a refusal knows a HEAD */
	bool http10, keep_alive, expect_continue;
	uint32_t path, query; /* offsets into the checked buffer; query 0: none */
	uint64_t body_len;
	unsigned n_lines;
	struct {
		uint32_t name, value, name_len;
	} line[HTTP_HEAD_LINES];
};

/*
 * Check buf[0..len), which ends with the first empty line, and cut it in place into terminated strings; buf[len] must be
 * writable. 0, or the HTTP status to refuse with (400, 411, 413, 414, 417, 431, 505) and ret_why, a static text for people.
 */
int http_head_check(char *buf, size_t len, uint64_t max_body, struct http_head *ret, const char **ret_why);

/*
 * A head that is still incomplete: can it become a good one? Looks at bytes from `from` (those before were seen). Same
 * verdicts; `len` is all there is so far.
 */
int http_head_partial(const char *buf, size_t from, size_t len, size_t max_head, const char **ret_why);

/* Value of the header `name` in buf, or NULL; ret_again (may be NULL): it stands there more than once. */
const char *http_head_find(const struct http_head *h, const char *buf, const char *name, bool *ret_again);

#endif
