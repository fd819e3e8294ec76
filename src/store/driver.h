/*
 * driver: what the store's front (store.c) asks of a database. Floor F3, of this room alone. The front lives on the loop
 * thread: it checks and copies what is asked into a request, keeps the cache, the limits, the deadlines and the metrics,
 * and calls back. A driver gets whole requests, works where it likes (threads, sockets), fills in the answer and hands them
 * back in batches, from any thread. Not for: callers (lucid/store.h).
 *
 * A driver may rely on: ids of 1 to STORE_ID_MAX bytes, documents that are objects with a version of 1 or more, filters and
 * sorts on declared fields with the right type. What it must do: what lucid/store.h promises; take a request only when
 * store_request_start says so; give back every request exactly once, also those it did not start.
 */
#ifndef STORE_DRIVER_H
#define STORE_DRIVER_H

#include "lucid/loop.h"
#include "lucid/store.h"
#include "store/open.h"

enum store_kind { STORE_KIND_WRITE, STORE_KIND_GET, STORE_KIND_LIST, STORE_KIND_COUNT };

/* A declared field's value, taken out of the document. */
struct store_value {
	bool set; /* absent, null or of another type: not set */
	int64_t number;
	const char *text; /* of a list: a JSON array of its strings */
};

struct cache_entry;
struct store_request_op {
	enum store_verb verb;
	enum store_collection col;
	const char *id;
	int64_t expect;
	struct blob *text; /* NULL for a delete */
	int64_t version;
	const struct store_value *values; /* one a declared field */
	struct cache_entry *entry;	  /* the front's */
};

struct store_chunk; /* memory of a request beyond its own */

struct store_request {
	struct list node; /* whoever holds it: the driver's queue, the way back */
	enum store_kind kind;
	int stage; /* atomic; store_request_start */
	/* what is asked */
	struct store_request_op *ops; /* write: in order; get: one, with col and id */
	size_t nops;
	enum store_collection col; /* list */
	struct store_query query;  /* its strings are the request's */
	/* the answer */
	enum store_result result;
	size_t failed_index;
	int err; /* negated; -ERR_UNCERTAIN: it may have happened */
	struct blob *text;
	int64_t version;
	struct blob **docs;
	size_t ndocs;
	int64_t total;
	/* the front's */
	struct list waiting;
	struct list same; /* requests with the same question, for whom it goes too */
	int64_t started_us, deadline_us;
	uint64_t generation;
	bool answered;
	union {
		store_write_done write;
		store_get_done get;
		store_list_done list;
	} done;
	void *arg;
	struct store_chunk *chunks;
	size_t room;
	char *free;
};

/* From the driver's thread, before it changes or reads anything: false when the front gave up waiting (then it goes back
 * untouched). After true an answer that does not come in time is an uncertain one. */
bool store_request_start(struct store_request *r);
bool store_request_begun(const struct store_request *r); /* store_request_start said true */
/* Fills in a failure. */
void store_request_fail(struct store_request *r, int err);

struct store_driver; /* the driver's own */
struct store_driver_ops {
	/* nobody else writes to this database, so what the cache holds stays true */
	bool exclusive;
	/* Loop thread, does not block. Takes the request. */
	void (*submit)(struct store_driver *d, struct store_request *r);
	/* Loop thread; blocks until every request was given back and the threads have ended, and frees the driver. */
	void (*close)(struct store_driver *d);
};

/* The front, for the functions that open a driver; the driver begins its work afterwards. */
struct store *store_new(struct loop *l, const struct store_options *o, const struct store_driver_ops *ops,
			struct store_driver *d, void (*on_open)(int err, const char *why, void *arg), void *arg);

/* Any thread: give requests back, in the order in which they took effect; the list is empty afterwards. `batches`: how many
 * commits they took, for the metrics. */
void store_driver_done(struct store *s, struct list *requests, unsigned batches);
/* Any thread: up (err 0), or away with a sentence that says what to do. `opening`: this is how an opening went. */
void store_driver_report(struct store *s, int err, const char *why, bool opening);
/* Any thread, before the report of an opening that went well: what is to be known of it all the same. Static text. */
void store_driver_note(struct store *s, const char *note);

/* request.c. A request that is not valid comes with result STORE_FAILED and err set. */
struct store_request *store_request_write(const struct store_op *ops, size_t n);
struct store_request *store_request_get(enum store_collection col, const char *id);
struct store_request *store_request_list(enum store_collection col, const struct store_query *q);
void store_request_free(struct store_request *r);

#define STORE_DOC_MAX (8u << 20)   /* bytes of one document */
#define STORE_LIST_BYTES (64u << 20) /* of all documents in one answer */
#define STORE_MAX_IN 256	   /* values of one STORE_IN */

/* Whether that field of its documents is compared as a number (collections.c). */
bool store_field_is_integer(enum store_collection col, const char *path);

#endif
