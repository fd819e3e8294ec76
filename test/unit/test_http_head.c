/* http_head: verdicts on whole heads, especially where parsers differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "net/http_head.h"
#include "net/http_host.h"

#define HOST "Host: a\r\n"
#define MAX_BODY 1000

static char buf[200000];
static struct http_head h;
static const char *why;

static int check_n(const char *text, size_t len)
{
	assert_true(len < sizeof buf);
	memcpy(buf, text, len);
	why = NULL;
	int r = http_head_check(buf, len, MAX_BODY, &h, &why);
	assert_true(r == 0 || why != NULL);
	return r;
}

static int check(const char *text)
{
	return check_n(text, strlen(text));
}

static void good_heads(void **state)
{
	bool again;
	assert_int_equal(check("GET /a/b?x=1&y HTTP/1.1\r\nHost: a.b:80\r\nX-A:  v v\t \r\nx-a: w\r\nempty:\r\n\r\n"), 0);
	assert_int_equal(h.method, HTTP_GET);
	assert_string_equal(buf + h.path, "/a/b");
	assert_string_equal(buf + h.query, "x=1&y");
	assert_true(h.keep_alive && !h.http10);
	assert_string_equal(http_head_find(&h, buf, "X-a", &again), "v v");
	assert_true(again);
	assert_string_equal(http_head_find(&h, buf, "EMPTY", &again), "");
	assert_false(again);
	assert_null(http_head_find(&h, buf, "x", &again));
	assert_int_equal(check("OPTIONS / HTTP/1.0\r\n\r\n"), 0);
	assert_true(h.http10 && !h.keep_alive && h.query == 0 && h.method == HTTP_OPTIONS);
	assert_int_equal(check("PURGE /? HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_int_equal(h.method, HTTP_OTHER);
	assert_string_equal(buf + h.query, "");
	assert_int_equal(check("POST / HTTP/1.1\r\n" HOST "Content-Length: 1000\r\nExpect: 100-Continue\r\n\r\n"), 0);
	assert_true(h.body_len == 1000 && h.expect_continue);
}

static void absolute_targets(void **state)
{
	static const struct {
		const char *target, *host, *path, *query;
	} rows[] = {
		{ "http://a/", "a", "/", NULL },
		{ "http://rdp.example:8090/a/b?x=1", "rdp.example:8090", "/a/b", "x=1" },
		{ "HTTPS://RDP.example/a?", "RDP.example", "/a", "" },
		{ "http://a", "a", "/", NULL },
		{ "https://a:1", "a:1", "/", NULL },
		{ "http://a?x=http://b/c", "a", "/", "x=http://b/c" },
		{ "http://[2001:db8::1]:80//x", "[2001:db8::1]:80", "//x", NULL },
		{ "http://a:/x", "a:", "/x", NULL },
		{ "http://a/b?c?d", "a", "/b", "c?d" },
	};
	char text[300];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int old = 0; old < 2; old++) {
			snprintf(text, sizeof text, "GET %s HTTP/1.%d\r\n%s\r\n", rows[i].target, !old, old ? "" : "Host: other:1\r\n");
			assert_int_equal(check(text), 0);
			assert_string_equal(buf + h.authority, rows[i].host);
			assert_string_equal(buf + h.path, rows[i].path);
			assert_int_equal(h.query != 0, rows[i].query != NULL);
			if (rows[i].query)
				assert_string_equal(buf + h.query, rows[i].query);
		}
	assert_int_equal(check("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 0);
	assert_string_equal(buf + h.path, "/");
	assert_true(h.authority == 0 && h.query == 0);
}

static void names_of_hosts(void **state)
{
	static const struct {
		const char *host, *name;
	} rows[] = {
		{ "RDP.Example:80", "rdp.example" }, { "rdp.example.", "rdp.example" }, { "rdp.example.:80", "rdp.example" }, { "[::1]:80", "::1" },
		{ "[2001:DB8:0::0:1]", "2001:db8::1" }, { "::1", "::1" }, { "192.0.2.1:80", "192.0.2.1" }, { "*.Lab", "*.lab" },
		{ "", "" }, { ":80", "" }, { ".", "" },
	};
	char name[HTTP_HOST_MAX + 1];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(http_host_name(rows[i].host, name), *rows[i].name != 0);
		assert_string_equal(name, rows[i].name);
	}
	assert_false(http_host_name(NULL, name));
}

static void connection_header(void **state)
{
	static const struct {
		const char *version, *value;
		bool keep;
	} rows[] = {
		{ "1.1", "close", false },     { "1.1", "CLOSE", false },	 { "1.1", "close, TE", false },
		{ "1.1", "TE , cLoSe", false }, { "1.1", "keep-alive", true }, { "1.1", "closed", true },
		{ "1.0", "keep-alive", true }, { "1.0", "Keep-Alive, x", true }, { "1.0", "x", false },
		{ "1.0", "keep-alive, close", false },
	};
	char text[200];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof text, "GET / HTTP/%s\r\n" HOST "Connection: %s\r\n\r\n", rows[i].version,
			 rows[i].value);
		assert_int_equal(check(text), 0);
		assert_int_equal(h.keep_alive, rows[i].keep);
	}
	assert_int_equal(check("GET / HTTP/1.1\r\n" HOST "Connection: keep-alive\r\nConnection: close\r\n\r\n"), 0);
	assert_false(h.keep_alive);
}

#define GET "GET / HTTP/1.1\r\n" HOST
#define POST "POST / HTTP/1.1\r\n" HOST
static const struct {
	const char *text;
	int status;
} bad[] = {
	/* request line */
	{ "get / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "ABCDEFGHIJK / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ " GET / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET  / HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET /  HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET /\tHTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET / HTTP/1.1 \r\n" HOST "\r\n", 400 },
	{ "GET /\r\n" HOST "\r\n", 400 },
	{ "GET\r\n" HOST "\r\n", 400 },
	{ "GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET /\x7f HTTP/1.1\r\n" HOST "\r\n", 400 },
	/* targets in absolute form, and invalid ones */
	{ "GET * HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "OPTIONS ** HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "OPTIONS *?a HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET http: HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET http:// HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET http:/// HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET http://:80/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET http://?x HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET http://a@b/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET http://a:b@c/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET http://a:80x/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET http://a#b HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET http://[::1/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET http:a/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n", 400 },
	{ "GET //a/ HTTP/0.9\r\n" HOST "\r\n", 505 },
	{ "GET http://a/ HTTP/1.1\r\n\r\n", 400 },
	{ "GET http://a/ HTTP/1.1\r\n" HOST "Host: b\r\n\r\n", 400 },
	{ "GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400 },
	{ "GET / HTTP/1.2\r\n" HOST "\r\n", 505 },
	{ "GET / HTTP/2.0\r\n" HOST "\r\n", 505 },
	{ "PRI * HTTP/2.0\r\n\r\n", 505 },
	{ "GET / HTTP/11\r\n" HOST "\r\n", 400 },
	{ "GET / http/1.1\r\n" HOST "\r\n", 400 },
	{ "GET / HTTP/1.1\n" HOST "\r\n", 400 },
	{ "\r\n\r\n", 400 },
	/* lines */
	{ GET "a b: c\r\n\r\n", 400 },
	{ GET "a : c\r\n\r\n", 400 },
	{ GET ": c\r\n\r\n", 400 },
	{ GET "a\r\n\r\n", 400 },
	{ GET " a: folded\r\n\r\n", 400 },
	{ GET "a: b\r\n\tfolded\r\n\r\n", 400 },
	{ GET "a: b\nc: d\r\n\r\n", 400 },
	{ GET "a: b\rc: d\r\n\r\n", 400 },
	{ GET "a: \x01\r\n\r\n", 400 },
	{ GET "a: \x7f\r\n\r\n", 400 },
	{ GET "\xe4: b\r\n\r\n", 400 },
	/* Host */
	{ "GET / HTTP/1.1\r\n\r\n", 400 },
	{ GET "Host: b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a:\r\n \r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a:80:81\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a:80.evil.example\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a:-1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: [::1]:80x\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: [::1].evil.example\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a;b\"\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", 400 },
	/* B3, B4: the length of the body */
	{ POST "Transfer-Encoding: chunked\r\n\r\n", 411 },
	{ POST "Transfer-Encoding: xchunked\r\n\r\n", 411 },
	{ POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 411 },
	{ POST "TRANSFER-ENCODING: CHUNKED\r\n\r\n", 411 },
	{ POST "Transfer-Encoding: chunked \r\n\r\n", 411 },
	{ POST "Transfer-Encoding:\r\n\r\n", 411 },
	{ POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 411 },
	{ POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400 },
	{ POST "Content-Length: 3\r\ncontent-length: 4\r\n\r\n", 400 },
	{ POST "Content-Length: 3, 3\r\n\r\n", 400 },
	{ POST "Content-Length : 3\r\n\r\n", 400 },
	{ POST "Content-Length: 3\r\n\t0\r\n\r\n", 400 },
	{ POST "Content-Length: +3\r\n\r\n", 400 },
	{ POST "Content-Length: -3\r\n\r\n", 400 },
	{ POST "Content-Length: 0x3\r\n\r\n", 400 },
	{ POST "Content-Length: 3 3\r\n\r\n", 400 },
	{ POST "Content-Length:\r\n\r\n", 400 },
	{ POST "Content-Length: \xb3\r\n\r\n", 400 },
	{ POST "Content-Length: 1001\r\n\r\n", 413 },
	{ POST "Content-Length: 18446744073709551617\r\n\r\n", 413 },
	{ POST "Content-Length: 99999999999999999999999999999999\r\n\r\n", 413 },
	{ POST "Expect: 100-continue, x\r\n\r\n", 417 },
	{ POST "Expect: 200-ok\r\n\r\n", 417 },
	{ POST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", 417 },
};

static void bad_heads(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int r = check(bad[i].text);
		if (r != bad[i].status)
			print_error("row %zu: %s", i, bad[i].text);
		assert_int_equal(r, bad[i].status);
	}
}

