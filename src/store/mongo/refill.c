#include "store/mongo/refill.h"

#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/fault.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "store/mongo/bson.h"
#include "store/mongo/db.h"

#define BATCH_DOCS 500 /* read */
#define BATCH_WRITES 64 /* as many as a slow server performs within the socket timeout */
#define BATCH_BYTES (4u << 20)
#define TRIES 50 /* of one batch, while other processes change its documents */
#define LOG_MS 10000

struct refill {
	enum store_collection col;
	mongoc_collection_t *documents, *meta;
	char *fields, *after; /* after: the last id that is done */
	size_t seen, filled;
	int64_t logged_ms;
};

/* One batch of it. */
struct batch {
	mongoc_bulk_operation_t *bulk;
	char *last;
	size_t n, bytes, differ;
};

static char *fields_of(enum store_collection col)
{
	static const char *const types[] = { [STORE_TEXT] = "text", [STORE_INTEGER] = "integer", [STORE_TEXT_LIST] = "list" };
	const struct store_collection_def *def = &store_collections[col];
	struct strbuf b = { 0 };
	for (size_t i = 0; i < def->n; i++)
		strbuf_printf(&b, "%s%s:%s", i ? " " : "", def->fields[i].path, types[def->fields[i].type]);
	return strbuf_take(&b);
}

/* --- one document */

/* Only while it has this text: after a deletion the same version can occur with another text. */
static bool queue_replacement(struct batch *b, const struct store_request_op *op, const bson_t *wants, bson_error_t *e)
{
	bson_t which = BSON_INITIALIZER;
	bson_append_utf8(&which, "_id", -1, op->id, -1);
	bson_append_utf8(&which, "json", -1, op->text->data, (int)op->text->len);
	bool ok = mongoc_bulk_operation_replace_one_with_opts(b->bulk, &which, wants, NULL, e);
	bson_destroy(&which);
	b->differ++;
	return ok;
}

/* Ignores documents that this program did not write. */
static bool look_at(struct refill *r, struct batch *b, const bson_t *doc, const char *id, bson_error_t *e)
{
	bson_iter_t it;
	uint32_t len = 0;
	const char *text = bson_iter_init_find(&it, doc, "json") ? bson_iter_utf8(&it, &len) : NULL;
	_cleanup_(doc_unrefp) json_t *parsed = text ? doc_parse(text, len, NULL, 0) : NULL;
	if (doc_int(parsed, "version", 0) < 1 || strlen(id) > STORE_ID_MAX)
		return true;
	struct store_request *q = store_request_write(&(struct store_op){ STORE_PUT, r->col, id, 0, parsed }, 1);
	bson_t wants = BSON_INITIALIZER;
	bool ok = true;
	b->bytes += len;
	if (!q->err) {
		blob_unref(q->ops[0].text);
		q->ops[0].text = blob_new(text, len); /* as stored, byte by byte */
		mongo_document(&wants, &q->ops[0]);
		if (!bson_equal(&wants, doc))
			ok = queue_replacement(b, &q->ops[0], &wants, e);
	}
	bson_destroy(&wants);
	store_request_free(q);
	return ok;
}

/* --- one batch */

static bool read_batch(struct refill *r, struct batch *b, bson_error_t *e)
{
	bson_t *which = BCON_NEW("_id", "{", "$gt", BCON_UTF8(r->after), "}");
	bson_t *opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT64(BATCH_DOCS));
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(r->documents, which, opts, NULL);
	const bson_t *doc;
	bson_iter_t it;
	bool ok = true;
	while (ok && b->bytes < BATCH_BYTES && b->differ < BATCH_WRITES && mongoc_cursor_next(cursor, &doc)) {
		const char *id = bson_iter_init_find(&it, doc, "_id") ? bson_iter_utf8(&it, NULL) : NULL;
		if (!id)
			continue;
		ok = look_at(r, b, doc, id, e);
		free(b->last);
		b->last = xstrdup(id);
		b->n++;
	}
	ok = ok && !mongoc_cursor_error(cursor, e);
	mongoc_cursor_destroy(cursor);
	bson_destroy(opts);
	bson_destroy(which);
	return ok;
}

/* 1: all were updated; 0: other processes changed some meanwhile; -1: failure. */
static int write_batch(struct batch *b, bson_error_t *e)
{
	bson_t reply;
	bson_iter_t it;
	if (!b->differ)
		return 1;
	bool ok = mongoc_bulk_operation_execute(b->bulk, &reply, e);
	int64_t matched = bson_iter_init_find(&it, &reply, "nMatched") ? bson_iter_as_int64(&it) : 0;
	bson_destroy(&reply);
	return !ok ? -1 : matched == (int64_t)b->differ;
}

static bool replace(mongoc_collection_t *meta, const char *id, const bson_t *doc, bson_error_t *e)
{
	bson_t *which = BCON_NEW("_id", BCON_UTF8(id)), *opts = BCON_NEW("upsert", BCON_BOOL(true));
	bool ok = mongoc_collection_replace_one(meta, which, doc, opts, NULL, e);
	bson_destroy(opts);
	bson_destroy(which);
	return ok;
}

static bool keep_place(struct refill *r, bson_error_t *e)
{
	bson_t *doc = BCON_NEW("_id", "refill", "collection", BCON_UTF8(store_collections[r->col].name), "fields", BCON_UTF8(r->fields),
			       "after", BCON_UTF8(r->after));
	bool ok = replace(r->meta, "refill", doc, e);
	bson_destroy(doc);
	return ok;
}

