#include "store/driver.h"

#include "lucid/str.h"

static void add_text(struct strbuf *b, const char *text)
{
	strbuf_printf(b, "%zu:%s;", strlen(text), text);
}

static void add_filter(struct strbuf *b, const struct store_filter *f)
{
	strbuf_printf(b, "%s%d,%lld,", f->path, (int)f->cmp, (long long)f->number);
	if (f->text)
		add_text(b, f->text);
	for (size_t i = 0; f->cmp == STORE_IN && f->list[i]; i++)
		add_text(b, f->list[i]);
}

const char *store_question(struct strbuf *b, const struct store_request *r)
{
	const struct store_query *q = &r->query;
	strbuf_reset(b);
	if (r->kind == STORE_KIND_GET) {
		strbuf_printf(b, "get %d ", (int)r->ops[0].col);
		add_text(b, r->ops[0].id);
		return b->s;
	}
	strbuf_printf(b, "list %d %zu %zu %d %s%s ", (int)r->col, q->offset, q->limit, q->want_total, q->sort.descending ? "-" : "+",
		      q->sort.path ? q->sort.path : "");
	for (size_t i = 0; i < q->nfilters; i++)
		add_filter(b, &q->filters[i]);
	return b->s;
}
