/*
 * store: documents that outlive us. Floor F3, called on the loop thread, never blocks: answers come later on the loop.
 *
 * Collections are declared in a table (store/collections.c): name, and the fields that are filtered or sorted on. Every
 * document is a JSON object with a string `id` given beside it and an integer `version` (from 1, raised by the writer).
 * Contract, the same for every driver, and proved by test/contract/store:
 *   - a write is answered only when it would survive a power cut;
 *   - one document is the unit: a write list runs in order and stops at the first failure; what came before it stays
 *     (a driver may undo it, so the caller must do with both: see store_write);
 *   - STORE_INSERT fails with STORE_EXISTS when the id is there; STORE_REPLACE and STORE_DELETE with `expect` fail with
 *     STORE_STALE when the stored version differs, STORE_MISSING when there is none;
 *   - a read that begins after a write was answered sees it.
 * Outcomes that are expected are results, not errors. Not for: metrics series (their collection expires).
 */
#ifndef LUCID_STORE_H
#define LUCID_STORE_H

#include "lucid/doc.h"
#include "lucid/errs.h"

struct store;

#define STORE_ID_MAX 200

enum store_result {
	STORE_OK,
	STORE_MISSING, /* no such document */
	STORE_EXISTS,  /* insert: the id is taken */
	STORE_STALE,   /* the version is another */
	STORE_FAILED,  /* away, full, read-only, timed out: err says; nothing was changed unless `uncertain` */
};

enum store_collection {
	COL_SERVERS,  /* rdp_servers */
	COL_SESSIONS, /* rdp_sessions */
	COL_PORTS,    /* rdp_ports: id "node:port" */
	COL_NAMES,    /* rdp_names: id "owner:name" */
	COL_NODES,    /* nodes */
	COL_AUDIT,    /* audit_log */
	COL_IDEMPOTENCY, /* idempotency_keys */
	COL_LEASES,   /* leases: who does what one process alone may do */
	COL_COUNT
};

enum store_field_type { STORE_TEXT, STORE_INTEGER, STORE_TEXT_LIST /* array of strings; filter STORE_HAS only */ };
struct store_field {
	const char *path; /* in the document, dots walk objects */
	enum store_field_type type;
};
struct store_collection_def {
	const char *name;
	const struct store_field *fields;
	size_t n;
	bool uncached; /* written often and seldom read one by one: not to push others out of memory */
};
extern const struct store_collection_def store_collections[COL_COUNT];

enum store_verb {
	STORE_INSERT,
	STORE_REPLACE, /* needs the document to be there; expect 0: whatever version */
	STORE_PUT,     /* insert or replace, no questions */
	STORE_DELETE,  /* expect 0: whatever version */
};
struct store_op {
	enum store_verb verb;
	enum store_collection col;
	const char *id;	    /* borrowed for the call */
	int64_t expect;	    /* version that must be stored; 0: any */
	const json_t *doc;  /* borrowed for the call; NULL for a delete */
};
#define STORE_MAX_OPS 64

typedef void (*store_write_done)(enum store_result result, size_t failed_index, int err, void *arg);
/* A list of up to STORE_MAX_OPS writes, in order, one durable answer. On failure `failed_index` names the operation that
 * failed; those before it may have happened (MongoDB) or not (embedded: all or nothing), those after it have not. A caller
 * orders its list so that what stays behind is a claim that a sweep can drop, never a lost object.
 * A full queue answers STORE_FAILED with ERR_BUSY, still on a later turn. */
void store_write(struct store *s, const struct store_op *ops, size_t n, store_write_done done, void *arg);

/* A document as stored: its JSON text (with `version` in it), and its version. Borrowed for the callback. */
struct store_doc {
	struct blob *text;
	int64_t version;
};
typedef void (*store_get_done)(enum store_result result, const struct store_doc *doc, int err, void *arg);
void store_get(struct store *s, enum store_collection col, const char *id, store_get_done done, void *arg);
/* From the write-through cache, at once; false when it is not there (which says nothing). The blob is borrowed until the
 * loop's turn ends. */
bool store_peek(struct store *s, enum store_collection col, const char *id, struct store_doc *ret);
/* Parsed form of the same, kept beside the text in the cache; borrowed until the turn ends; NULL when not cached. */
json_t *store_peek_doc(struct store *s, enum store_collection col, const char *id);

enum store_cmp { STORE_EQ, STORE_NE, STORE_IN /* text: NULL-ended list */, STORE_PREFIX, STORE_HAS, STORE_GE, STORE_LT };
struct store_filter {
	const char *path; /* a declared field */
	enum store_cmp cmp;
	const char *text; /* for text fields */
	const char *const *list;
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
	struct store_sort sort; /* path NULL: by id. Ties are broken by id */
	size_t offset, limit;	/* limit 0: only the total */
	bool want_total;
};
/* docs: n texts, borrowed for the callback. total is -1 unless asked for. */
typedef void (*store_list_done)(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err,
				void *arg);
void store_list(struct store *s, enum store_collection col, const struct store_query *q, store_list_done done, void *arg);

/* Up, or why not; for readiness. When it is up, the text is empty or what is to be known all the same. It is static or lives as long as the store. */
bool store_healthy(const struct store *s, const char **ret_why);

#endif
