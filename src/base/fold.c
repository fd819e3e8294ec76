#include "lucid/fold.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

static locale_t utf8; /* created once and never freed; 0: the C library has no C.UTF-8 */
static pthread_once_t utf8_once = PTHREAD_ONCE_INIT;

static void make_utf8(void)
{
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

uint32_t fold_next(const char **p)
{
	const unsigned char *s = (const unsigned char *)*p;
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));
	if (!s[0])
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80) { /* not UTF-8: taken as a character of one byte */
			n = 1;
			c = s[0];
			break;
		}
		c = c << 6 | (s[i] & 0x3f);
	}
	*p += n;
	return c;
}

uint32_t fold_lower(uint32_t c)
{
	if (c < 0x80)
		return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
	pthread_once(&utf8_once, make_utf8);
	return utf8 ? (uint32_t)towlower_l((wint_t)c, utf8) : c;
}

uint32_t fold_upper(uint32_t c)
{
	if (c < 0x80)
		return c >= 'a' && c <= 'z' ? c & ~0x20u : c;
	pthread_once(&utf8_once, make_utf8);
	return utf8 ? (uint32_t)towupper_l((wint_t)c, utf8) : c;
}

static bool starts_with(const char *s, const char *part)
{
	uint32_t wanted;
	while ((wanted = fold_next(&part))) {
		uint32_t c = fold_next(&s);
		if (c != wanted && c != fold_lower(wanted) && c != fold_upper(wanted))
			return false;
	}
	return true;
}

bool fold_contains(const char *s, const char *part)
{
	do {
		if (starts_with(s, part))
			return true;
	} while (fold_next(&s));
	return false;
}
