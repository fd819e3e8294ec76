#include "store/mongo/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "store/indexes.h"
#include "store/migrations.h"
#include "store/mongo/db.h"
#include "store/mongo/refill.h"

#define APPLICATION "lucid-rdp"
#define LEASE_MS 30000
#define RENEW_MS 5000
#define LEASE_TRIES 80
#define LEASE_POLL_US 500000
#define NOT_IMPLEMENTED 238

/* --- indexes */

static void append_index(bson_t *list, uint32_t n, const struct store_index *x)
{
	char key[16];
	const char *at;
	bson_t index, keys;
	size_t len = bson_uint32_to_string(n, &at, key, sizeof key);
	bson_append_document_begin(list, at, (int)len, &index);
	bson_append_document_begin(&index, "key", -1, &keys);
	for (const char *p = x->keys; *p; p += strcspn(p, ","), p += *p == ',') {
		bool down = *p == '-';
		p += down;
		bson_append_int32(&keys, p, (int)strcspn(p, ","), down ? -1 : 1);
	}
	bson_append_document_end(&index, &keys);
	bson_append_utf8(&index, "name", -1, x->name, -1);
	if (x->expires)
		bson_append_int32(&index, "expireAfterSeconds", -1, 0);
	bson_append_document_end(list, &index);
}

/* The names of existing indexes, as members of ret. */
static bool names_of_indexes(mongoc_client_t *c, const char *database, const char *name, bson_t *ret_names, struct mongo_fault *ret)
{
	mongoc_collection_t *col = mongoc_client_get_collection(c, database, name);
	mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(col, NULL);
	bson_error_t e = { 0 };
	bson_iter_t it;
	const bson_t *doc;
	while (mongoc_cursor_next(cursor, &doc))
		if (bson_iter_init_find(&it, doc, "name") && BSON_ITER_HOLDS_UTF8(&it))
			bson_append_bool(ret_names, bson_iter_utf8(&it, NULL), -1, true);
	bool failed = mongoc_cursor_error(cursor, &e);
	mongoc_cursor_destroy(cursor);
	mongoc_collection_destroy(col);
	if (failed)
		mongo_fault_set(ret, &e);
	return !failed;
}

static bool create_indexes(mongoc_client_t *c, const char *database, const char *name, const bson_t *indexes, struct mongo_fault *ret, bool *ret_unknown)
{
	bson_t command = BSON_INITIALIZER, reply;
	bson_error_t e = { 0 };
	bson_append_utf8(&command, "createIndexes", -1, name, -1);
	bson_append_array(&command, "indexes", -1, indexes);
	bool ok = mongoc_client_write_command_with_opts(c, database, &command, NULL, &reply, &e);
	*ret_unknown = !ok && e.domain == MONGOC_ERROR_SERVER && e.code == NOT_IMPLEMENTED;
	if (!ok)
		mongo_fault_set(ret, &e);
	bson_destroy(&reply);
	bson_destroy(&command);
	return ok;
}

static bool index_collection(mongoc_client_t *c, const char *database, enum store_collection col, struct mongo_fault *ret)
{
	const struct store_collection_def *def = &store_collections[col];
	bson_t indexes = BSON_INITIALIZER, ttl = BSON_INITIALIZER, there = BSON_INITIALIZER;
	uint32_t n = 0, nttl = 0;
	bool unknown = false;
	struct store_index x;
	/* only missing ones: MongoDB ignores the others, but some servers that speak its protocol fail */
	bool ok = names_of_indexes(c, database, def->name, &there, ret);
	for (size_t i = 0; ok && store_index_at(col, i, &x); i++)
		if (bson_has_field(&there, x.name))
			continue;
		else if (x.expires)
			append_index(&ttl, nttl++, &x);
		else
			append_index(&indexes, n++, &x);
	if (ok && n)
		ok = create_indexes(c, database, def->name, &indexes, ret, &unknown);
	if (ok && nttl && !create_indexes(c, database, def->name, &ttl, ret, &unknown)) {
		ok = unknown;
		if (unknown) {
			log_info("store", "this MongoDB server does not support TTL indexes; the program itself removes expired documents from %s", def->name);
			*ret = (struct mongo_fault){ 0 };
		}
	}
	bson_destroy(&there);
	bson_destroy(&ttl);
	bson_destroy(&indexes);
	return ok;
}

/* --- owner and version of the database */

