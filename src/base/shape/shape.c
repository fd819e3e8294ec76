#include "lucid/shape.h"

#include <math.h>
#include <stdio.h>

#include "lucid/str.h"
#include "lucid/text.h"

#define MAX_FAULTS 64
#define PATH_MAX_LEN 200

/* --- faults */

void faults_add(struct faults *f, const char *field, const char *fmt, ...)
{
	if (!f->list)
		f->list = json_array();
	if (json_array_size(f->list) >= MAX_FAULTS) {
		f->more++;
		return;
	}
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(xfreep) char *message = xvasprintf(fmt, ap);
	va_end(ap);
	/* the field's name may come from the caller: it is truncated, and characters that are not printable ASCII become '?' */
	char name[PATH_MAX_LEN];
	snprintf(name, sizeof name, "%s", field);
	for (char *p = name; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
	json_t *row = json_object();
	doc_set_str(row, "field", name);
	doc_set_str(row, "message", message);
	json_array_append_new(f->list, row);
}

json_t *faults_take(struct faults *f)
{
	return TAKE_PTR(f->list);
}

void faults_done(struct faults *f)
{
	json_decref(f->list);
	*f = (struct faults){ 0 };
}

/* --- checking */

struct walk {
	struct faults *faults;
	enum shape_mode mode;
	bool ok;
	char path[PATH_MAX_LEN];
	size_t len;
};

static void fault(struct walk *w, const char *fmt, ...) PRINTF(2, 3);
static void fault(struct walk *w, const char *fmt, ...)
{
	w->ok = false;
	if (!w->faults)
		return;
	va_list ap;
	va_start(ap, fmt);
	_cleanup_(xfreep) char *s = xvasprintf(fmt, ap);
	va_end(ap);
	faults_add(w->faults, w->path, "%s", s);
}

static void path_add(struct walk *w, const char *text, size_t n)
{
	n = MIN(n, sizeof w->path - 1 - w->len);
	memcpy(w->path + w->len, text, n);
	w->len += n;
	w->path[w->len] = 0;
}

/* For each member of each call, so without a format. */
static size_t path_push(struct walk *w, const char *name, size_t index)
{
	size_t was = w->len;
	char number[32];
	if (name) {
		path_add(w, ".", was ? 1 : 0);
		path_add(w, name, strlen(name));
	} else {
		path_add(w, number, (size_t)snprintf(number, sizeof number, "[%zu]", index));
	}
	return was;
}

static void path_pop(struct walk *w, size_t was)
{
	w->len = was;
	w->path[was] = 0;
}

static void check_object(struct walk *w, const struct shape *s, const json_t *doc);

static void list_values(const char *const *values, char *dst, size_t size)
{
	size_t n = 0;
	dst[0] = 0;
	for (; *values && n < size; values++)
		n += (size_t)snprintf(dst + n, size - n, "%s%s", n ? ", " : "", *values);
}

static void fault_unfit(struct walk *w, uint32_t c)
{
	fault(w, "must not contain invisible or bidirectional control characters: U+%04X", (unsigned)c);
}

/* Accounts follow PAM's rules, and passwords may have any characters. A stored name may be older than the check for these characters. */
static bool may_be_unfit(const struct shape_field *f)
{
	static const char *const formats[] = { "account", "group", "domain", "password", "stored" };
	for (size_t i = 0; f->format && i < ARRAY_LEN(formats); i++)
		if (str_eq(f->format, formats[i]))
			return true;
	return false;
}

static void check_string(struct walk *w, const struct shape_field *f, const json_t *v)
{
	const char *s = json_string_value(v), *why;
	size_t chars = 0, max = f->max ? (size_t)f->max : 256;
	if (strlen(s) != json_string_length(v) || str_has_control(s, f->flags & SH_MULTILINE)) {
		fault(w, "must not contain control characters");
		return;
	}
	uint32_t unfit = may_be_unfit(f) ? 0 : text_unfit(s, f->flags & SH_MULTILINE ? TEXT_PROSE : TEXT_NAME);
	if (unfit) {
		fault_unfit(w, unfit);
		return;
	}
	str_utf8(s, strlen(s), &chars);
	if (f->values) {
		for (const char *const *p = f->values; *p; p++)
			if (str_eq(*p, s))
				return;
		char all[400];
		list_values(f->values, all, sizeof all);
		fault(w, "must be one of: %s", all);
		return;
	}
	if (chars < (size_t)f->min || chars > max)
		fault(w, "must be %lld to %zu characters long", (long long)f->min, max);
	else if (f->format && !shape_format(f->format, s, &why))
		fault(w, "%s", why);
}

static void check_number(struct walk *w, const struct shape_field *f, const json_t *v)
{
	double n = json_number_value(v);
	bool bounded = f->min || f->max;
	double min = bounded ? (double)f->min : -9007199254740991.0, max = bounded ? (double)f->max : 9007199254740991.0;
	if (!isfinite(n) || n < min || n > max)
		fault(w, "must be between %.0f and %.0f", min, max);
}

static void check_value(struct walk *w, const struct shape_field *f, const json_t *v);

static void check_array(struct walk *w, const struct shape_field *f, const json_t *v)
{
	size_t i, n = json_array_size(v), max = f->max ? (size_t)f->max : 64;
	json_t *item;
	if (n < (size_t)f->min || n > max) {
		fault(w, "must have %lld to %zu items", (long long)f->min, max);
		return;
	}
	json_array_foreach((json_t *)v, i, item) {
		size_t was = path_push(w, NULL, i);
		check_value(w, f->item, item);
		path_pop(w, was);
	}
}

static void check_free_value(struct walk *w, const json_t *v);

static void check_free_members(struct walk *w, const json_t *v)
{
	const char *key;
	json_t *sub;
	size_t i;
	json_object_foreach((json_t *)v, key, sub) {
		size_t was = path_push(w, key, 0);
		if (str_has_control(key, false))
			fault(w, "must not contain control characters in its name");
		else if (text_unfit(key, TEXT_NAME))
			fault_unfit(w, text_unfit(key, TEXT_NAME));
		check_free_value(w, sub);
		path_pop(w, was);
	}
	json_array_foreach((json_t *)v, i, sub) {
		size_t was = path_push(w, NULL, i);
		check_free_value(w, sub);
		path_pop(w, was);
	}
}

/* The names and values of free objects are checked for control characters too; newline and tab are allowed. */
static void check_free_value(struct walk *w, const json_t *v)
{
	const char *s = json_string_value(v);
	if (s && (strlen(s) != json_string_length(v) || str_has_control(s, true)))
		fault(w, "must not contain control characters other than newline and tab");
	else if (s && text_unfit(s, TEXT_PROSE))
		fault_unfit(w, text_unfit(s, TEXT_PROSE));
	else
		check_free_members(w, v);
}

static void check_free(struct walk *w, const struct shape_field *f, const json_t *v)
{
	size_t max = f->max ? (size_t)f->max : 16384;
	if (json_dumpb(v, NULL, 0, JSON_COMPACT) > max)
		fault(w, "must be at most %zu bytes as JSON", max);
	else
		check_free_value(w, v);
}

static void check_value(struct walk *w, const struct shape_field *f, const json_t *v)
{
	static const char *const wanted[] = {
		[SH_STRING] = "a string", [SH_INT] = "a whole number", [SH_NUMBER] = "a number", [SH_BOOL] = "true or false",
		[SH_OBJECT] = "an object", [SH_ARRAY] = "an array",	  [SH_FREE] = "an object",
	};
	bool fits = f->type == SH_STRING ? json_is_string(v)
		  : f->type == SH_INT	 ? json_is_integer(v)
		  : f->type == SH_NUMBER ? json_is_number(v)
		  : f->type == SH_BOOL	 ? json_is_boolean(v)
		  : f->type == SH_ARRAY	 ? json_is_array(v)
					 : json_is_object(v);
	if (!fits) {
		fault(w, "must be %s%s", wanted[f->type], f->flags & SH_NULLABLE ? " or null" : "");
		return;
	}
	switch (f->type) {
	case SH_STRING:
		check_string(w, f, v);
		break;
	case SH_INT:
	case SH_NUMBER:
		check_number(w, f, v);
		break;
	case SH_BOOL:
		break;
	case SH_OBJECT:
		check_object(w, f->sub, v);
		break;
	case SH_ARRAY:
		check_array(w, f, v);
		break;
	case SH_FREE:
		check_free(w, f, v);
		break;
	}
}

static const struct shape_field *find_field(const struct shape *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->fields[i].name, name))
			return &s->fields[i];
	return NULL;
}

