#include "lucid/text.h"

#include "lucid/str.h"

/*
 * Unicode 15: characters without a glyph (Default_Ignorable_Code_Point), characters that change the layout of their neighbours
 * (format characters), and noncharacters. Well-formed UTF-8 contains no surrogates. In ascending order.
 */
static const struct range {
	uint32_t first, last;
	bool prose; /* allowed in TEXT_PROSE: needed in words or emoji */
} unfit[] = {
	{ 0x00ad, 0x00ad, true },    /* soft hyphen */
	{ 0x034f, 0x034f, true },    /* combining grapheme joiner */
	{ 0x061c, 0x061c, true },    /* Arabic letter mark */
	{ 0x115f, 0x1160, false },   /* Hangul fillers */
	{ 0x17b4, 0x17b5, false },   /* Khmer inherent vowels */
	{ 0x180b, 0x180f, true },    /* Mongolian selectors and vowel separator */
	{ 0x200b, 0x200f, true },    /* zero-width space, joiners, direction marks */
	{ 0x2028, 0x2029, false },   /* line and paragraph separator */
	{ 0x202a, 0x202e, false },   /* embeddings and overrides of direction */
	{ 0x2060, 0x2064, true },    /* word joiner, invisible operators */
	{ 0x2065, 0x2069, false },   /* isolates of direction */
	{ 0x206a, 0x206f, false },   /* deprecated format characters */
	{ 0x3164, 0x3164, false },   /* Hangul filler */
	{ 0xfdd0, 0xfdef, false },   /* noncharacters */
	{ 0xfe00, 0xfe0f, true },    /* variation selectors */
	{ 0xfeff, 0xfeff, false },   /* byte order mark */
	{ 0xffa0, 0xffa0, false },   /* half-width Hangul filler */
	{ 0xfff0, 0xfffb, false },   /* interlinear annotation */
	{ 0x13430, 0x1343f, false }, /* Egyptian format controls */
	{ 0x1bca0, 0x1bca3, false }, /* shorthand format controls */
	{ 0x1d173, 0x1d17a, false }, /* musical format characters */
	{ 0xe0000, 0xe00ff, false }, /* tags */
	{ 0xe0100, 0xe01ef, true },  /* variation selectors */
	{ 0xe01f0, 0xe0fff, false },
};

static const struct range blanks[] = {
	{ 0x09, 0x0d, false },	     { 0x20, 0x20, false },	{ 0x85, 0x85, false },	   { 0xa0, 0xa0, false },
	{ 0x1680, 0x1680, false },   { 0x2000, 0x200a, false }, { 0x2028, 0x2029, false }, { 0x202f, 0x202f, false },
	{ 0x205f, 0x205f, false },   { 0x2800, 0x2800, false }, /* Braille without a dot */
	{ 0x3000, 0x3000, false },
};

static const struct range *find_range(const struct range *list, size_t n, uint32_t c)
{
	for (size_t i = 0; i < n && list[i].first <= c; i++)
		if (c <= list[i].last)
			return &list[i];
	return NULL;
}

/* Returns the code point at *s and moves *s behind it. */
static uint32_t next_point(const unsigned char **s)
{
	const unsigned char *p = *s;
	size_t more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : p[0] >= 0xc0 ? 1 : 0;
	uint32_t c = more ? p[0] & (0x3fu >> more) : p[0];
	for (*s = ++p; more && (*p & 0xc0) == 0x80; more--, *s = ++p)
		c = c << 6 | (*p & 0x3fu);
	return c;
}

uint32_t text_unfit(const char *s, enum text_kind kind)
{
	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		if (*p < 0x80) {
			p++;
			continue;
		}
		uint32_t c = next_point(&p);
		const struct range *r = find_range(unfit, ARRAY_LEN(unfit), c);
		if ((r && (kind == TEXT_NAME || !r->prose)) || (c & 0xfffe) == 0xfffe)
			return c;
	}
	return 0;
}

bool text_blank_ends(const char *s)
{
	uint32_t first = 0, last = 0;
	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		last = next_point(&p);
		first = first ? first : last;
	}
	return first && (find_range(blanks, ARRAY_LEN(blanks), first) || find_range(blanks, ARRAY_LEN(blanks), last));
}

bool text_is_subject(const char *s)
{
	return *s && str_utf8(s, strlen(s), NULL) && !str_has_control(s, false) && !text_unfit(s, TEXT_NAME) && !text_blank_ends(s);
}