static int PRINTF(2, 3) final(struct mongo_fault *ret, const char *fmt, ...)
{
	va_list ap;
	*ret = (struct mongo_fault){ .err = -ERR_INVALID };
	va_start(ap, fmt);
	vsnprintf(ret->why, sizeof ret->why, fmt, ap);
	va_end(ap);
	return ret->err;
}

/* The schema version of the database; 0: it is new. */
static int read_number(mongoc_client_t *c, const char *database, int64_t *ret_number, struct mongo_fault *ret)
{
	mongoc_collection_t *meta = mongoc_client_get_collection(c, database, MONGO_META);
	bson_t which = BSON_INITIALIZER;
	bson_error_t e = { 0 };
	bson_iter_t it;
	const bson_t *doc;
	bool ours = true;
	bson_append_utf8(&which, "_id", -1, "schema", -1);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(meta, &which, NULL, NULL);
	*ret_number = 0;
	if (mongoc_cursor_next(cursor, &doc)) {
		ours = bson_iter_init_find(&it, doc, "application") && BSON_ITER_HOLDS_UTF8(&it) && str_eq(bson_iter_utf8(&it, NULL), APPLICATION);
		*ret_number = bson_iter_init_find(&it, doc, "number") ? bson_iter_as_int64(&it) : 0;
	}
	bool failed = mongoc_cursor_error(cursor, &e);
	mongoc_cursor_destroy(cursor);
	mongoc_collection_destroy(meta);
	bson_destroy(&which);
	if (failed) {
		mongo_fault_set(ret, &e);
		return ret->err;
	}
	int64_t newest = store_schema_newest();
	if (!ours)
		return final(ret, "the database %s belongs to another program: name a different one in MONGODB_URL", database);
	if (*ret_number > newest)
		return final(ret, "the database %s was written by a newer version of this program (its schema is %lld, this one knows %lld): run that "
			     "version, or restore a backup made before the upgrade", database, (long long)*ret_number, (long long)newest);
	return 0;
}

static bool write_number(mongoc_client_t *c, const char *database, int64_t number, struct mongo_fault *ret)
{
	mongoc_collection_t *meta = mongoc_client_get_collection(c, database, MONGO_META);
	bson_t *which = BCON_NEW("_id", "schema");
	bson_t *doc = BCON_NEW("_id", "schema", "application", APPLICATION, "number", BCON_INT64(number));
	bson_t *opts = BCON_NEW("upsert", BCON_BOOL(true));
	bson_error_t e = { 0 };
	bool ok = mongoc_collection_replace_one(meta, which, doc, opts, NULL, &e);
	bson_destroy(opts);
	bson_destroy(doc);
	bson_destroy(which);
	mongoc_collection_destroy(meta);
	if (!ok)
		mongo_fault_set(ret, &e);
	return ok;
}

/* --- the lease */

static bool server_time(mongoc_client_t *c, int64_t *ret_ms, struct mongo_fault *ret)
{
	bson_t *hello = BCON_NEW("hello", BCON_INT32(1)), reply;
	bson_iter_t it;
	bool ok = mongo_command(c, "admin", hello, &reply, ret);
	*ret_ms = ok && bson_iter_init_find(&it, &reply, "localTime") && BSON_ITER_HOLDS_DATE_TIME(&it) ? bson_iter_date_time(&it) : 0;
	bson_destroy(&reply);
	bson_destroy(hello);
	return ok;
}

/* 1: it is ours; 0: another process has it; -1: failure. */
static int take_lease(mongoc_client_t *c, mongoc_collection_t *meta, const char *holder, struct mongo_fault *ret)
{
	int64_t now = 0;
	bson_error_t e = { 0 };
	if (!server_time(c, &now, ret))
		return -1;
	bson_t *over = BCON_NEW("_id", "lease", "until", "{", "$lt", BCON_DATE_TIME(now), "}");
	bson_t *doc = BCON_NEW("_id", "lease", "holder", BCON_UTF8(holder), "until", BCON_DATE_TIME(now + LEASE_MS));
	bson_t *opts = BCON_NEW("upsert", BCON_BOOL(true));
	bool ok = mongoc_collection_replace_one(meta, over, doc, opts, NULL, &e);
	bson_destroy(opts);
	bson_destroy(doc);
	bson_destroy(over);
	if (ok)
		return 1;
	if (e.domain == MONGOC_ERROR_SERVER && e.code == 11000)
		return 0;
	mongo_fault_set(ret, &e);
	return -1;
}

