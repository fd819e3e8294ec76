#include "lucid/listing.h"

#include <assert.h>

static void add_filter(struct store_query *q, const struct store_filter *f)
{
	assert(q->nfilters < STORE_MAX_FILTERS);
	q->filters[q->nfilters++] = *f;
}

void listing_narrow(struct store_query *q, const char *path, enum store_cmp cmp, const char *text)
{
	if (text)
		add_filter(q, &(struct store_filter){ .path = path, .cmp = cmp, .text = text });
}

void listing_query(const struct listing *l, const json_t *query, const struct listing_page *p, struct store_query *ret)
{
	const char *sort = doc_str(query, "sort", l->sort);
	bool descending = *sort == '-';
	*ret = (struct store_query){ .sort = { sort + descending, descending }, .offset = p->offset, .limit = p->limit, .want_total = true };
	for (size_t i = 0; i < l->n; i++) {
		const struct listing_filter *f = &l->filters[i];
		const json_t *wanted = json_object_get(query, f->param);
		if (wanted)
			add_filter(ret, &(struct store_filter){ .path = f->path ? f->path : f->param,
								.cmp = f->cmp,
								.text = json_string_value(wanted),
								.number = json_integer_value(wanted) });
	}
}
