#include "api/audit/export.h"

#include "api/audit/chain.h"
#include "lucid/csv.h"

#define PAGE 500 /* entries that are read at a time: about 200 kB */

struct audit_export {
	struct call *call; /* NULL: it was answered */
	struct loop *loop;
	struct store *store;
	struct csv *csv; /* that waits for items; NULL: none */
	struct store_query query; /* with the texts below */
	char *texts[STORE_MAX_FILTERS];
	char id[AUDIT_ID_SIZE]; /* where the next page begins */
	json_t *first; /* the first page, until the reader wants it */
	bool reading, over, closed;
};

/* A member of the stored entry, in the order of the API. */
static const struct csv_column columns[] = {
	{ "seq", "seq" },	{ "time", "time" }, { "actor", "actor" }, { "action", "action" },	   { "object", "object" },
	{ "outcome", "outcome" }, { "code", "code" }, { "reason", "reason" }, { "client_address", "from" }, { "request_id", "request_id" },
	{ "count", "count" },	{ "previous", "prev" }, { "hash", "hash" },
};

static void export_free(struct audit_export *x)
{
	for (size_t i = 0; i < ARRAY_LEN(x->texts); i++)
		free(x->texts[i]);
	json_decref(x->first);
	free(x);
}

static void export_read(struct audit_export *x);

static void export_want(struct csv *c, void *ctx)
{
	struct audit_export *x = ctx;
	x->csv = c;
	if (x->first) {
		_cleanup_(doc_unrefp) json_t *page = TAKE_PTR(x->first);
		csv_put(TAKE_PTR(x->csv), page);
	} else if (x->over) {
		csv_end(TAKE_PTR(x->csv));
	} else {
		export_read(x);
	}
}

static void export_close(void *ctx)
{
	struct audit_export *x = ctx;
	x->closed = true;
	if (!x->reading)
		export_free(x);
}

/* Parses a page, and notes where the next one begins. NULL: an entry is damaged. */
static json_t *export_page(struct audit_export *x, struct blob *const *docs, size_t n)
{
	bool down = x->query.sort.descending;
	json_t *page = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		int64_t seq = doc_int(doc, "seq", -1);
		if (seq < 0) {
			json_decref(doc);
			json_decref(page);
			return NULL;
		}
		audit_id(x->id, down ? seq : seq + 1);
		json_array_append_new(page, doc);
	}
	x->over = n < PAGE;
	return page;
}

/* The first page decides whether the call fails or becomes a stream. */
static void export_answer(struct audit_export *x, json_t *page, int err)
{
	static const struct csv_items items = { export_want, export_close };
	struct call *c = TAKE_PTR(x->call);
	if (!page) {
		export_free(x);
		call_fail(c, err, NULL);
		return;
	}
	x->first = page;
	call_ok_source(c, csv_new(x->loop, columns, ARRAY_LEN(columns), &items, x), "text/csv; charset=utf-8");
}

static void on_export_page(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, int err, void *arg)
{
	struct audit_export *x = arg;
	json_t *page = result == STORE_OK && !x->closed ? export_page(x, docs, n) : NULL;
	x->reading = false;
	err = err ? err : -ERR_INTERNAL;
	if (x->call) {
		export_answer(x, page, err);
		return;
	}
	if (x->closed)
		export_free(x);
	else if (page)
		csv_put(TAKE_PTR(x->csv), page);
	else
		csv_break(TAKE_PTR(x->csv), err, result == STORE_OK ? "an entry of the audit log is damaged; lucid-rdp verify --audit names it" : err_text(err));
	json_decref(page);
}

static void export_read(struct audit_export *x)
{
	struct store_query q = x->query;
	if (*x->id)
		q.filters[q.nfilters++] = (struct store_filter){ .path = "id", .cmp = q.sort.descending ? STORE_LT : STORE_GE, .text = x->id };
	x->reading = true;
	store_list(x->store, COL_AUDIT, &q, on_export_page, x);
}

void audit_export(struct call *consume_call, struct loop *l, struct store *s, const struct store_query *q)
{
	struct audit_export *x = XNEW(struct audit_export);
	*x = (struct audit_export){ .call = consume_call, .loop = l, .store = s, .query = *q };
	x->query.offset = 0;
	x->query.limit = PAGE;
	x->query.want_total = false;
	for (size_t i = 0; i < q->nfilters; i++) /* the texts of the query live no longer than the call */
		if (q->filters[i].text)
			x->query.filters[i].text = x->texts[i] = xstrdup(q->filters[i].text);
	export_read(x);
}
