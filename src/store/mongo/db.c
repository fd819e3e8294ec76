#include "store/mongo/db.h"

#include "store/mongo/bson.h"

#define DUPLICATE 11000

static void mongo_collectionp(mongoc_collection_t **c)
{
	if (*c)
		mongoc_collection_destroy(*c);
}

static mongoc_collection_t *collection(mongoc_client_t *c, const char *database, enum store_collection col)
{
	return mongoc_client_get_collection(c, database, store_collections[col].name);
}

/* --- writing */

/* One attempt. 0 with *ret_result, or -1 with the error. */
static int try_write(mongoc_collection_t *col, const struct store_request_op *op, enum store_result *ret_result, bson_error_t *e)
{
	bson_t doc = BSON_INITIALIZER, which = BSON_INITIALIZER, opts = BSON_INITIALIZER, reply;
	bson_iter_t it;
	bool ok, fresh = op->verb == STORE_INSERT;
	if (op->verb != STORE_DELETE)
		mongo_document(&doc, op);
	bson_append_utf8(&which, "_id", -1, op->id, -1);
	if (op->expect && op->verb != STORE_PUT)
		bson_append_int64(&which, "version", -1, op->expect);
	if (op->verb == STORE_PUT)
		bson_append_bool(&opts, "upsert", -1, true);
	if (fresh)
		ok = mongoc_collection_insert_one(col, &doc, NULL, &reply, e);
	else if (op->verb == STORE_DELETE)
		ok = mongoc_collection_delete_one(col, &which, NULL, &reply, e);
	else
		ok = mongoc_collection_replace_one(col, &which, &doc, &opts, &reply, e);
	const char *count = op->verb == STORE_DELETE ? "deletedCount" : "matchedCount";
	bool met = fresh || op->verb == STORE_PUT || (bson_iter_init_find(&it, &reply, count) && bson_iter_as_int64(&it) > 0);
	*ret_result = met ? STORE_OK : STORE_MISSING;
	bson_destroy(&reply);
	bson_destroy(&opts);
	bson_destroy(&which);
	bson_destroy(&doc);
	if (!ok && e->domain == MONGOC_ERROR_SERVER && e->code == DUPLICATE) {
		*ret_result = STORE_EXISTS;
		ok = true;
	}
	return ok ? 0 : -1;
}

/* A replacement or deletion matched nothing: whether the document is missing or has another version. */
static int why_none(mongoc_collection_t *col, const struct store_request_op *op, enum store_result *ret_result, bson_error_t *e)
{
	bson_t which = BSON_INITIALIZER, opts = BSON_INITIALIZER, projection;
	const bson_t *doc;
	bson_append_utf8(&which, "_id", -1, op->id, -1);
	bson_append_int64(&opts, "limit", -1, 1);
	bson_append_document_begin(&opts, "projection", -1, &projection);
	bson_append_int32(&projection, "_id", -1, 1);
	bson_append_document_end(&opts, &projection);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(col, &which, &opts, NULL);
	*ret_result = mongoc_cursor_next(cursor, &doc) ? STORE_STALE : STORE_MISSING;
	bool failed = mongoc_cursor_error(cursor, e);
	mongoc_cursor_destroy(cursor);
	bson_destroy(&opts);
	bson_destroy(&which);
	return failed ? -1 : 0;
}

bool mongo_write(mongoc_client_t *c, const char *database, const struct store_request_op *op, enum store_result *ret_result,
		 struct mongo_fault *ret)
{
	_cleanup_(mongo_collectionp) mongoc_collection_t *col = collection(c, database, op->col);
	bson_error_t e = { 0 };
	int rc = try_write(col, op, ret_result, &e);
	/* the upsert collided with another insert: now there is a document to replace */
	if (rc == 0 && op->verb == STORE_PUT && *ret_result == STORE_EXISTS)
		rc = try_write(col, op, ret_result, &e);
	if (rc < 0) {
		mongo_fault_set(ret, &e);
		return false;
	}
	if (*ret_result == STORE_MISSING && op->expect && why_none(col, op, ret_result, &e) < 0) {
		mongo_fault_set(ret, &e);
		ret->uncertain = false; /* the write itself changed nothing */
		return false;
	}
	return true;
}

/* --- reading */

