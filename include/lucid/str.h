/* str: bounded strings and a growing text buffer. Floor F0, any thread, never blocks. Not for: JSON (doc.h). */
#ifndef LUCID_STR_H
#define LUCID_STR_H

#include "lucid/base.h"

/* Copy src into dst[size], always terminated. Returns false, with dst empty, when it does not fit: a cut name is a
 * wrong name. */
bool str_copy(char *dst, size_t size, const char *src);

static inline bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* Any control character of Unicode, or a line or paragraph separator; with `multiline`, newline and tab are let through. */
bool str_has_control(const char *s, bool multiline);

/* Well-formed UTF-8 without surrogates or overlong forms; ret_chars (may be NULL) gets the number of code points. */
bool str_utf8(const char *s, size_t len, size_t *ret_chars);

/* Whole string as a decimal number within [min, max]; no sign but '-', no blanks, no leading '+'. */
bool str_int(const char *s, int64_t min, int64_t max, int64_t *ret);

/* `*` in the pattern stands for any run of characters; for topics and allow lists. */
bool str_match(const char *pattern, const char *s);

/* A text buffer. Init with {0}; grows up to `max` bytes (0: 64 MiB) and then sets `overflow` and takes no more. */
struct strbuf {
	char *s; /* terminated once anything was added; else NULL */
	size_t len, cap, max;
	bool overflow;
	bool secret; /* set by who makes it: no copy of what is in it stays behind */
};
void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_putc(struct strbuf *b, char c);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) PRINTF(2, 3);
void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap) PRINTF(2, 0);
void strbuf_json(struct strbuf *b, const char *s); /* adds s as a quoted JSON string; bad UTF-8 becomes '?' */
/* Adds s percent-encoded, all but letters, digits and -._~ : a segment of a path, or a part of a query. */
void strbuf_percent(struct strbuf *b, const char *s);
void strbuf_reset(struct strbuf *b);		   /* empties, keeps the memory */
void strbuf_done(struct strbuf *b);
char *strbuf_take(struct strbuf *b); /* the text ("" if none), now the caller's to free; the buffer is empty */

/* Decimal digits of v into dst (at least 20 bytes, not terminated); returns how many. Faster than printf, for heads. */
size_t str_fmt_u64(char *dst, uint64_t v);

#endif
