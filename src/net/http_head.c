#include "net/http_head.h"

#include <strings.h>

#include "net/http_host.h"

/* RFC 9110 token characters, by value so that the signedness of char does not matter (arm64 has unsigned ones). */
static const uint8_t TOKEN[256] = {
	['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,
	['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

static int head_refuse(int status, const char *why, const char **ret_why)
{
	*ret_why = why;
	return status;
}

static enum http_method method_of(const char *s, size_t len)
{
	for (enum http_method m = HTTP_GET; m < HTTP_OTHER; m++) {
		const char *name = http_method_name(m);
		if (strlen(name) == len && memcmp(name, s, len) == 0)
			return m;
	}
	return HTTP_OTHER;
}

/*
 * The target buf[at..end) is not a path. "*" with OPTIONS addresses the whole server and is treated as "/". In absolute form the host is
 * moved left over the slashes before it, to make room for its terminator and, if the URL has no path, for a "/".
 */
static int check_other_target(char *buf, size_t at, size_t end, struct http_head *h, const char **ret_why)
{
	size_t scheme = end - at > 7 && strncasecmp(buf + at, "http://", 7) == 0 ? 7 : end - at > 8 && strncasecmp(buf + at, "https://", 8) == 0 ? 8 : 0;
	if (!scheme) {
		if (h->method != HTTP_OPTIONS || end - at != 1 || buf[at] != '*')
			return head_refuse(400, "the request target must be a path that starts with '/', or an http:// or https:// URL", ret_why);
		buf[at] = '/';
		h->path = (uint32_t)at;
		return 0;
	}
	size_t host = at + scheme, stop = host;
	while (stop < end && buf[stop] != '/' && buf[stop] != '?')
		stop++;
	if (stop == host || buf[host] == ':' || !http_host_ok(buf + host, stop - host))
		return head_refuse(400, "the request target has an invalid host", ret_why);
	bool bare = stop == end || buf[stop] == '?';
	size_t to = host - 1 - bare;
	memmove(buf + to, buf + host, stop - host);
	buf[to + stop - host] = 0;
	h->authority = (uint32_t)to;
	h->path = (uint32_t)(stop - bare);
	buf[h->path] = '/';
	return 0;
}

/* The request line buf[0..len), without its CRLF. */
static int check_request_line(char *buf, size_t len, struct http_head *h, const char **ret_why)
{
	size_t i = 0;
	while (i < len && i <= 10 && buf[i] >= 'A' && buf[i] <= 'Z')
		i++;
	if (i == 0 || i > 10 || i == len || buf[i] != ' ')
		return head_refuse(400, "the method must be 1 to 10 capital letters, followed by one space", ret_why);
	h->method = method_of(buf, i);
	size_t target = ++i;
	while (i < len && (uint8_t)buf[i] > 0x20 && (uint8_t)buf[i] < 0x7f) {
		if (buf[i] == '#')
			return head_refuse(400, "the request target must not have a fragment ('#')", ret_why);
		if (buf[i] == '?' && !h->query)
			h->query = (uint32_t)i + 1;
		i++;
	}
	if (i == len || buf[i] != ' ')
		return head_refuse(400, "the request target must be visible ASCII, followed by one space and the version", ret_why);
	const char *v = buf + i + 1;
	size_t vlen = len - i - 1;
	if (vlen != 8 || memcmp(v, "HTTP/", 5) != 0 || v[5] < '0' || v[5] > '9' || v[6] != '.' || v[7] < '0' ||
	    v[7] > '9')
		return head_refuse(400, "the request line must end with HTTP/1.1 or HTTP/1.0", ret_why);
	if (v[5] != '1' || v[7] > '1')
		return head_refuse(505, "the HTTP version is not supported; use HTTP/1.1 or HTTP/1.0", ret_why);
	h->http10 = v[7] == '0';
	if (i - target > HTTP_HEAD_TARGET)
		return head_refuse(414, "path and query together exceed 4000 bytes", ret_why);
	h->path = (uint32_t)target;
	int r = buf[target] == '/' ? 0 : check_other_target(buf, target, i, h, ret_why);
	if (r)
		return r;
	buf[i] = 0;
	if (h->query)
		buf[h->query - 1] = 0;
	return 0;
}

/* Checks a header line buf[at..end), terminates name and value, and adds them to h->line. */
static int cut_line(char *buf, size_t at, size_t end, struct http_head *h, const char **ret_why)
{
	if (h->n_lines == HTTP_HEAD_LINES)
		return head_refuse(431, "more than 64 header lines", ret_why);
	size_t i = at;
	while (i < end && TOKEN[(uint8_t)buf[i]])
		i++;
	if (i == at || i == end || buf[i] != ':')
		return head_refuse(400, "a header line must be a name, ':' and a value; folded lines are not supported", ret_why);
	size_t name_len = i - at;
	buf[i++] = 0;
	while (i < end && (buf[i] == ' ' || buf[i] == '\t'))
		i++;
	size_t value = i;
	for (; i < end; i++) {
		uint8_t c = (uint8_t)buf[i];
		if (c == 0x7f || (c < 0x20 && c != '\t'))
			return head_refuse(400, "a header value has a control character", ret_why);
	}
	while (end > value && (buf[end - 1] == ' ' || buf[end - 1] == '\t'))
		end--;
	buf[end] = 0;
	h->line[h->n_lines].name = (uint32_t)at;
	h->line[h->n_lines].name_len = (uint32_t)name_len;
	h->line[h->n_lines++].value = (uint32_t)value;
	return 0;
}

bool http_head_list_has(const char *list, const char *token)
{
	size_t n = strlen(token);
	for (const char *s = list; *s;) {
		s += strspn(s, " \t,");
		size_t len = strcspn(s, ",");
		const char *next = s + len;
		while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
			len--;
		if (len == n && strncasecmp(s, token, n) == 0)
			return true;
		s = next;
	}
	return false;
}

static int parse_length(const char *s, uint64_t max_body, uint64_t *ret, const char **ret_why)
{
	uint64_t n = 0;
	if (!*s)
		return head_refuse(400, "Content-Length is empty", ret_why);
	for (const char *p = s; *p; p++)
		if (*p < '0' || *p > '9')
			return head_refuse(400, "Content-Length must consist of digits", ret_why);
	for (; *s; s++) {
		n = n * 10 + (uint64_t)(*s - '0');
		if (n > max_body)
			return head_refuse(413, "the body exceeds MAX_BODY_BYTES", ret_why);
	}
	*ret = n;
	return 0;
}

/* Evaluates the headers on connection and body. The switch on the first letter skips all other headers quickly. */
static int weigh_lines(const char *buf, uint64_t max_body, struct http_head *h, const char **ret_why)
{
	unsigned hosts = 0, lengths = 0;
	bool close = false, keep = false, encoded = false;
	int r;
	for (unsigned i = 0; i < h->n_lines; i++) {
		const char *name = buf + h->line[i].name, *value = buf + h->line[i].value;
		switch (name[0] | 0x20) {
		case 'h':
			if (strcasecmp(name, "host") != 0)
				break;
			if (!http_host_ok(value, strlen(value)))
				return head_refuse(400, "the Host header is not host[:port]", ret_why);
			hosts++;
			break;
		case 'c':
			if (strcasecmp(name, "content-length") == 0) {
				if (lengths++)
					return head_refuse(400, "Content-Length is given more than once", ret_why);
				h->body_len = 0;
			} else if (strcasecmp(name, "connection") == 0) {
				close |= http_head_list_has(value, "close");
				keep |= http_head_list_has(value, "keep-alive");
			}
			break;
		case 't':
			encoded |= strcasecmp(name, "transfer-encoding") == 0;
			break;
		}
	}
	if (encoded)
		return head_refuse(411, "Transfer-Encoding is not supported; send Content-Length", ret_why);
	if (hosts > 1 || (hosts == 0 && !h->http10))
		return head_refuse(400, "there must be exactly one Host header", ret_why);
	const char *s = lengths ? http_head_find(h, buf, "content-length", NULL) : NULL;
	if (s && (r = parse_length(s, max_body, &h->body_len, ret_why)))
		return r;
	bool again;
	s = http_head_find(h, buf, "expect", &again);
	if (s && (again || strcasecmp(s, "100-continue") != 0))
		return head_refuse(417, "the only supported value of Expect is 100-continue", ret_why);
	h->expect_continue = s && !h->http10; /* RFC 9110: 1.0 clients never get a 100 */
	h->keep_alive = !close && (!h->http10 || keep);
	return 0;
}

int http_head_check(char *buf, size_t len, uint64_t max_body, struct http_head *h, const char **ret_why)
{
	int r;
	/* not the lines: n_lines says how many are valid */
	memset(h, 0, offsetof(struct http_head, line));
	h->method = HTTP_OTHER;
	if (len < 4 || memcmp(buf + len - 4, "\r\n\r\n", 4) != 0)
		return head_refuse(400, "the head does not end with an empty line", ret_why);
	size_t at = 0, stop = len - 2; /* stop: where the empty line begins */
	while (at < stop) {
		char *nl = memchr(buf + at, '\n', stop - at);
		size_t end = nl ? (size_t)(nl - buf) : stop;
		if (!nl || end == at || buf[end - 1] != '\r')
			return head_refuse(400, "a line of the head does not end with CR LF", ret_why);
		if (at == 0)
			r = check_request_line(buf, end - 1, h, ret_why);
		else
			r = cut_line(buf, at, end - 1, h, ret_why);
		if (r)
			return r;
		at = end + 1;
	}
	if (h->path == 0)
		return head_refuse(400, "the request line is missing", ret_why);
	return weigh_lines(buf, max_body, h, ret_why);
}

int http_head_partial(const char *buf, size_t from, size_t len, size_t max_head, const char **ret_why)
{
	if (len && (buf[0] < 'A' || buf[0] > 'Z'))
		return head_refuse(400, "the request does not start like HTTP; the client may be speaking TLS to a plaintext port", ret_why);
	for (size_t i = from; i < len; i++) {
		if (buf[i] == 0)
			return head_refuse(400, "the head has a NUL byte", ret_why);
		if (buf[i] == '\n' && (i == 0 || buf[i - 1] != '\r'))
			return head_refuse(400, "a line of the head does not end with CR LF", ret_why);
	}
	/* 11: the longest method and a space; 10: a space, the version, CR */
	if (len > HTTP_HEAD_TARGET + 21 && from <= HTTP_HEAD_TARGET + 21 &&
	    !memchr(buf, '\n', HTTP_HEAD_TARGET + 22))
		return head_refuse(414, "path and query together exceed 4000 bytes", ret_why);
	if (len >= max_head)
		return head_refuse(431, "the head exceeds MAX_HEADER_BYTES", ret_why);
	return 0;
}

const char *http_head_find(const struct http_head *h, const char *buf, const char *name, bool *ret_again)
{
	size_t len = strlen(name);
	const char *found = NULL;
	if (ret_again)
		*ret_again = false;
	for (unsigned i = 0; i < h->n_lines; i++) {
		if (h->line[i].name_len != len || strcasecmp(buf + h->line[i].name, name) != 0)
			continue;
		if (found) {
			*ret_again = true;
			break;
		}
		found = buf + h->line[i].value;
		if (!ret_again)
			break;
	}
	return found;
}

size_t http_head_find_all(const struct http_head *h, const char *buf, const char *name, const char *ret[], size_t max)
{
	size_t len = strlen(name), n = 0;
	for (unsigned i = 0; i < h->n_lines && n < max; i++)
		if (h->line[i].name_len == len && strcasecmp(buf + h->line[i].name, name) == 0)
			ret[n++] = buf + h->line[i].value;
	return n;
}
