#include "lucid/listing.h"

#include <assert.h>
#include <stdlib.h>

#include "lucid/fold.h"
#include "lucid/str.h"

/* --- filters */

static bool text_passes(enum store_cmp cmp, const json_t *value, const char *wanted)
{
	const char *text = json_is_string(value) ? json_string_value(value) : "";
	switch (cmp) {
	case STORE_EQ:
		return str_eq(text, wanted);
	case STORE_NE:
		return !str_eq(text, wanted);
	case STORE_PREFIX:
		return str_starts(text, wanted);
	case STORE_CONTAINS:
		return fold_contains(text, wanted);
	case STORE_HAS:
		return doc_array_has(value, wanted);
	case STORE_GE:
		return json_is_string(value) && strcmp(text, wanted) >= 0;
	case STORE_LT:
		return json_is_string(value) && strcmp(text, wanted) < 0;
	case STORE_IN:
		break;
	}
	assert(!"a list cannot be a query parameter");
	return false;
}

static bool number_passes(enum store_cmp cmp, const json_t *value, int64_t wanted)
{
	int64_t n = json_integer_value(value);
	if (!json_is_integer(value))
		return cmp == STORE_NE;
	return cmp == STORE_EQ ? n == wanted : cmp == STORE_NE ? n != wanted : cmp == STORE_GE ? n >= wanted : cmp == STORE_LT && n < wanted;
}

static bool passes(const struct listing *l, const json_t *query, const json_t *item)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct listing_filter *f = &l->filters[i];
		const json_t *wanted = json_object_get(query, f->param), *value = doc_get(item, f->path ? f->path : f->param);
		if (json_is_string(wanted) && !text_passes(f->cmp, value, json_string_value(wanted)))
			return false;
		if (json_is_integer(wanted) && !number_passes(f->cmp, value, json_integer_value(wanted)))
			return false;
	}
	return true;
}

/* --- order */

struct order {
	const char *by;
	bool descending;
	const char *const *ties;
};

/* Two integers compare by value; everything else compares as text, and a value that is not a string counts as "". */
static int compare_field(const char *path, const json_t *a, const json_t *b)
{
	const json_t *x = doc_get(a, path), *y = doc_get(b, path);
	if (json_is_integer(x) && json_is_integer(y))
		return (json_integer_value(x) > json_integer_value(y)) - (json_integer_value(x) < json_integer_value(y));
	return strcmp(json_is_string(x) ? json_string_value(x) : "", json_is_string(y) ? json_string_value(y) : "");
}

static int compare_items(const void *pa, const void *pb, void *arg)
{
	const json_t *a = *(json_t *const *)pa, *b = *(json_t *const *)pb;
	const struct order *o = arg;
	int rc = compare_field(o->by, a, b);
	if (rc)
		return o->descending ? -rc : rc;
	for (const char *const *tie = o->ties; tie && *tie && !rc; tie++)
		rc = compare_field(*tie, a, b);
	return rc;
}

json_t *listing_pick(const struct listing *l, const json_t *query, const struct listing_page *p, const json_t *items,
		     bool (*may_see)(const json_t *item, void *arg), void *arg, size_t *ret_total)
{
	json_t *item, *out = json_array();
	_cleanup_(xfreep) json_t **all = xcalloc(json_array_size(items) + 1, sizeof *all);
	size_t i, n = 0;
	json_array_foreach((json_t *)items, i, item)
		if (passes(l, query, item) && may_see(item, arg))
			all[n++] = item;
	const char *sort = doc_str(query, "sort", l->sort);
	struct order order = { sort + (*sort == '-'), *sort == '-', l->ties };
	qsort_r(all, n, sizeof *all, compare_items, &order);
	for (i = p->offset; i < n && i - p->offset < p->limit; i++)
		json_array_append(out, all[i]);
	*ret_total = n;
	return out;
}
