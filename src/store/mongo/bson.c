#include "store/mongo/bson.h"

#include "lucid/fold.h"
#include "lucid/str.h"
#include "store/indexes.h"

static void append_text(bson_t *to, const char *name, const char *text)
{
	bson_append_utf8(to, name, -1, text, -1);
}

/* The value of a list is the JSON text of an array of strings. */
static void append_list(bson_t *to, const char *name, const char *text)
{
	_cleanup_(doc_unrefp) json_t *list = json_loads(text, 0, NULL);
	bson_t array;
	size_t i;
	json_t *v;
	bson_append_array_begin(to, name, -1, &array);
	json_array_foreach(list, i, v)
	{
		char key[16];
		const char *at;
		size_t n = bson_uint32_to_string((uint32_t)i, &at, key, sizeof key);
		bson_append_utf8(&array, at, (int)n, json_string_value(v), (int)json_string_length(v));
	}
	bson_append_array_end(to, &array);
}

static void append_value(bson_t *to, const struct store_field *f, const struct store_value *v)
{
	char name[STORE_FIELD_NAME];
	store_field_name(name, f->path);
	if (!v->set)
		return;
	if (f->type == STORE_TEXT)
		append_text(to, name, v->text);
	else if (f->type == STORE_TEXT_LIST)
		append_list(to, name, v->text);
	else
		bson_append_int64(to, name, -1, v->number);
	if (str_eq(name, "expires_at"))
		bson_append_date_time(to, "expires", -1, v->number);
}

void mongo_document(bson_t *to, const struct store_request_op *op)
{
	const struct store_collection_def *def = &store_collections[op->col];
	append_text(to, "_id", op->id);
	bson_append_int64(to, "version", -1, op->version);
	for (size_t i = 0; i < def->n; i++)
		append_value(to, &def->fields[i], &op->values[i]);
	bson_append_utf8(to, "json", -1, op->text->data, (int)op->text->len);
}

/* --- filters */

/* The smallest text above all that begin with the prefix: the prefix with its last code point incremented, as texts compare by bytes, which
 * in UTF-8 is the order of code points. NULL: there is none. */
static char *after_prefix(const char *prefix)
{
	size_t n = strlen(prefix);
	char *end = xmalloc(n + 5);
	memcpy(end, prefix, n + 1);
	while (n) {
		size_t at = n - 1;
		while (at && ((unsigned char)end[at] & 0xc0) == 0x80)
			at--;
		bson_unichar_t c = bson_utf8_get_char(end + at);
		c = c == 0xd7ff ? 0xe000 : c + 1;
		if (c <= 0x10ffff) {
			uint32_t len = 0;
			bson_utf8_from_unichar(c, end + at, &len);
			end[at + len] = 0;
			return end;
		}
		end[n = at] = 0;
	}
	free(end);
	return NULL;
}

static void append_prefix(bson_t *to, const char *name, const char *prefix)
{
	_cleanup_(xfreep) char *end = *prefix ? after_prefix(prefix) : NULL;
	bson_t range;
	bson_append_document_begin(to, name, -1, &range);
	append_text(&range, "$gte", prefix);
	if (end)
		append_text(&range, "$lt", end);
	bson_append_document_end(to, &range);
}

static void add_code_point(struct strbuf *b, uint32_t c)
{
	char text[8];
	uint32_t n = 0;
	bson_utf8_from_unichar((bson_unichar_t)c, text, &n);
	if (c < 0x80 && strchr("\\^$.|?*+()[]{}-/#&~", (int)c))
		strbuf_putc(b, '\\');
	strbuf_add(b, text, n);
}

/* A regular expression that lists the forms of each character: without operators of the caller's and without backtracking, so that it takes
 * linear time. The forms are explicit, so that all stores find the same documents. */
