#include "net/http_wire.h"

#include <stdio.h>
#include <time.h>

#include "lucid/log.h"
#include "lucid/str.h"

static const char *const METHODS[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER" };

const char *http_method_name(enum http_method m)
{
	return METHODS[m];
}

static const char *const CLASSES[] = { "Unknown", "Informational", "Success", "Redirection", "Client Error", "Server Error" };
static const struct {
	int status;
	const char *text;
} STATUSES[] = {
	{ 101, "Switching Protocols" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 422, "Unprocessable Content" },
	{ 423, "Locked" },
	{ 424, "Failed Dependency" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

const char *http_status_text(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(STATUSES); i++)
		if (STATUSES[i].status == status)
			return STATUSES[i].text;
	return CLASSES[status >= 100 && status <= 599 ? status / 100 : 0];
}

void http_date(char dst[HTTP_DATE_SIZE], int64_t wall_s)
{
	static const char DAYS[] = "SunMonTueWedThuFriSat", MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)wall_s;
	struct tm tm = { 0 };
	char text[96];
	gmtime_r(&t, &tm);
	snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", DAYS + tm.tm_wday * 3, tm.tm_mday,
		 MONTHS + tm.tm_mon * 3, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	str_copy(dst, HTTP_DATE_SIZE, text);
}

bool http_header_ok(const struct http_header *h)
{
	if (!h->name || !h->value || !*h->name)
		return false;
	for (const char *s = h->name; *s; s++)
		if ((uint8_t)*s <= 0x20 || (uint8_t)*s >= 0x7f || *s == ':')
			return false;
	for (const char *s = h->value; *s; s++)
		if (((uint8_t)*s < 0x20 && *s != '\t') || *s == 0x7f)
			return false;
	return true;
}

size_t http_wire_size(const struct http_wire *w)
{
	size_t n = 256; /* status line, Date, Content-Length, Connection, the empty line */
	for (size_t i = 0; i < w->n_headers; i++)
		if (w->headers[i].name && w->headers[i].value)
			n += strlen(w->headers[i].name) + strlen(w->headers[i].value) + 4;
	return n;
}

static inline char *wire_put(char *p, const char *s, size_t n)
{
	memcpy(p, s, n);
	return p + n;
}

static inline char *put_line(char *p, const char *name, const char *value)
{
	p = wire_put(p, name, strlen(name));
	p = wire_put(p, ": ", 2);
	p = wire_put(p, value, strlen(value));
	return wire_put(p, "\r\n", 2);
}

size_t http_wire_head(char *dst, const struct http_wire *w)
{
	char *p = wire_put(dst, "HTTP/1.1 ", 9);
	const char *text = http_status_text(w->status);
	p += str_fmt_u64(p, (uint64_t)w->status);
	*p++ = ' ';
	p = wire_put(p, text, strlen(text));
	p = wire_put(p, "\r\nDate: ", 8);
	p = wire_put(p, w->date, strlen(w->date));
	if (w->with_length) {
		p = wire_put(p, "\r\nContent-Length: ", 18);
		p += str_fmt_u64(p, w->length);
	}
	p = wire_put(p, "\r\n", 2);
	if (w->chunked)
		p = put_line(p, "Transfer-Encoding", "chunked");
	if (w->connection)
		p = put_line(p, "Connection", w->connection);
	for (size_t i = 0; i < w->n_headers; i++) {
		if (http_header_ok(&w->headers[i]))
			p = put_line(p, w->headers[i].name, w->headers[i].value);
		else
			log_error("http", "a response header (%s) is invalid and was omitted: names are tokens, values have no control characters",
				  w->headers[i].name && !str_has_control(w->headers[i].name, false) ?
				      w->headers[i].name :
				      "with an invalid name");
	}
	return (size_t)(wire_put(p, "\r\n", 2) - dst);
}
