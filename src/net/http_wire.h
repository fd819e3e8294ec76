/*
 * http_wire: writes the head of a reply. Floor F2, any thread, pure. Not for: sending it (server/http_out.h).
 */
#ifndef NET_HTTP_WIRE_H
#define NET_HTTP_WIRE_H

#include "net/http.h"

/* "OK" for 200; for an unknown code, the name of its class. */
const char *http_status_text(int status);

#define HTTP_DATE_SIZE 30 /* "Sat, 21 Nov 2026 10:00:00 GMT" and the NUL */
void http_date(char dst[HTTP_DATE_SIZE], int64_t wall_s);

/* The name is a token, and the value has no control character except tab. */
bool http_header_ok(const struct http_header *h);

struct http_wire {
	int status;
	const char *date;
	bool with_length; /* 204 and 304 have none */
	size_t length;
	bool chunked; /* instead of a length */
	const char *connection; /* value of the Connection header; NULL: none */
	const struct http_header *headers;
	size_t n_headers;
};
/* The space that http_wire_head needs at most. */
size_t http_wire_size(const struct http_wire *w);
/* Writes the head with its empty line to dst and returns the length. Invalid headers are omitted and logged. */
size_t http_wire_head(char *dst, const struct http_wire *w);

#endif
