/* str: bounded strings and a growing text buffer. Floor F0, any thread, never blocks. Not for: JSON (doc.h). */
#ifndef LUCID_STR_H
#define LUCID_STR_H

#include "lucid/base.h"

/* Copy src into dst[size], always terminated. If it does not fit, returns false with dst empty: a truncated name would be another
 * name. */
bool str_copy(char *dst, size_t size, const char *src);

static inline bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* Whether s has a Unicode control character, or a line or paragraph separator; with `multiline`, newline and tab are allowed. */
bool str_has_control(const char *s, bool multiline);

/* Well-formed UTF-8 without surrogates or overlong forms; ret_chars (may be NULL) gets the number of code points. */
bool str_utf8(const char *s, size_t len, size_t *ret_chars);

/* Parses the whole string as a decimal number within [min, max]; '-' is allowed, '+' and blanks are not. */
bool str_int(const char *s, int64_t min, int64_t max, int64_t *ret);

/* Whether s matches the pattern, in which `*` matches any number of characters; for topics and allow lists. */
bool str_match(const char *pattern, const char *s);

/* A text buffer. Initialise with {0}. It grows up to `max` bytes (0: 64 MiB); text beyond that is dropped and sets `overflow`. */
struct strbuf {
	char *s; /* NUL-terminated; NULL until text is added */
	size_t len, cap, max;
	bool overflow;
	bool secret; /* set by the owner: memory is wiped before it is freed */
};
void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_putc(struct strbuf *b, char c);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) PRINTF(2, 3);
void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap) PRINTF(2, 0);
void strbuf_json(struct strbuf *b, const char *s); /* appends s as a quoted JSON string; invalid UTF-8 becomes '?' */
/* Appends s percent-encoded, except letters, digits and -._~ : for a segment of a path, or a part of a query. */
void strbuf_percent(struct strbuf *b, const char *s);
/* Appends a message with FILE in place of each absolute path; routes of the API are kept. For responses to callers without a token. */
void strbuf_without_paths(struct strbuf *b, const char *text);
void strbuf_reset(struct strbuf *b);		   /* empties, keeps the memory */
void strbuf_done(struct strbuf *b); /* frees the memory */
char *strbuf_take(struct strbuf *b); /* the text ("" if none), which the caller frees; the buffer is then empty */

/* Decimal digits of v into dst (at least 20 bytes, not terminated); returns their number. Faster than printf, for HTTP heads. */
size_t str_fmt_u64(char *dst, uint64_t v);
/* n bytes as 2n lower-case hex digits, not terminated. */
void str_hex(char *dst, const void *src, size_t n);
/* The byte that "%XX" at s encodes, with digits of either case; -1 if s does not begin with that. Does not read beyond a NUL. */
int str_percent(const char *s);

#endif