static void check_member(struct walk *w, const struct shape *s, const json_t *doc, const char *key, const json_t *v)
{
	const struct shape_field *f = find_field(s, key);
	if (!f)
		fault(w, "is not a known field");
	else if (f->flags & SH_READ_ONLY && w->mode == SHAPE_FULL)
		fault(w, "is read-only");
	else if (f->without && json_object_get(doc, f->without))
		fault(w, "cannot be combined with %s; send only one of the two", f->without);
	else if (f->flags & SH_READ_ONLY && !(f->flags & SH_LIVE))
		; /* the handler compares it with the stored document (shape_unchanged) */
	else if (!json_is_null(v))
		check_value(w, f, v);
	else if (f->flags & SH_REQUIRED && !(f->flags & SH_NULLABLE))
		fault(w, "must not be null");
	else if (w->mode == SHAPE_FULL && !(f->flags & SH_NULLABLE))
		fault(w, "must not be null; omit it to use the default");
}

static void check_object(struct walk *w, const struct shape *s, const json_t *doc)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)doc, key, v) {
		size_t was = path_push(w, key, 0);
		check_member(w, s, doc, key, v);
		path_pop(w, was);
	}
	for (size_t i = 0; w->mode == SHAPE_FULL && i < s->n; i++) {
		if (!(s->fields[i].flags & SH_REQUIRED) || json_object_get(doc, s->fields[i].name))
			continue;
		size_t was = path_push(w, s->fields[i].name, 0);
		fault(w, "is required");
		path_pop(w, was);
	}
}

int shape_check(const struct shape *s, const json_t *doc, enum shape_mode mode, struct faults *f)
{
	static const struct shape nothing = { .name = NULL };
	if (!s)
		s = &nothing;
	if (!doc || (s == &nothing && json_is_null(doc))) {
		if (!s->n)
			return 0;
	} else if (!json_is_object(doc)) {
		faults_add(f, "", "must be an object");
		return -ERR_INVALID;
	}
	struct walk w = { .faults = f, .mode = mode, .ok = true };
	check_object(&w, s, doc);
	return w.ok ? 0 : -ERR_INVALID;
}

void shape_defaults(const struct shape *s, json_t *doc)
{
	for (size_t i = 0; s && i < s->n; i++) {
		const struct shape_field *f = &s->fields[i];
		json_t *v = json_object_get(doc, f->name);
		if (!v && f->otherwise) {
			v = json_loads(f->otherwise, JSON_DECODE_ANY, NULL);
			json_object_set_new(doc, f->name, v);
		}
		if (f->type == SH_OBJECT && (!v || json_is_object(v))) {
			json_t *sub = v ? v : json_object();
			shape_defaults(f->sub, sub);
			if (!v && json_object_size(sub))
				json_object_set_new(doc, f->name, sub);
			else if (!v)
				json_decref(sub);
		}
	}
}
