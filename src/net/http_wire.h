/*
 * http_wire: the bytes of a reply's head. Floor F2, any thread, pure. Not for: sending them (http_gate.h).
 */
#ifndef NET_HTTP_WIRE_H
#define NET_HTTP_WIRE_H

#include "net/http.h"

/* "OK" for 200; a code without a name of its own gets its class's. */
const char *http_status_text(int status);

#define HTTP_DATE_SIZE 30 /* "Sat, 21 Nov 2026 10:00:00 GMT" and the NUL */
void http_date(char dst[HTTP_DATE_SIZE], int64_t wall_s);

/* A value may not hold CR, LF or another control character but tab; a name is a token. */
bool http_header_ok(const struct http_header *h);

struct http_wire {
	int status;
	const char *date;
	bool with_length; /* 204 and 304 have none */
	size_t length;
	bool chunked; /* instead of a length */
	const char *connection; /* value of Connection, NULL: none */
	const struct http_header *headers;
	size_t n_headers;
};
/* Bytes that http_wire_head may need at most. */
size_t http_wire_size(const struct http_wire *w);
/* Write the head with its empty line to dst; returns its length. Bad headers are left out and logged. */
size_t http_wire_head(char *dst, const struct http_wire *w);

#endif
