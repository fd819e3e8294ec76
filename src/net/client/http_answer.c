#include "net/client/http_answer.h"

#include <event2/buffer.h>
#include <strings.h>

#include "lucid/str.h"
#include "net/http_wire.h"

#define HEAD_MAX 16384
#define HEADS_MAX 8    /* interim responses and the final one */
#define LINE_MAX_ 256  /* the line with the size of a chunk */
#define TRAILER_MAX 8192

void http_answer_init(struct http_answer *a, bool bodyless, size_t max_body)
{
	*a = (struct http_answer){ .bodyless = bodyless, .max_body = max_body, .body = evbuffer_new() };
	if (!a->body)
		abort(); /* no memory */
}

void http_answer_done(struct http_answer *a)
{
	free(a->head);
	if (a->body)
		evbuffer_free(a->body);
	*a = (struct http_answer){ 0 };
}

static bool answer_bad(struct http_answer *a, const char *why)
{
	a->part = ANSWER_BAD;
	a->why = why;
	return false;
}

static bool not_http(struct http_answer *a)
{
	return answer_bad(a, "the response is not valid HTTP");
}

/* --- head */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* HTTP/1.x NNN reason */
static bool read_status(struct http_answer *a, const char *line)
{
	if (!str_starts(line, "HTTP/1.") || !is_digit(line[7]) || line[8] != ' ' || line[9] < '1' || line[9] > '5' ||
	    !is_digit(line[10]) || !is_digit(line[11]) || (line[12] && line[12] != ' '))
		return not_http(a);
	a->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
	a->keep = line[7] != '0';
	return true;
}

static bool read_header(struct http_answer *a, char *line)
{
	char *colon = strchr(line, ':');
	if (a->n_headers == ANSWER_HEADERS)
		return answer_bad(a, "the response has too many headers");
	if (!colon)
		return not_http(a);
	*colon = 0;
	char *value = colon + 1 + strspn(colon + 1, " \t"), *end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = 0;
	a->headers[a->n_headers] = (struct http_header){ line, value };
	/* refuses blanks in names, and thereby folded lines */
	if (!http_header_ok(&a->headers[a->n_headers]))
		return not_http(a);
	a->n_headers++;
	return true;
}

/* Determines the length of the body (RFC 9112 6.3). Where the RFC lets a client choose, the response is refused. */
static bool read_framing(struct http_answer *a)
{
	const char *coding = http_answer_header(a, "Transfer-Encoding"), *length = NULL;
	int64_t n = 0;
	for (size_t i = 0; i < a->n_headers; i++) {
		if (strcasecmp(a->headers[i].name, "Content-Length") != 0)
			continue;
		if (length && !str_eq(length, a->headers[i].value))
			return not_http(a);
		length = a->headers[i].value;
	}
	const char *connection = http_answer_header(a, "Connection");
	if (connection)
		a->keep = strcasestr(connection, "close") ? false : a->keep || strcasestr(connection, "keep-alive");
	if ((coding && (length || strcasecmp(coding, "chunked") != 0)) || (length && !str_int(length, 0, INT64_MAX, &n)))
		return not_http(a);
	a->left = (uint64_t)n;
	if (a->bodyless || a->status == 204 || a->status == 304)
		a->part = ANSWER_DONE;
	else if (coding)
		a->part = ANSWER_CHUNK_SIZE;
	else if (length)
		a->part = n ? ANSWER_LENGTH : ANSWER_DONE;
	else
		a->part = ANSWER_TO_END;
	if (a->part == ANSWER_TO_END)
		a->keep = false;
	return a->part != ANSWER_LENGTH || a->left <= a->max_body || answer_bad(a, "the response exceeds the size limit");
}

static bool take_head(struct http_answer *a, struct evbuffer *in)
{
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	size_t len = end.pos < 0 ? evbuffer_get_length(in) : (size_t)end.pos;
	char begin[7];
	if (evbuffer_copyout(in, begin, sizeof begin) == sizeof begin && memcmp(begin, "HTTP/1.", sizeof begin) != 0)
		return not_http(a);
	if (len > HEAD_MAX)
		return answer_bad(a, "the head of the response exceeds the size limit");
	if (end.pos < 0)
		return false;
	if (++a->heads > HEADS_MAX)
		return not_http(a);
	free(a->head);
	a->head = xcalloc(1, len + 1);
	a->n_headers = 0;
	evbuffer_remove(in, a->head, len);
	evbuffer_drain(in, 4);
	if (strlen(a->head) != len)
		return not_http(a);
	char *line = a->head, *next;
	for (bool first = true; line; first = false, line = next) {
		next = strstr(line, "\r\n");
		if (next) {
			*next = 0;
			next += 2;
		}
		if (!(first ? read_status(a, line) : read_header(a, line)))
			return false;
	}
	if (a->status == 101)
		return not_http(a); /* the request had no Upgrade */
	return a->status < 200 || read_framing(a);
}

