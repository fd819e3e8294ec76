#include "api/audit/list.h"

#include "api/audit/export.h"
#include "lucid/clock.h"
#include "lucid/listing.h"
#include "lucid/str.h"

static const struct listing_filter filters[] = { { "actor" }, { "action" }, { "object" }, { "outcome" } };
static const struct listing entries = { filters, ARRAY_LEN(filters), "-time", NULL };

struct listed {
	struct call *call;
	struct listing_page page;
};

/* Renames members to the names of the API. In the store, entries keep the names that their hash covers. */
static void show_entry(json_t *doc)
{
	static const char *const names[][2] = { { "from", "client_address" }, { "prev", "previous" } };
	json_object_del(doc, "version");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		json_object_set(doc, names[i][1], json_object_get(doc, names[i][0]));
		json_object_del(doc, names[i][0]);
	}
}

static void on_listed(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	_cleanup_(xfreep) struct listed *w = arg;
	if (result != STORE_OK) {
		call_fail(w->call, err, NULL);
		return;
	}
	json_t *shown = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		if (!doc)
			continue;
		show_entry(doc);
		json_array_append_new(shown, doc);
	}
	call_ok(w->call, json_pack("{s:o, s:o}", "entries", shown, "pagination", listing_pagination(&w->page, total)));
}

/* A time of the query in the format of entries (UTC, milliseconds); NULL: not given. */
static const char *time_of(const json_t *query, const char *name, char dst[CLOCK_ISO_SIZE])
{
	int64_t ms;
	const char *text = doc_str(query, name, NULL);
	return text && clock_from_iso(text, &ms) ? clock_iso(dst, ms) : NULL;
}

void audit_list(struct call *c, void *reader)
{
	const struct audit_reader *r = reader;
	const json_t *query = call_query(c);
	char from[CLOCK_ISO_SIZE], to[CLOCK_ISO_SIZE];
	struct store_query q;
	struct listing_page page = listing_page(query);
	listing_query(&entries, query, &page, &q);
	q.sort.path = "id"; /* ids are sequence numbers */
	const char *since = time_of(query, "from", from);
	listing_narrow(&q, "time", STORE_GE, since ? since : "0"); /* excludes the anchor, which has no time */
	listing_narrow(&q, "time", STORE_LT, time_of(query, "to", to));
	if (op_streams(call_op(c), query)) {
		audit_export(c, r->loop, r->store, &q);
		return;
	}
	struct listed *w = XNEW(struct listed);
	*w = (struct listed){ c, page };
	store_list(r->store, COL_AUDIT, &q, on_listed, w);
}
