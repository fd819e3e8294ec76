#include "lucid/doc.h"

#include <malloc.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/str.h"

#define DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY)

void doc_unrefp(json_t **doc)
{
	json_decref(*doc);
}

/* --- documents with secrets: jansson does not wipe memory, but its allocator can be replaced */

static _Thread_local bool wiping;

static void free_for_jansson(void *p)
{
	if (wiping && p)
		mem_wipe(p, malloc_usable_size(p));
	free(p);
}

__attribute__((constructor)) static void take_allocator(void)
{
	json_set_alloc_funcs(malloc, free_for_jansson);
}

json_t *doc_parse_secret(const char *text, size_t len, char *why, size_t size)
{
	wiping = true;
	json_t *doc = doc_parse(text, len, why, size);
	wiping = false;
	return doc;
}

void doc_unref_secret(json_t *doc)
{
	wiping = true;
	json_decref(doc);
	wiping = false;
}

void doc_unref_secretp(json_t **doc)
{
	doc_unref_secret(*doc);
}

/* jansson recurses up to 2,048 levels. This scan, which does not recurse, rejects deep documents first. It skips strings, so that
 * brackets in them do not count. */
static bool too_deep(const char *text, size_t len)
{
	int depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > DOC_MAX_DEPTH)
				return true;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return false;
}

static const char *describe(const json_error_t *e)
{
	switch (json_error_code(e)) {
	case json_error_duplicate_key:
		return "the same key twice in one object";
	case json_error_invalid_utf8:
		return "not UTF-8";
	case json_error_premature_end_of_input:
		return "it ends too early";
	case json_error_end_of_input_expected:
		return "something follows the end";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "a NUL character";
	case json_error_numeric_overflow:
		return "a number out of range";
	default:
		return "not valid JSON";
	}
}

/* Printed with 15 digits, doubles above this are rounded up to a number that is out of range for every parser. */
#define REAL_MAX 1.79769313486231e308

static bool has_unprintable(json_t *v)
{
	const char *key;
	json_t *member;
	size_t n;
	if (json_is_real(v))
		return json_real_value(v) > REAL_MAX || json_real_value(v) < -REAL_MAX;
	json_object_foreach (v, key, member)
		if (has_unprintable(member))
			return true;
	json_array_foreach (v, n, member)
		if (has_unprintable(member))
			return true;
	return false;
}

json_t *doc_parse(const char *text, size_t len, char *why, size_t size)
{
	json_error_t e;
	if (too_deep(text, len)) {
		if (why)
			snprintf(why, size, "more than %d levels deep", DOC_MAX_DEPTH);
		return NULL;
	}
	json_t *doc = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (doc && has_unprintable(doc)) {
		json_decref(doc);
		if (why)
			snprintf(why, size, "a number out of range");
		return NULL;
	}
	if (!doc && why)
		snprintf(why, size, "%s (line %d, column %d)", describe(&e), e.line, e.column);
	return doc;
}

struct blob *doc_blob(const json_t *doc)
{
	if (!doc)
		return blob_new("null", 4);
	/* most documents fit into the guess and need one pass; a larger one needs a second */
	size_t guess = 2048;
	struct blob *b = blob_new(NULL, guess);
	size_t n = json_dumpb(doc, b->data, guess, DUMP_FLAGS);
	if (n > guess) {
		blob_unref(b);
		b = blob_new(NULL, n);
		n = json_dumpb(doc, b->data, n, DUMP_FLAGS);
	}
	b->len = n;
	b->data[n] = 0;
	return b;
}

char *doc_text(const json_t *doc)
{
	if (!doc)
		return xstrdup("null");
	size_t n = json_dumpb(doc, NULL, 0, DUMP_FLAGS);
	char *s = xmalloc(n + 1);
	json_dumpb(doc, s, n, DUMP_FLAGS);
	s[n] = 0;
	return s;
}

const char *doc_str(const json_t *doc, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(doc, key));
	return s ? s : otherwise;
}

int64_t doc_int(const json_t *doc, const char *key, int64_t otherwise)
{
	const json_t *v = json_object_get(doc, key);
	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool doc_bool(const json_t *doc, const char *key, bool otherwise)
{
	const json_t *v = json_object_get(doc, key);
	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

json_t *doc_get(const json_t *doc, const char *path)
{
	for (const char *dot; doc && (dot = strchr(path, '.')); path = dot + 1) {
		char key[64];
		size_t n = (size_t)(dot - path);
		if (n >= sizeof key)
			return NULL;
		memcpy(key, path, n);
		key[n] = 0;
		doc = json_object_get(doc, key);
	}
	return json_object_get(doc, path);
}

void doc_set(json_t *doc, const char *key, json_t *consume)
{
	json_object_set_new(doc, key, consume ? consume : json_null());
}

void doc_set_str(json_t *doc, const char *key, const char *value)
{
	doc_set(doc, key, value ? json_string(value) : NULL);
}

void doc_set_int(json_t *doc, const char *key, int64_t value)
{
	doc_set(doc, key, json_integer(value));
}

void doc_set_bool(json_t *doc, const char *key, bool value)
{
	doc_set(doc, key, json_boolean(value));
}

void doc_set_time(json_t *doc, const char *key, int64_t wall_ms)
{
	char iso[CLOCK_ISO_SIZE];
	doc_set_str(doc, key, wall_ms ? clock_iso(iso, wall_ms) : NULL);
}

json_t *doc_merge(const json_t *target, const json_t *patch)
{
	if (!json_is_object(patch))
		return json_deep_copy(patch);
	json_t *out = json_is_object(target) ? json_deep_copy(target) : json_object();
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)patch, key, value) {
		if (json_is_null(value))
			json_object_del(out, key);
		else if (json_is_object(value))
			json_object_set_new(out, key, doc_merge(json_object_get(out, key), value));
		else
			json_object_set_new(out, key, json_deep_copy(value));
	}
	return out;
}

bool doc_array_has(const json_t *array, const char *s)
{
	size_t i;
	json_t *v;
	json_array_foreach((json_t *)array, i, v)
		if (json_is_string(v) && str_eq(json_string_value(v), s))
			return true;
	return false;
}