/* --- body */

/* Moves up to `most` bytes to the body; returns how many. */
static size_t body_take(struct http_answer *a, struct evbuffer *in, uint64_t most)
{
	size_t n = (size_t)MIN((uint64_t)evbuffer_get_length(in), most);
	if (n > a->max_body - evbuffer_get_length(a->body)) {
		answer_bad(a, "the response exceeds the size limit");
		return 0;
	}
	evbuffer_remove_buffer(in, a->body, n);
	return n;
}

static bool take_counted(struct http_answer *a, struct evbuffer *in, enum answer_part then)
{
	a->left -= body_take(a, in, a->left);
	if (a->left || a->part == ANSWER_BAD)
		return false;
	a->part = then;
	return true;
}

/* Reads a line of at most size - 1 bytes, without its CR LF. False: it is incomplete, or the response is bad. */
static bool take_line(struct http_answer *a, struct evbuffer *in, char *line, size_t size)
{
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n", 2, NULL);
	if ((end.pos < 0 && evbuffer_get_length(in) > size) || end.pos >= (ssize_t)size)
		return not_http(a);
	if (end.pos < 0)
		return false;
	evbuffer_remove(in, line, (size_t)end.pos);
	line[end.pos] = 0;
	evbuffer_drain(in, 2);
	return true;
}

static bool take_chunk_size(struct http_answer *a, struct evbuffer *in)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	char line[LINE_MAX_];
	if (!take_line(a, in, line, sizeof line))
		return false;
	size_t n = strspn(line, digits);
	if (n == 0 || n > 15 || (line[n] && !strchr("; \t", line[n])))
		return not_http(a);
	a->left = strtoull(line, NULL, 16);
	a->part = a->left ? ANSWER_CHUNK : ANSWER_TRAILER;
	return true;
}

static bool take_chunk_end(struct http_answer *a, struct evbuffer *in)
{
	char line[2];
	if (!take_line(a, in, line, sizeof line))
		return false;
	a->part = ANSWER_CHUNK_SIZE;
	return !*line || not_http(a);
}

/* Trailer fields are skipped. */
static bool take_trailer(struct http_answer *a, struct evbuffer *in)
{
	char line[TRAILER_MAX];
	if (!take_line(a, in, line, sizeof line))
		return false;
	a->trailer += strlen(line);
	if (a->trailer >= TRAILER_MAX)
		return not_http(a);
	if (!*line)
		a->part = ANSWER_DONE;
	return true;
}

static bool answer_step(struct http_answer *a, struct evbuffer *in)
{
	switch (a->part) {
	case ANSWER_HEAD:
		return take_head(a, in);
	case ANSWER_LENGTH:
		return take_counted(a, in, ANSWER_DONE);
	case ANSWER_TO_END:
		body_take(a, in, UINT64_MAX);
		return false;
	case ANSWER_CHUNK_SIZE:
		return take_chunk_size(a, in);
	case ANSWER_CHUNK:
		return take_counted(a, in, ANSWER_CHUNK_END);
	case ANSWER_CHUNK_END:
		return take_chunk_end(a, in);
	case ANSWER_TRAILER:
		return take_trailer(a, in);
	case ANSWER_DONE:
	case ANSWER_BAD:
		break;
	}
	return false;
}

void http_answer_feed(struct http_answer *a, struct evbuffer *in)
{
	while (answer_step(a, in) && a->part < ANSWER_DONE)
		;
}

void http_answer_end(struct http_answer *a)
{
	if (a->part == ANSWER_TO_END)
		a->part = ANSWER_DONE;
	else if (a->part < ANSWER_DONE)
		answer_bad(a, "the peer closed the connection");
}

const char *http_answer_header(const struct http_answer *a, const char *name)
{
	for (size_t i = 0; i < a->n_headers; i++)
		if (strcasecmp(a->headers[i].name, name) == 0)
			return a->headers[i].value;
	return NULL;
}
