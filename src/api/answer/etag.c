#include "api/answer/etag.h"

void etag_print(char dst[ETAG_SIZE], int64_t version)
{
	dst[0] = '"';
	size_t n = str_fmt_u64(dst + 1, (uint64_t)version);
	dst[n + 1] = '"';
	dst[n + 2] = 0;
}

/* Parses a tag at p. *ret_text is the text between its quotes; NULL: there is no tag. Returns the end of the tag. */
static const char *next_tag(const char *p, bool *ret_weak, const char **ret_text, size_t *ret_len)
{
	*ret_text = NULL;
	*ret_weak = p[0] == 'W' && p[1] == '/';
	p += *ret_weak ? 2 : 0;
	if (*p != '"')
		return p;
	const char *end = strchr(p + 1, '"');
	if (!end)
		return p;
	*ret_text = p + 1;
	*ret_len = (size_t)(end - p - 1);
	return end + 1;
}

/* The version in a tag; 0: the tag does not contain a version. */
static int64_t version_of(const char *text, size_t len)
{
	int64_t v = 0;
	if (!len || len > 18 || text[0] == '0')
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		v = v * 10 + (text[i] - '0');
	}
	return v;
}

bool etag_list_names(const char *list, const char *tag)
{
	const char *text;
	size_t len, want = strlen(tag) - 2;
	bool weak;
	list += strspn(list, " \t");
	if (*list == '*')
		return true;
	while (*list) {
		list = next_tag(list, &weak, &text, &len);
		if (!text)
			return false;
		if (len == want && memcmp(text, tag + 1, len) == 0)
			return true;
		list += strspn(list, " \t,");
	}
	return false;
}

bool etag_list_has(const char *list, int64_t version)
{
	char tag[ETAG_SIZE];
	etag_print(tag, version);
	return etag_list_names(list, tag);
}

enum etag_want etag_wanted(const char *header, int64_t *ret)
{
	const char *text;
	size_t len;
	bool weak;
	header += strspn(header, " \t");
	if (*header == '*' && !header[1 + strspn(header + 1, " \t")])
		return ETAG_ANY;
	header = next_tag(header, &weak, &text, &len);
	if (!text || header[strspn(header, " \t")])
		return ETAG_BAD;
	*ret = version_of(text, len);
	return weak || !*ret ? ETAG_NEVER : ETAG_VERSION;
}
