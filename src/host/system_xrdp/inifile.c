#include "host/system_xrdp/inifile.h"

#include <strings.h>

#include "lucid/str.h"

enum kind { OTHER, SECTION, KEY };

struct line {
	enum kind kind;
	char *raw;	 /* without its newline */
	char *name;	 /* of the section or key */
	char *value;	 /* of the key */
	const char *own; /* name of its section, borrowed from that line; NULL: none, or an ignored section */
};

struct inifile {
	struct line *line;
	size_t n, cap;
	bool open_end; /* the last line has no newline */
};

static char *trimmed(const char *s, size_t len)
{
	while (len && (*s == ' ' || *s == '\t')) {
		s++;
		len--;
	}
	while (len && strchr(" \t\r", s[len - 1]))
		len--;
	return xstrndup(s, len);
}

static void line_done(struct line *l)
{
	free(l->raw);
	free(l->name);
	free(l->value);
}

/* Parses a line, up to a comment, as xrdp does. */
static void line_parse(struct line *l)
{
	size_t len = strcspn(l->raw, "#;");
	const char *open = NULL;
	for (const char *p = l->raw; p < l->raw + len; p++) {
		if (*p == '[')
			open = p + 1;
		if (*p == ']' && open) {
			l->kind = SECTION;
			l->name = xstrndup(open, (size_t)(p - open));
			return;
		}
	}
	const char *eq = memchr(l->raw, '=', len);
	if (!eq)
		return;
	l->kind = KEY;
	l->name = trimmed(l->raw, (size_t)(eq - l->raw));
	l->value = trimmed(eq + 1, len - (size_t)(eq + 1 - l->raw));
}

static struct line *insert(struct inifile *f, size_t at)
{
	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 256;
		f->line = xrealloc(f->line, f->cap * sizeof *f->line);
	}
	memmove(f->line + at + 1, f->line + at, (f->n - at) * sizeof *f->line);
	f->n++;
	f->line[at] = (struct line){ 0 };
	return &f->line[at];
}

static void line_drop(struct inifile *f, size_t at)
{
	line_done(&f->line[at]);
	memmove(f->line + at, f->line + at + 1, (f->n - at - 1) * sizeof *f->line);
	f->n--;
}

/* Assigns lines to sections: of two sections with the same name, the first counts. */
static void sections_assign(struct inifile *f)
{
	const char *own = NULL;
	for (size_t k = 0; k < f->n; k++) {
		if (f->line[k].kind == SECTION) {
			own = f->line[k].name;
			for (size_t m = 0; m < k && own; m++)
				if (f->line[m].kind == SECTION && strcasecmp(f->line[m].name, f->line[k].name) == 0)
					own = NULL;
		}
		f->line[k].own = own;
	}
}

struct inifile *inifile_parse(const char *text)
{
	struct inifile *f = XNEW(struct inifile);
	while (*text) {
		size_t len = strcspn(text, "\n");
		struct line *l = insert(f, f->n);
		l->raw = xstrndup(text, len);
		line_parse(l);
		f->open_end = text[len] == '\0';
		text += len + (text[len] == '\n');
	}
	sections_assign(f);
	return f;
}

void inifile_free(struct inifile *f)
{
	if (!f)
		return;
	for (size_t k = 0; k < f->n; k++)
		line_done(&f->line[k]);
	free(f->line);
	free(f);
}

void inifile_freep(struct inifile **f)
{
	inifile_free(*f);
}

char *inifile_text(const struct inifile *f)
{
	struct strbuf b = { 0 };
	for (size_t k = 0; k < f->n; k++) {
		strbuf_puts(&b, f->line[k].raw);
		if (k + 1 < f->n || !f->open_end)
			strbuf_putc(&b, '\n');
	}
	return strbuf_take(&b);
}

static bool in_section(const struct line *l, const char *section)
{
	return l->own && strcasecmp(l->own, section) == 0;
}

static bool is_key(const struct line *l, const char *section, const char *key)
{
	return l->kind == KEY && in_section(l, section) && strcasecmp(l->name, key) == 0;
}

/* The key of the object that equals `name` apart from case; else `name`. */
static const char *same_name(const json_t *object, const char *name)
{
	const char *key;
	const json_t *v;
	json_object_foreach ((json_t *)(uintptr_t)object, key, v)
		if (strcasecmp(key, name) == 0)
			return key;
	return name;
}

