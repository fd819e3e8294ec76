#include "lucid/file_name.h"

#include <strings.h>

#include "lucid/str.h"
#include "lucid/text.h"

#define NAME_MAX_BYTES 200 /* file systems allow 255, and the ending is appended */

static bool is_reserved(const char *name)
{
	static const char *const words[] = { "con", "prn", "aux", "nul", "conin$", "conout$" };
	size_t len = strcspn(name, ".");
	while (len && name[len - 1] == ' ')
		len--;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (len == strlen(words[i]) && strncasecmp(name, words[i], len) == 0)
			return true;
	if (strncasecmp(name, "com", 3) != 0 && strncasecmp(name, "lpt", 3) != 0)
		return false;
	/* Windows reads a superscript one, two or three as the digit */
	bool superscript = len == 5 && (strncmp(name + 3, "\u00b9", 2) == 0 || strncmp(name + 3, "\u00b2", 2) == 0 || strncmp(name + 3, "\u00b3", 2) == 0);
	return superscript || (len == 4 && name[3] >= '0' && name[3] <= '9');
}

/* Adds one character of n bytes, or '_' in place of one that is not safe. */
static void add_character(struct strbuf *b, const char *s, size_t n)
{
	char one[5] = { 0 };
	memcpy(one, s, n);
	bool odd = strchr("/\\:*?\"<>|", *one) || str_has_control(one, false) || text_unfit(one, TEXT_NAME);
	strbuf_puts(b, odd ? "_" : one);
}

static char *safe_name(const char *name)
{
	struct strbuf b = { 0 };
	for (const char *s = name; *s;) {
		size_t n = 1;
		while (n < 4 && (s[n] & 0xc0) == 0x80)
			n++;
		if (b.len + n > NAME_MAX_BYTES)
			break;
		add_character(&b, s, n);
		s += n;
	}
	while (b.len && (b.s[b.len - 1] == '.' || b.s[b.len - 1] == ' '))
		b.s[--b.len] = 0;
	if (!b.len)
		strbuf_puts(&b, "desktop");
	/* the name of a hidden file, an option of a command, a home directory */
	if (b.s[0] == '.' || b.s[0] == '-' || b.s[0] == '~' || b.s[0] == ' ')
		b.s[0] = '_';
	char *safe = is_reserved(b.s) ? xasprintf("_%s", b.s) : xstrdup(b.s);
	strbuf_done(&b);
	return safe;
}

char *file_name_disposition(const char *name, const char *ending)
{
	_cleanup_(xfreep) char *given = xstrdup(name), *safe = NULL;
	size_t len = strlen(name), end = strlen(ending);
	bool more = false;
	struct strbuf b = { 0 };
	if (len > end && strcasecmp(name + len - end, ending) == 0)
		given[len - end] = 0;
	safe = safe_name(given);
	strbuf_puts(&b, "attachment; filename=\"");
	for (const unsigned char *s = (const unsigned char *)safe; *s; s++) {
		if ((*s & 0xc0) == 0x80)
			continue;
		bool plain = *s < 0x80 && *s != '%'; /* some browsers decode %XX in filename */
		strbuf_putc(&b, plain ? (char)*s : '_');
		more |= !plain;
	}
	strbuf_printf(&b, "%s\"", ending);
	if (more) {
		strbuf_puts(&b, "; filename*=UTF-8''");
		strbuf_percent(&b, safe);
		strbuf_puts(&b, ending);
	}
	return strbuf_take(&b);
}