static struct blob *text_of(const bson_t *doc)
{
	bson_iter_t it;
	uint32_t n = 0;
	const char *text = bson_iter_init_find(&it, doc, "json") ? bson_iter_utf8(&it, &n) : NULL;
	return text ? blob_new(text, n) : NULL;
}

/* Finds up to `most` documents. *ret_found also counts documents that this program did not write. */
static bool run_find(mongoc_collection_t *col, struct store_request *r, const bson_t *filter, size_t most, size_t *ret_found, bson_error_t *e)
{
	struct store_query q = r->query;
	bson_t opts = BSON_INITIALIZER;
	q.limit = most;
	mongo_options(&opts, &q);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(col, filter, &opts, NULL);
	const bson_t *doc;
	size_t bytes = 0;
	r->docs = xcalloc(most, sizeof *r->docs);
	*ret_found = 0;
	while (r->ndocs < most && mongoc_cursor_next(cursor, &doc)) {
		struct blob *b = text_of(doc);
		++*ret_found;
		if (!b)
			continue;
		r->docs[r->ndocs++] = b;
		bytes += b->len;
		if (bytes > STORE_LIST_BYTES) {
			store_request_fail(r, -ERR_TOO_LARGE);
			break;
		}
	}
	bool failed = mongoc_cursor_error(cursor, e);
	mongoc_cursor_destroy(cursor);
	bson_destroy(&opts);
	return !failed;
}

static bool run_count(mongoc_collection_t *col, struct store_request *r, const bson_t *filter, bson_error_t *e)
{
	r->total = mongoc_collection_count_documents(col, filter, NULL, NULL, NULL, e);
	return r->total >= 0;
}

/* Reads one document more than requested, to see whether the page is the last one: then the total follows without counting. */
static bool page_and_total(mongoc_collection_t *col, struct store_request *r, const bson_t *filter, bson_error_t *e)
{
	size_t limit = r->query.limit, found;
	if (!run_find(col, r, filter, limit + 1, &found, e))
		return false;
	bool last = found <= limit && (found || !r->query.offset);
	r->total = last ? (int64_t)(r->query.offset + found) : -1;
	if (r->ndocs > limit)
		blob_unref(r->docs[--r->ndocs]);
	return last || run_count(col, r, filter, e);
}

bool mongo_get(mongoc_client_t *c, const char *database, struct store_request *r, struct mongo_fault *ret)
{
	_cleanup_(mongo_collectionp) mongoc_collection_t *col = collection(c, database, r->ops[0].col);
	bson_t which = BSON_INITIALIZER, opts = BSON_INITIALIZER;
	bson_error_t e = { 0 };
	bson_iter_t it;
	const bson_t *doc;
	bson_append_utf8(&which, "_id", -1, r->ops[0].id, -1);
	bson_append_int64(&opts, "limit", -1, 1);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(col, &which, &opts, NULL);
	r->result = STORE_MISSING;
	if (mongoc_cursor_next(cursor, &doc) && (r->text = text_of(doc))) {
		r->result = STORE_OK;
		r->version = bson_iter_init_find(&it, doc, "version") ? bson_iter_as_int64(&it) : 0;
	}
	bool failed = mongoc_cursor_error(cursor, &e);
	mongoc_cursor_destroy(cursor);
	bson_destroy(&opts);
	bson_destroy(&which);
	if (failed)
		mongo_fault_set(ret, &e);
	return !failed;
}

bool mongo_list(mongoc_client_t *c, const char *database, struct store_request *r, struct mongo_fault *ret)
{
	_cleanup_(mongo_collectionp) mongoc_collection_t *col = collection(c, database, r->col);
	bson_t filter = BSON_INITIALIZER;
	bson_error_t e = { 0 };
	size_t found;
	r->result = STORE_OK;
	mongo_filter(&filter, r);
	bool ok = !r->query.limit      ? run_count(col, r, &filter, &e) :
		  r->query.want_total ? page_and_total(col, r, &filter, &e) :
					run_find(col, r, &filter, r->query.limit, &found, &e);
	bson_destroy(&filter);
	if (!ok)
		mongo_fault_set(ret, &e);
	return ok;
}

bool mongo_command(mongoc_client_t *c, const char *database, const bson_t *command, bson_t *ret_reply, struct mongo_fault *ret)
{
	bson_error_t e = { 0 };
	bool ok = mongoc_client_command_simple(c, database, command, NULL, ret_reply, &e);
	if (!ok)
		mongo_fault_set(ret, &e);
	return ok;
}
