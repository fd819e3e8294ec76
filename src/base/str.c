#include "lucid/str.h"

#include <errno.h>
#include <stdio.h>

bool str_copy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src);
	if (n >= size) {
		if (size)
			dst[0] = 0;
		return false;
	}
	memcpy(dst, src, n + 1);
	return true;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);
	return n >= m && str_eq(s + n - m, suffix);
}

bool str_has_control(const char *s, bool multiline)
{
	for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
		bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
		bool separator = p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9);
		if (c1 || separator)
			return true;
		if (*p >= 0x20 && *p != 0x7f)
			continue;
		if (!multiline || (*p != '\n' && *p != '\t'))
			return true;
	}
	return false;
}

/* Length of the UTF-8 sequence at p; 0 if it is not well-formed. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
	if (p[0] < 0x80)
		return 1;
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

bool str_utf8(const char *s, size_t len, size_t *ret_chars)
{
	size_t chars = 0;
	for (size_t i = 0; i < len; chars++) {
		size_t n = utf8_sequence((const unsigned char *)s + i, len - i);
		if (!n)
			return false;
		i += n;
	}
	if (ret_chars)
		*ret_chars = chars;
	return true;
}

bool str_int(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	const char *p = *s == '-' ? s + 1 : s;
	if (!*p || strlen(p) > 19 || strspn(p, "0123456789") != strlen(p))
		return false;
	errno = 0;
	long long v = strtoll(s, NULL, 10);
	if (errno || v < min || v > max)
		return false;
	*ret = v;
	return true;
}

bool str_match(const char *pattern, const char *s)
{
	const char *star = NULL, *back = NULL;
	for (; *s; ) {
		if (*pattern == '*') {
			star = ++pattern;
			back = s;
		} else if (*pattern == *s) {
			pattern++;
			s++;
		} else if (star) {
			pattern = star;
			s = ++back;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/* realloc would leave a copy of the secret in the memory that it frees. */
static void grow_secret(struct strbuf *b, size_t cap)
{
	char *s = xmalloc(cap);
	if (b->len)
		memcpy(s, b->s, b->len);
	mem_wipe(b->s, b->cap);
	free(b->s);
	b->s = s;
}

static bool strbuf_room(struct strbuf *b, size_t more)
{
	size_t max = b->max ? b->max : 64u << 20;
	if (b->overflow || more >= max || b->len + more >= max) {
		b->overflow = true;
		return false;
	}
	if (b->len + more + 1 > b->cap) {
		size_t cap = b->cap ? b->cap : 128;
		while (cap < b->len + more + 1)
			cap *= 2;
		if (b->secret)
			grow_secret(b, cap);
		else
			b->s = xrealloc(b->s, cap);
		b->cap = cap;
	}
	return true;
}

void strbuf_add(struct strbuf *b, const void *data, size_t len)
{
	if (!strbuf_room(b, len))
		return;
	if (len)
		memcpy(b->s + b->len, data, len);
	b->len += len;
	b->s[b->len] = 0;
}

void strbuf_puts(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

void strbuf_putc(struct strbuf *b, char c)
{
	strbuf_add(b, &c, 1);
}

void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	if (n > 0 && strbuf_room(b, (size_t)n)) {
		vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	strbuf_vprintf(b, fmt, ap);
	va_end(ap);
}

void strbuf_json(struct strbuf *b, const char *s)
{
	size_t len = strlen(s), run = 0;
	strbuf_putc(b, '"');
	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)s[i];
		size_t n = utf8_sequence((const unsigned char *)s + i, len - i);
		if (n && c >= 0x20 && c != '"' && c != '\\') {
			run += n;
			i += n;
			continue;
		}
		strbuf_add(b, s + i - run, run);
		run = 0;
		if (!n)
			strbuf_putc(b, '?');
		else if (c == '"' || c == '\\')
			strbuf_add(b, (char[]){ '\\', (char)c }, 2);
		else if (c == '\n')
			strbuf_add(b, "\\n", 2);
		else
			strbuf_printf(b, "\\u%04x", (unsigned)c);
		i++;
	}
	strbuf_add(b, s + len - run, run);
	strbuf_putc(b, '"');
}

void strbuf_percent(struct strbuf *b, const char *s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	for (; *s; s++)
		if (strchr(plain, *s))
			strbuf_putc(b, *s);
		else
			strbuf_printf(b, "%%%02X", (unsigned char)*s);
}

void strbuf_reset(struct strbuf *b)
{
	b->len = 0;
	b->overflow = false;
	if (b->s)
		b->s[0] = 0;
}

void strbuf_done(struct strbuf *b)
{
	if (b->secret)
		mem_wipe(b->s, b->cap);
	free(b->s);
	*b = (struct strbuf){ .max = b->max, .secret = b->secret };
}

char *strbuf_take(struct strbuf *b)
{
	char *s = b->s ? b->s : xstrdup("");
	*b = (struct strbuf){ .max = b->max };
	return s;
}

void str_hex(char *dst, const void *src, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *s = src;
	for (size_t i = 0; i < n; i++) {
		dst[2 * i] = digits[s[i] >> 4];
		dst[2 * i + 1] = digits[s[i] & 15];
	}
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

int str_percent(const char *s)
{
	int high = *s == '%' ? hex_value(s[1]) : -1, low = high < 0 ? -1 : hex_value(s[2]);
	return low < 0 ? -1 : high * 16 + low;
}

size_t str_fmt_u64(char *dst, uint64_t v)
{
	char tmp[20];
	size_t n = 0;
	do
		tmp[n++] = (char)('0' + v % 10);
	while (v /= 10);
	for (size_t i = 0; i < n; i++)
		dst[i] = tmp[n - 1 - i];
	return n;
}