json_t *inifile_doc(const struct inifile *f)
{
	json_t *doc = json_object();
	for (size_t k = 0; k < f->n; k++) {
		const struct line *l = &f->line[k];
		if (!l->own || !str_utf8(l->own, strlen(l->own), NULL))
			continue;
		json_t *section = json_object_get(doc, l->own);
		if (!section) {
			section = json_object();
			json_object_set_new(doc, l->own, section);
		}
		if (l->kind != KEY || !str_utf8(l->name, strlen(l->name), NULL))
			continue;
		const char *name = same_name(section, l->name);
		json_t *values = json_object_get(section, name), *value = json_string(l->value);
		if (!values) {
			values = json_array();
			json_object_set_new(section, name, values);
		}
		json_array_append_new(values, value ? value : json_string(""));
	}
	return doc;
}

const char *inifile_section(const struct inifile *f, const char *name)
{
	for (size_t k = 0; k < f->n; k++)
		if (f->line[k].kind == SECTION && in_section(&f->line[k], name))
			return f->line[k].name;
	return NULL;
}

/* --- changes */

static bool shows(const char *raw, const char *key)
{
	raw += strspn(raw, " \t");
	if (*raw != '#' && *raw != ';')
		return false;
	raw += strspn(raw, "#; \t");
	size_t len = strlen(key);
	return strncasecmp(raw, key, len) == 0 && raw[len + strspn(raw + len, " \t")] == '=';
}

/* The position of a new key of the section. */
static size_t place_for(const struct inifile *f, const char *section, const char *key)
{
	size_t at = f->n;
	for (size_t k = 0; k < f->n; k++) {
		const struct line *l = &f->line[k];
		if (!in_section(l, section))
			continue;
		if (l->kind == OTHER && shows(l->raw, key))
			return k + 1;
		if (l->kind != OTHER)
			at = k + 1;
	}
	return at;
}

static void add_section(struct inifile *f, const char *section)
{
	if (f->n && f->line[f->n - 1].raw[0])
		insert(f, f->n)->raw = xstrdup("");
	struct line *l = insert(f, f->n);
	l->raw = xasprintf("[%s]", section);
	line_parse(l);
	f->open_end = false;
	sections_assign(f);
}

static void write_key(struct line *l, const char *key, const char *value)
{
	/* a comment after the value stays */
	const char *tail = l->raw ? l->raw + strcspn(l->raw, "#;") : "";
	char *raw = xasprintf("%s=%s%s%s", l->name ? l->name : key, value, *tail ? " " : "", tail);
	line_done(l);
	const char *own = l->own;
	*l = (struct line){ .raw = raw, .own = own };
	line_parse(l);
}

void inifile_set(struct inifile *f, const char *section, const char *key, const json_t *values)
{
	size_t n = json_array_size(values), used = 0, last = 0;
	if (n && !inifile_section(f, section))
		add_section(f, section);
	/* of several lines xrdp uses the last: it is changed, the others are removed */
	size_t there = 0, seen = 0;
	for (size_t k = 0; k < f->n; k++)
		there += is_key(&f->line[k], section, key);
	for (size_t k = 0; k < f->n;) {
		struct line *l = &f->line[k];
		if (!is_key(l, section, key)) {
			k++;
			continue;
		}
		if (used == n || (n == 1 && seen + 1 < there)) {
			line_drop(f, k);
			seen++;
			continue;
		}
		const char *value = json_string_value(json_array_get(values, used++));
		if (!str_eq(l->value, value))
			write_key(l, key, value);
		last = ++k;
		seen++;
	}
	while (used < n) {
		size_t at = last ? last : place_for(f, section, key);
		struct line *l = insert(f, at);
		write_key(l, key, json_string_value(json_array_get(values, used++)));
		if (at + 1 == f->n)
			f->open_end = false;
		last = at + 1;
		sections_assign(f);
	}
	sections_assign(f);
}

static bool remove_first(struct inifile *f, const char *section)
{
	for (size_t k = 0; k < f->n;)
		if (f->line[k].kind == KEY && in_section(&f->line[k], section))
			line_drop(f, k);
		else
			k++;
	for (size_t k = 0; k < f->n; k++)
		if (f->line[k].kind == SECTION && in_section(&f->line[k], section)) {
			line_drop(f, k);
			sections_assign(f);
			return true;
		}
	return false;
}

void inifile_remove(struct inifile *f, const char *section)
{
	/* `name` may point into the section; and all sections of that name go, because without the first, the second would count */
	_cleanup_(xfreep) char *name = xstrdup(section);
	while (remove_first(f, name))
		;
}
