#include "net/http_head.h"

#include <strings.h>

/* RFC 9110 token characters, by value so that the signedness of char does not matter (arm64 has unsigned ones). */
static const uint8_t TOKEN[256] = {
	['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,
	['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

static int refuse(int status, const char *why, const char **ret_why)
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

/* The request line buf[0..len), without its CRLF. */
static int check_request_line(char *buf, size_t len, struct http_head *h, const char **ret_why)
{
	size_t i = 0;
	while (i < len && i <= 10 && buf[i] >= 'A' && buf[i] <= 'Z')
		i++;
	if (i == 0 || i > 10 || i == len || buf[i] != ' ')
		return refuse(400, "the method must be 1 to 10 capital letters and one blank", ret_why);
	h->method = method_of(buf, i);
	size_t target = ++i;
	while (i < len && (uint8_t)buf[i] > 0x20 && (uint8_t)buf[i] < 0x7f) {
		if (buf[i] == '#')
			return refuse(400, "the target must not have a fragment ('#')", ret_why);
		if (buf[i] == '?' && !h->query)
			h->query = (uint32_t)i + 1;
		i++;
	}
	if (i == len || buf[i] != ' ')
		return refuse(400, "the target must be visible ASCII, followed by one blank and the version", ret_why);
	const char *v = buf + i + 1;
	size_t vlen = len - i - 1;
	if (vlen != 8 || memcmp(v, "HTTP/", 5) != 0 || v[5] < '0' || v[5] > '9' || v[6] != '.' || v[7] < '0' ||
	    v[7] > '9')
		return refuse(400, "the request line must end in HTTP/1.1 or HTTP/1.0", ret_why);
	if (v[5] != '1' || v[7] > '1')
		return refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here", ret_why);
	h->http10 = v[7] == '0';
	if (buf[target] != '/')
		return refuse(400, "the target must be a path that begins with '/'", ret_why);
	if (i - target > HTTP_HEAD_TARGET)
		return refuse(414, "path and query are over 4000 bytes", ret_why);
	h->path = (uint32_t)target;
	buf[i] = 0;
	if (h->query)
		buf[h->query - 1] = 0;
	return 0;
}

/* One header line buf[at..end): cut name and value, remember them. */
static int cut_line(char *buf, size_t at, size_t end, struct http_head *h, const char **ret_why)
{
	if (h->n_lines == HTTP_HEAD_LINES)
		return refuse(431, "more than 64 header lines", ret_why);
	size_t i = at;
	while (i < end && TOKEN[(uint8_t)buf[i]])
		i++;
	if (i == at || i == end || buf[i] != ':')
		return refuse(400, "a header line must be a name, ':' and a value; folded lines are not taken", ret_why);
	size_t name_len = i - at;
	buf[i++] = 0;
	while (i < end && (buf[i] == ' ' || buf[i] == '\t'))
		i++;
	size_t value = i;
	for (; i < end; i++) {
		uint8_t c = (uint8_t)buf[i];
		if (c == 0x7f || (c < 0x20 && c != '\t'))
			return refuse(400, "a header value has a control character", ret_why);
	}
	while (end > value && (buf[end - 1] == ' ' || buf[end - 1] == '\t'))
		end--;
	buf[end] = 0;
	h->line[h->n_lines].name = (uint32_t)at;
	h->line[h->n_lines].name_len = (uint32_t)name_len;
	h->line[h->n_lines++].value = (uint32_t)value;
	return 0;
}

/* Does the comma-separated list name the token? Without case, blanks around it do not count. */
static bool list_has(const char *list, const char *token)
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
		return refuse(400, "Content-Length is empty", ret_why);
	for (const char *p = s; *p; p++)
		if (*p < '0' || *p > '9')
			return refuse(400, "Content-Length must be digits alone", ret_why);
	for (; *s; s++) {
		n = n * 10 + (uint64_t)(*s - '0');
		if (n > max_body)
			return refuse(413, "the body is larger than this server takes", ret_why);
	}
	*ret = n;
	return 0;
}

/* What the header lines say about connection and body. The first letter decides quickly that a line is none of ours. */
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
			if (value[strcspn(value, " \t,/?#@")])
				return refuse(400, "the Host header is not a host", ret_why);
			hosts++;
			break;
		case 'c':
			if (strcasecmp(name, "content-length") == 0) {
				if (lengths++)
					return refuse(400, "Content-Length stands there more than once", ret_why);
				h->body_len = 0;
			} else if (strcasecmp(name, "connection") == 0) {
				close |= list_has(value, "close");
				keep |= list_has(value, "keep-alive");
			}
			break;
		case 't':
			encoded |= strcasecmp(name, "transfer-encoding") == 0;
			break;
		}
	}
	if (encoded)
		return refuse(411, "Transfer-Encoding is not taken; send Content-Length", ret_why);
	if (hosts > 1 || (hosts == 0 && !h->http10))
		return refuse(400, "there must be exactly one Host header", ret_why);
	const char *s = lengths ? http_head_find(h, buf, "content-length", NULL) : NULL;
	if (s && (r = parse_length(s, max_body, &h->body_len, ret_why)))
		return r;
	bool again;
	s = http_head_find(h, buf, "expect", &again);
	if (s && (again || strcasecmp(s, "100-continue") != 0))
		return refuse(417, "of Expect only 100-continue is known", ret_why);
	h->expect_continue = s && !h->http10; /* RFC 9110: 1.0 clients never get a 100 */
	h->keep_alive = !close && (!h->http10 || keep);
	return 0;
}