static void give_back(mongoc_collection_t *meta, const char *holder)
{
	bson_t *which = BCON_NEW("_id", "lease", "holder", BCON_UTF8(holder));
	mongoc_collection_delete_one(meta, which, NULL, NULL, NULL); /* if that fails, it expires */
	bson_destroy(which);
}

/* The lease, while it is held. */
struct turn {
	mongoc_client_t *c;
	mongoc_collection_t *meta;
	const char *holder;
	const bool *closing;
	int64_t renewed_ms;
};

static bool renew_lease(struct turn *t, struct mongo_fault *ret)
{
	int64_t now = 0;
	bson_error_t e = { 0 };
	bson_iter_t it;
	bson_t reply;
	if (!server_time(t->c, &now, ret))
		return false;
	bson_t *which = BCON_NEW("_id", "lease", "holder", BCON_UTF8(t->holder));
	bson_t *set = BCON_NEW("$set", "{", "until", BCON_DATE_TIME(now + LEASE_MS), "}");
	bool ok = mongoc_collection_update_one(t->meta, which, set, NULL, &reply, &e);
	bool ours = ok && bson_iter_init_find(&it, &reply, "matchedCount") && bson_iter_as_int64(&it) > 0;
	bson_destroy(&reply);
	bson_destroy(set);
	bson_destroy(which);
	if (!ok)
		mongo_fault_set(ret, &e);
	else if (!ours)
		*ret = (struct mongo_fault){ .err = -ERR_UNAVAILABLE, .why = "another process has taken over preparing the database; waiting for it" };
	t->renewed_ms = clock_mono_ms();
	return ours;
}

/* Called by long steps: whether to continue. Renews the lease. */
static bool go_on(void *arg, struct mongo_fault *ret)
{
	struct turn *t = arg;
	if (__atomic_load_n(t->closing, __ATOMIC_RELAXED)) {
		*ret = (struct mongo_fault){ .err = -ERR_UNAVAILABLE, .why = "the program is stopping while it prepares the database; the next start continues" };
		return false;
	}
	return clock_mono_ms() - t->renewed_ms < RENEW_MS || renew_lease(t, ret);
}

/* 0: the database has the present version and fields; 1: it has not; or a negated error. */
static int schema_check(mongoc_client_t *c, const char *database, bool ret_unfilled[COL_COUNT], struct mongo_fault *ret)
{
	int64_t number = 0;
	int r = read_number(c, database, &number, ret);
	int n = r < 0 ? r : mongo_unfilled(c, database, ret_unfilled, ret);
	return n < 0 ? n : n > 0 || number != store_schema_newest();
}

static int migrate(struct turn *t, const char *database, struct mongo_fault *ret)
{
	bool unfilled[COL_COUNT];
	int r = schema_check(t->c, database, unfilled, ret); /* another process may have done it meanwhile */
	if (r <= 0)
		return r;
	for (int col = 0; col < COL_COUNT; col++)
		if (!index_collection(t->c, database, (enum store_collection)col, ret))
			return ret->err;
	for (int col = 0; col < COL_COUNT; col++)
		if (unfilled[col] && mongo_refill(t->c, database, (enum store_collection)col, go_on, t, ret) < 0)
			return ret->err;
	return write_number(t->c, database, store_schema_newest(), ret) ? 0 : ret->err;
}

int mongo_schema(mongoc_client_t *c, const char *database, const bool *closing, struct mongo_fault *ret)
{
	bool unfilled[COL_COUNT];
	int r = schema_check(c, database, unfilled, ret), held = 0;
	if (r <= 0)
		return r;
	char holder[33];
	id_hex(holder, 16);
	mongoc_collection_t *meta = mongoc_client_get_collection(c, database, MONGO_META);
	for (int i = 0; i < LEASE_TRIES && !__atomic_load_n(closing, __ATOMIC_RELAXED) && (held = take_lease(c, meta, holder, ret)) == 0; i++)
		usleep(LEASE_POLL_US);
	if (held > 0) {
		r = migrate(&(struct turn){ c, meta, holder, closing, clock_mono_ms() }, database, ret);
		give_back(meta, holder);
	} else {
		r = ret->err ? ret->err : -ERR_UNAVAILABLE;
		if (!ret->err)
			*ret = (struct mongo_fault){ .err = r, .why = "another process is preparing the database; waiting for it" };
	}
	mongoc_collection_destroy(meta);
	return r;
}
