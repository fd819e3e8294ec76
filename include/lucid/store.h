/*
 * store: persistent documents. Floor F3, loop thread only, never blocks: results arrive later on the loop.
 *
 * Collections are declared in a table (lucid/collections.def) with the fields that queries may filter or sort by. A document is a JSON object with
 * an integer `version` (from 1, incremented by the writer). Its string id is passed separately.
 * Contract of all drivers, tested by test/contract:
 *   - a write is answered only when it survives a power failure;
 *   - the unit of atomicity is one document: a list of writes is performed in order and stops at the first failure. Earlier writes of the
 *     list stay or are rolled back, depending on the driver (see store_write);
 *   - STORE_INSERT fails with STORE_EXISTS if the id exists. STORE_REPLACE and STORE_DELETE fail with STORE_MISSING if there is no such
 *     document, and with STORE_STALE if the stored version differs from `expect`;
 *   - a read that begins after a write was answered sees that write.
 * Expected outcomes are results, not errors.
 */
#ifndef LUCID_STORE_H
#define LUCID_STORE_H

#include "lucid/doc.h"
#include "lucid/errs.h"

struct store;

#define STORE_ID_MAX 200

enum store_result {
	STORE_OK,
	STORE_MISSING, /* there is no such document */
	STORE_EXISTS,  /* insert: the id exists */
	STORE_STALE,   /* the stored version differs from `expect` */
	STORE_FAILED,  /* unreachable, full, read-only or timed out, see err; nothing was changed unless err is ERR_UNCERTAIN or ERR_DEADLINE */
};

enum store_collection {
#define COLLECTION(id, ...) COL_##id,
#include "lucid/collections.def"
#undef COLLECTION
	COL_COUNT
};

enum store_field_type { STORE_TEXT, STORE_INTEGER, STORE_TEXT_LIST /* array of strings; filter STORE_HAS only */ };
struct store_field {
	enum store_field_type type;
	const char *path; /* in the document; dots descend into objects */
	int since;	  /* schema version that added it; 0: the collection's */
};
struct store_index_def {
	const char *name, *keys; /* paths, "a,-b": ascending by a, then descending by b */
	int since;		 /* as of a field */
};
struct store_collection_def {
	const char *name;
	int since; /* schema version that created it */
	bool uncached; /* written often and rarely read by id: not cached, to leave the cache to others */
	const struct store_field *fields;
	size_t n; /* fields */
	const struct store_index_def *embedded, *mongodb; /* the last one has no name */
};
extern const struct store_collection_def store_collections[COL_COUNT];

enum store_verb {
	STORE_INSERT,
	STORE_REPLACE, /* the document must exist; expect 0: any version */
	STORE_PUT,     /* insert or replace, unconditionally */
	STORE_DELETE,  /* expect 0: any version */
};
struct store_op {
	enum store_verb verb;
	enum store_collection col;
	const char *id;	    /* borrowed during the call */
	int64_t expect;	    /* required stored version; 0: any */
	const json_t *doc;  /* borrowed during the call; NULL for a delete */
};
#define STORE_MAX_OPS 64

typedef void (*store_write_done)(enum store_result result, size_t failed_index, int err, void *arg);
/* Performs up to STORE_MAX_OPS writes in order; `done` is called once, when they are durable. On failure, failed_index is the operation that
 * failed. Operations after it were not performed. Operations before it were performed (MongoDB) or rolled back (embedded store), so a caller
 * orders its list such that a partial list leaves a claim, which a sweep can release, and never loses an object.
 * A full queue gives STORE_FAILED with -ERR_BUSY, also later on the loop. */
void store_write(struct store *s, const struct store_op *ops, size_t n, store_write_done done, void *arg);

/* A stored document: its JSON text, which includes `version`, and its version. Borrowed during the callback. */
struct store_doc {
	struct blob *text;
	int64_t version;
};
typedef void (*store_get_done)(enum store_result result, const struct store_doc *doc, int err, void *arg);
void store_get(struct store *s, enum store_collection col, const char *id, store_get_done done, void *arg);
/* Reads from the write-through cache at once. False: not cached, though it may be stored. The blob is borrowed until the loop's turn ends. */
bool store_peek(struct store *s, enum store_collection col, const char *id, struct store_doc *ret);
/* The same as a parsed document, which is cached with the text. Borrowed until the loop's turn ends. NULL: not cached. */
json_t *store_peek_doc(struct store *s, enum store_collection col, const char *id);

enum store_cmp { STORE_EQ, STORE_NE, STORE_IN /* text: NULL-terminated list */, STORE_PREFIX, STORE_CONTAINS /* case-insensitive (fold.h) */, STORE_HAS, STORE_GE, STORE_LT };
struct store_filter {
	const char *path; /* a declared field; or "id" with STORE_GE or STORE_LT, to continue a long list where the last page ended */
	enum store_cmp cmp;
	const char *text; /* for text fields */
	const char *const *list; /* for STORE_IN */
	int64_t number; /* for integer fields */
};
struct store_sort {
	const char *path; /* a declared field, or "id" */
	bool descending;
};
#define STORE_MAX_FILTERS 8
#define STORE_MAX_PAGE 1000
struct store_query {
	struct store_filter filters[STORE_MAX_FILTERS];
	size_t nfilters;
	struct store_sort sort; /* path NULL: by id. Documents with equal values are ordered by id */
	size_t offset, limit;	/* limit 0: only the total */
	bool want_total;
};
/* docs: n texts, borrowed during the callback. total: number of matching documents, -1 without want_total. err: 0 or a negated error. */
typedef void (*store_list_done)(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err,
				void *arg);
void store_list(struct store *s, enum store_collection col, const struct store_query *q, store_list_done done, void *arg);

/* True if the store is usable. *ret_why gets the reason if it is not, for readiness and 503 responses, without paths; otherwise "" or a
 * warning. The text lives as long as the store. */
bool store_healthy(const struct store *s, const char **ret_why);

#endif