int http_head_check(char *buf, size_t len, uint64_t max_body, struct http_head *h, const char **ret_why)
{
	int r;
	/* all but the lines, which n_lines bounds */
	memset(h, 0, offsetof(struct http_head, line));
	h->method = HTTP_OTHER;
	if (len < 4 || memcmp(buf + len - 4, "\r\n\r\n", 4) != 0)
		return refuse(400, "the head does not end in an empty line", ret_why);
	size_t at = 0, stop = len - 2; /* stop: where the empty line begins */
	while (at < stop) {
		char *nl = memchr(buf + at, '\n', stop - at);
		size_t end = nl ? (size_t)(nl - buf) : stop;
		if (!nl || end == at || buf[end - 1] != '\r')
			return refuse(400, "a line of the head does not end in CR LF", ret_why);
		if (at == 0)
			r = check_request_line(buf, end - 1, h, ret_why);
		else
			r = cut_line(buf, at, end - 1, h, ret_why);
		if (r)
			return r;
		at = end + 1;
	}
	if (h->path == 0)
		return refuse(400, "there is no request line", ret_why);
	return weigh_lines(buf, max_body, h, ret_why);
}

int http_head_partial(const char *buf, size_t from, size_t len, size_t max_head, const char **ret_why)
{
	if (len && (buf[0] < 'A' || buf[0] > 'Z'))
		return refuse(400, "this does not begin like HTTP; is the client speaking TLS to a plain port?", ret_why);
	for (size_t i = from; i < len; i++) {
		if (buf[i] == 0)
			return refuse(400, "the head has a NUL byte", ret_why);
		if (buf[i] == '\n' && (i == 0 || buf[i - 1] != '\r'))
			return refuse(400, "a line of the head does not end in CR LF", ret_why);
	}
	/* 11: the longest method and its blank; 10: a blank, the version, CR */
	if (len > HTTP_HEAD_TARGET + 21 && from <= HTTP_HEAD_TARGET + 21 &&
	    !memchr(buf, '\n', HTTP_HEAD_TARGET + 22))
		return refuse(414, "path and query are over 4000 bytes", ret_why);
	if (len >= max_head)
		return refuse(431, "the head is larger than this server takes", ret_why);
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