static void log_progress(struct refill *r)
{
	int64_t now = clock_mono_ms();
	if (now - r->logged_ms < LOG_MS)
		return;
	log_info("store", "updating the declared fields of documents in %s: %zu so far", store_collections[r->col].name, r->seen);
	r->logged_ms = now;
}

/* 1: there may be more; 0: that was all; -1: failure. */
static int next_batch(struct refill *r, bson_error_t *e)
{
	int done = 0;
	for (int tries = 0; done == 0 && tries < TRIES; tries++) {
		bson_t *opts = BCON_NEW("ordered", BCON_BOOL(false));
		struct batch b = { .bulk = mongoc_collection_create_bulk_operation_with_opts(r->documents, opts) };
		done = read_batch(r, &b, e) ? write_batch(&b, e) : -1;
		if (done > 0 && b.n) {
			r->seen += b.n;
			r->filled += b.differ;
			free(r->after);
			r->after = TAKE_PTR(b.last);
		} else if (done > 0) {
			done = 2;
		}
		free(b.last);
		mongoc_bulk_operation_destroy(b.bulk);
		bson_destroy(opts);
	}
	if (done == 0)
		bson_set_error(e, MONGOC_ERROR_SERVER, 0, "documents in %s change constantly", store_collections[r->col].name);
	if (done != 1)
		return done == 2 ? 0 : -1;
	log_progress(r);
	return keep_place(r, e) ? 1 : -1;
}

/* --- a collection */

/* The last id of an interrupted pass for the same fields; NULL: there was none. */
static char *earlier_place(const struct refill *r)
{
	bson_t *which = BCON_NEW("_id", "refill", "collection", BCON_UTF8(store_collections[r->col].name), "fields", BCON_UTF8(r->fields));
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(r->meta, which, NULL, NULL);
	bson_iter_t it;
	const bson_t *doc;
	char *after = NULL;
	if (mongoc_cursor_next(cursor, &doc) && bson_iter_init_find(&it, doc, "after") && BSON_ITER_HOLDS_UTF8(&it))
		after = xstrdup(bson_iter_utf8(&it, NULL));
	mongoc_cursor_destroy(cursor);
	bson_destroy(which);
	return after;
}

static bool note_filled(struct refill *r, bson_error_t *e)
{
	bson_t *which = BCON_NEW("_id", "fields"), *opts = BCON_NEW("upsert", BCON_BOOL(true)), *place = BCON_NEW("_id", "refill");
	bson_t *set = BCON_NEW("$set", "{", store_collections[r->col].name, BCON_UTF8(r->fields), "}");
	bool ok = mongoc_collection_update_one(r->meta, which, set, opts, NULL, e);
	if (ok && *r->after) /* a place was kept */
		ok = mongoc_collection_delete_one(r->meta, place, NULL, NULL, e);
	bson_destroy(set);
	bson_destroy(place);
	bson_destroy(opts);
	bson_destroy(which);
	return ok;
}

int mongo_refill(mongoc_client_t *c, const char *database, enum store_collection col, bool (*go_on)(void *arg, struct mongo_fault *ret), void *arg,
		 struct mongo_fault *ret)
{
	const char *name = store_collections[col].name;
	struct refill r = { .col = col, .fields = fields_of(col), .logged_ms = clock_mono_ms() };
	bson_error_t e = { 0 };
	int more = 1;
	bool may = true;
	r.documents = mongoc_client_get_collection(c, database, name);
	r.meta = mongoc_client_get_collection(c, database, MONGO_META);
	r.after = earlier_place(&r);
	if (!r.after)
		r.after = xstrdup("");
	while (more > 0 && (may = go_on(arg, ret))) {
		more = next_batch(&r, &e);
		usleep((useconds_t)fault_delay_ms("store.refill") * 1000);
	}
	bool ok = more == 0 && note_filled(&r, &e);
	if (r.filled)
		log_info("store", "%zu documents in %s now have all declared fields", r.filled, name);
	if (!ok && may)
		mongo_fault_set(ret, &e);
	mongoc_collection_destroy(r.meta);
	mongoc_collection_destroy(r.documents);
	free(r.fields);
	free(r.after);
	return ok ? 0 : ret->err;
}

int mongo_unfilled(mongoc_client_t *c, const char *database, bool ret_which[COL_COUNT], struct mongo_fault *ret)
{
	mongoc_collection_t *meta = mongoc_client_get_collection(c, database, MONGO_META);
	bson_t *which = BCON_NEW("_id", "fields");
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(meta, which, NULL, NULL);
	bson_error_t e = { 0 };
	bson_iter_t it;
	const bson_t *doc;
	bool found = mongoc_cursor_next(cursor, &doc), failed = mongoc_cursor_error(cursor, &e);
	int n = 0;
	for (int col = 0; col < COL_COUNT; col++) {
		_cleanup_(xfreep) char *fields = fields_of((enum store_collection)col);
		bool same = found && bson_iter_init_find(&it, doc, store_collections[col].name) && BSON_ITER_HOLDS_UTF8(&it) &&
			    str_eq(bson_iter_utf8(&it, NULL), fields);
		ret_which[col] = !same;
		n += !same;
	}
	mongoc_cursor_destroy(cursor);
	bson_destroy(which);
	mongoc_collection_destroy(meta);
	if (failed)
		mongo_fault_set(ret, &e);
	return failed ? ret->err : n;
}
