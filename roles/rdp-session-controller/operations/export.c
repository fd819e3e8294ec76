#include "roles/rdp-session-controller/operations/export.h"

#include "lucid/csv.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/operations/query.h"

#define EXPORT_PAGE 500

static const struct csv_column columns[] = {
	{ "session_id", "session_id" }, { "name", "name" }, { "user_id", "user_id" }, { "server_id", "server_id" }, { "node", "node" },
	{ "username", "username" }, { "client_address", "client_address" }, { "display", "display" }, { "status", "status" },
	{ "status_reason", "status_reason" }, { "declared", "declared" }, { "created_at", "created_at" }, { "started_at", "started_at" },
	{ "stopped_at", "stopped_at" }, { "ended_by", "ended_by" }, { "project", "metadata.project" },
	{ "environment", "metadata.environment" }, { "connections", "statistics.connections" }, { "connected_ms", "statistics.connected_ms" },
	{ "disconnected_ms", "statistics.disconnected_ms" }, { "bytes_in", "statistics.bytes_in" }, { "bytes_out", "statistics.bytes_out" },
	{ "rdp_host", "rdp_config.host" }, { "rdp_port", "rdp_config.port" },
};

/* Pages are read as the reader asks for them. Sessions that are created or deleted meanwhile may shift the pages by a few rows. */
struct export {
	struct controller *c;
	struct csv *csv; /* NULL: the reader has closed it */
	json_t *query;
	char viewer[CALLER_NAME_MAX + 1]; /* "": an admin */
	bool reading;
	size_t offset;
};

static void export_free(struct export *e)
{
	struct objects *set = e->c->objects;
	json_decref(e->query);
	free(e);
	objects_release(set);
}

static void export_page(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, int err, void *arg)
{
	struct export *e = arg;
	e->reading = false;
	if (!e->csv) {
		export_free(e);
		return;
	}
	if (result != STORE_OK) {
		csv_break(e->csv, err, "the store failed");
		return;
	}
	if (!n) {
		csv_end(e->csv);
		return;
	}
	_cleanup_(doc_unrefp) json_t *items = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		if (doc)
			json_array_append_new(items, doc);
	}
	e->offset += n;
	csv_put(e->csv, items);
}

static void export_want(struct csv *csv, void *ctx)
{
	struct export *e = ctx;
	struct store_query q;
	e->csv = csv;
	e->reading = true;
	sessions_query(e->query, e->viewer, &(struct listing_page){ .offset = e->offset, .limit = EXPORT_PAGE }, &q);
	q.want_total = false;
	store_list(e->c->env.store, COL_SESSIONS, &q, export_page, e);
}

static void export_close(void *ctx)
{
	struct export *e = ctx;
	e->csv = NULL;
	if (!e->reading)
		export_free(e);
}

void sessions_export(struct controller *c, struct call *call, const char *viewer)
{
	static const struct csv_items items = { export_want, export_close };
	struct export *e = XNEW(struct export);
	*e = (struct export){ .c = c, .query = json_incref(call_query(call)) };
	str_copy(e->viewer, sizeof e->viewer, viewer);
	objects_hold(c->objects);
	call_ok_source(call, csv_new(c->env.loop, columns, ARRAY_LEN(columns), &items, e), "text/csv; charset=utf-8");
}