static void nul_bytes(void **state)
{
	static const char *const at[] = { "GET /a\001b HTTP/1.1\r\n" HOST "\r\n", "GET / HTTP/1.1\r\nHo\001st: a\r\n\r\n",
					  GET "a: b\001c\r\n\r\n", "G\001T / HTTP/1.1\r\n" HOST "\r\n" };
	char text[200];
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		size_t len = strlen(at[i]);
		memcpy(text, at[i], len);
		*(char *)memchr(text, 1, len) = 0;
		assert_int_equal(check_n(text, len), 400);
		assert_int_equal(http_head_partial(text, 0, len, 1000, &why), 400);
	}
}

static void sizes(void **state)
{
	static char text[20000];
	size_t n = (size_t)sprintf(text, "GET /");
	memset(text + n, 'a', 3999);
	strcpy(text + n + 3999, " HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(check(text), 0);
	memset(text + n, 'a', 4000);
	strcpy(text + n + 4000, " HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(check(text), 414);
	for (int lines = 64; lines <= 65; lines++) {
		strcpy(text, GET);
		for (int i = 1; i < lines; i++)
			strcat(text, "a: b\r\n");
		strcat(text, "\r\n");
		assert_int_equal(check(text), lines == 64 ? 0 : 431);
	}
	assert_int_equal(http_head_partial("\x16\x03", 0, 2, 5001, &why), 400);
	memset(text, 'A', 5000);
	assert_int_equal(http_head_partial(text, 0, 4000, 16384, &why), 0);
	assert_int_equal(http_head_partial(text, 0, 4022, 16384, &why), 414);
	strcpy(text, GET);
	memset(text + strlen(GET), 'a', 10000);
	assert_int_equal(http_head_partial(text, 0, 5000, 5001, &why), 0);
	assert_int_equal(http_head_partial(text, 0, 5001, 5001, &why), 431);
	assert_int_equal(http_head_partial("GET / HTTP/1.1\n", 0, 15, 5001, &why), 400);
}

/* Every change of a single byte of a valid head: no crash, and an accepted head still has one Host and a path. */
static void mutations(void **state)
{
	static const char text[] = "POST /ab?c HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nConnection: close\r\n\r\n";
	size_t len = sizeof text - 1, accepted = 0;
	char copy[sizeof text];
	for (size_t i = 0; i < len; i++) {
		for (int c = 0; c < 256; c++) {
			memcpy(copy, text, len);
			copy[i] = (char)c;
			if (check_n(copy, len))
				continue;
			accepted++;
			assert_int_equal(buf[h.path], '/');
			assert_non_null(http_head_find(&h, buf, "host", NULL));
			assert_true(h.body_len <= MAX_BODY);
		}
	}
	assert_true(accepted > len);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(check_n(text, cut), 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_heads), cmocka_unit_test(absolute_targets), cmocka_unit_test(names_of_hosts), cmocka_unit_test(connection_header), cmocka_unit_test(bad_heads),
		cmocka_unit_test(nul_bytes),  cmocka_unit_test(sizes),		   cmocka_unit_test(mutations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
