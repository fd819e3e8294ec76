#include "lucid/shape.h"

#include <stdio.h>

#include "lucid/str.h"

#define QUERY_VALUE_MAX 1024
#define QUERY_PAIRS_MAX 64

/* Decodes %XX exactly once, and '+' as a space. False: invalid encoding, a NUL, not UTF-8, or too long. */
static bool decode(const char *s, size_t n, char *dst, size_t size)
{
	size_t out = 0;
	for (size_t i = 0; i < n; i++, out++) {
		if (out + 1 >= size)
			return false;
		dst[out] = s[i] == '+' ? ' ' : s[i];
		if (s[i] != '%')
			continue;
		int byte = i + 2 < n ? str_percent(s + i) : -1;
		if (byte <= 0)
			return false;
		dst[out] = (char)byte;
		i += 2;
	}
	dst[out] = 0;
	return str_utf8(dst, out, NULL);
}

static const struct shape_field *field_of(const struct shape *s, const char *name)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (str_eq(s->fields[i].name, name))
			return &s->fields[i];
	return NULL;
}

static bool is_word_for_true(const struct shape_field *f, const char *value)
{
	for (const char *const *v = f->values; v && *v; v++)
		if (str_eq(*v, value))
			return true;
	return false;
}

/* Converts the value to the field's type. A value that does not fit stays a string, which shape_check then refuses. */
static json_t *typed(const struct shape_field *f, const char *value)
{
	int64_t n;
	if (f->type == SH_INT && str_int(value, INT64_MIN, INT64_MAX, &n))
		return json_integer(n);
	if (f->type == SH_BOOL && (str_eq(value, "true") || str_eq(value, "1") || is_word_for_true(f, value)))
		return json_true();
	if (f->type == SH_BOOL && (str_eq(value, "false") || str_eq(value, "0")))
		return json_false();
	return json_string(value);
}

static void add_pair(const struct shape *s, const char *pair, size_t n, json_t *out, struct faults *f)
{
	char name[128], value[QUERY_VALUE_MAX];
	const char *eq = memchr(pair, '=', n);
	size_t name_len = eq ? (size_t)(eq - pair) : n;
	if (!decode(pair, name_len, name, sizeof name)) {
		faults_add(f, "query", "has a parameter name that is too long or not validly percent-encoded");
		return;
	}
	const struct shape_field *field = field_of(s, name);
	if (!field)
		faults_add(f, name, "is not a known query parameter");
	else if (!decode(eq ? eq + 1 : "", eq ? n - name_len - 1 : 0, value, sizeof value))
		faults_add(f, name, "is too long or not validly percent-encoded");
	else if (json_object_get(out, name))
		faults_add(f, name, "is given more than once");
	else
		json_object_set_new(out, name, typed(field, value));
}

json_t *shape_from_query(const struct shape *s, const char *query, struct faults *f)
{
	json_t *out = json_object();
	size_t pairs = 0;
	for (const char *p = query ? query : ""; *p;) {
		size_t n = strcspn(p, "&");
		if (n && ++pairs > QUERY_PAIRS_MAX) {
			faults_add(f, "query", "has more than %d parameters", QUERY_PAIRS_MAX);
			break;
		}
		if (n)
			add_pair(s, p, n, out, f);
		p += n + (p[n] == '&');
	}
	return out;
}

char *shape_to_query(const json_t *query)
{
	struct strbuf b = { 0 };
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)query, key, v) {
		if (b.len)
			strbuf_putc(&b, '&');
		strbuf_percent(&b, key);
		strbuf_putc(&b, '=');
		if (json_is_string(v)) {
			strbuf_percent(&b, json_string_value(v));
		} else {
			_cleanup_(xfreep) char *text = doc_text(v);
			strbuf_percent(&b, text);
		}
	}
	return strbuf_take(&b);
}