static char *contains_pattern(const char *part)
{
	struct strbuf b = { 0 };
	uint32_t c;
	while ((c = fold_next(&part))) {
		uint32_t forms[] = { c, fold_lower(c), fold_upper(c) };
		bool several = forms[1] != c || forms[2] != c;
		strbuf_puts(&b, several ? "(?:" : "");
		add_code_point(&b, c);
		for (size_t i = 1; several && i < ARRAY_LEN(forms); i++) {
			if (forms[i] == c)
				continue;
			strbuf_putc(&b, '|');
			add_code_point(&b, forms[i]);
		}
		strbuf_puts(&b, several ? ")" : "");
	}
	return strbuf_take(&b);
}

static void append_contains(bson_t *to, const char *name, const char *part)
{
	_cleanup_(xfreep) char *pattern = contains_pattern(part);
	bson_t b;
	if (!*part) {
		append_prefix(to, name, "");
		return;
	}
	bson_append_document_begin(to, name, -1, &b);
	bson_append_regex(&b, "$regex", -1, pattern, "");
	bson_append_document_end(to, &b);
}

static void append_in(bson_t *to, const char *name, const char *const *list)
{
	bson_t in, array;
	bson_append_document_begin(to, name, -1, &in);
	bson_append_array_begin(&in, "$in", -1, &array);
	for (uint32_t i = 0; list[i]; i++) {
		char key[16];
		const char *at;
		size_t n = bson_uint32_to_string(i, &at, key, sizeof key);
		bson_append_utf8(&array, at, (int)n, list[i], -1);
	}
	bson_append_array_end(&in, &array);
	bson_append_document_end(to, &in);
}

static void append_compared(bson_t *to, const char *name, const char *operator, const struct store_filter *f, bool integer)
{
	bson_t b;
	bson_append_document_begin(to, name, -1, &b);
	if (integer)
		bson_append_int64(&b, operator, -1, f->number);
	else
		append_text(&b, operator, f->text);
	bson_append_document_end(to, &b);
}

static void append_filter(bson_t *to, const struct store_filter *f, enum store_collection col)
{
	/* equality with a list is equality with one of its members */
	static const char *const operators[] = { [STORE_EQ] = "$eq", [STORE_NE] = "$ne", [STORE_HAS] = "$eq", [STORE_GE] = "$gte", [STORE_LT] = "$lt" };
	char name[STORE_FIELD_NAME] = "_id";
	if (strcmp(f->path, "id") != 0)
		store_field_name(name, f->path);
	if (f->cmp == STORE_PREFIX)
		append_prefix(to, name, f->text);
	else if (f->cmp == STORE_CONTAINS)
		append_contains(to, name, f->text);
	else if (f->cmp == STORE_IN)
		append_in(to, name, f->list);
	else
		append_compared(to, name, operators[f->cmp], f, store_field_is_integer(col, f->path));
}

void mongo_filter(bson_t *to, const struct store_request *r)
{
	const struct store_query *q = &r->query;
	bson_t all, one;
	if (!q->nfilters)
		return;
	/* one member for each filter, as two may be on one field */
	bson_append_array_begin(to, "$and", -1, &all);
	for (uint32_t i = 0; i < q->nfilters; i++) {
		char key[16];
		const char *at;
		size_t n = bson_uint32_to_string(i, &at, key, sizeof key);
		bson_append_document_begin(&all, at, (int)n, &one);
		append_filter(&one, &q->filters[i], r->col);
		bson_append_document_end(&all, &one);
	}
	bson_append_array_end(to, &all);
}

void mongo_options(bson_t *to, const struct store_query *q)
{
	char name[STORE_FIELD_NAME];
	bson_t sort, projection;
	int direction = q->sort.descending ? -1 : 1;
	bson_append_document_begin(to, "sort", -1, &sort);
	if (q->sort.path) {
		store_field_name(name, q->sort.path);
		bson_append_int32(&sort, name, -1, direction);
	}
	bson_append_int32(&sort, "_id", -1, q->sort.path ? 1 : direction);
	bson_append_document_end(to, &sort);
	bson_append_int64(to, "skip", -1, (int64_t)q->offset);
	bson_append_int64(to, "limit", -1, (int64_t)q->limit);
	bson_append_document_begin(to, "projection", -1, &projection);
	bson_append_int32(&projection, "json", -1, 1);
	bson_append_document_end(to, &projection);
}
