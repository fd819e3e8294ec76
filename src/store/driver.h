/*
 * driver: the interface between the store's front (front.c) and a database. Floor F3, of this room alone. The front runs on the loop thread:
 * it checks calls and copies them into requests, keeps the cache, limits, deadlines and metrics, and calls back. A driver processes requests
 * on threads of its own, fills in the answers, and returns the requests in batches, from any thread. Not for: callers (lucid/store.h).
 *
 * A driver may rely on ids of 1 to STORE_ID_MAX bytes, on documents that are objects with a version of 1 or more, and on filters and sorts
 * by declared fields with values of the right type. It must fulfil lucid/store.h, process a request only if store_request_start returns
 * true, and return every request exactly once, also those that it did not start.
 */
#ifndef STORE_DRIVER_H
#define STORE_DRIVER_H

#include "lucid/loop.h"
#include "lucid/store.h"
#include "store/open.h"

enum store_kind { STORE_KIND_WRITE, STORE_KIND_GET, STORE_KIND_LIST, STORE_KIND_COUNT };

/* The value of a declared field, copied from the document. */
struct store_value {
	bool set; /* false: absent, null or of another type */
	int64_t number;
	const char *text; /* a list: a JSON array of its strings */
};

struct cache_entry;
struct store_request_op {
	enum store_verb verb;
	enum store_collection col;
	const char *id;
	int64_t expect;
	struct blob *text; /* NULL for a delete */
	int64_t version;
	const struct store_value *values; /* one for each declared field */
	struct cache_entry *entry;	  /* used by the front */
};

struct store_chunk; /* memory of a request beyond its inline memory */

struct store_request {
	struct list node; /* in the queue of the driver or of the front, whichever has the request */
	enum store_kind kind;
	int stage; /* atomic; store_request_start */
	/* the question */
	struct store_request_op *ops; /* write: in order; get: one, with col and id */
	size_t nops;
	enum store_collection col; /* list */
	struct store_query query;  /* its strings belong to the request */
	/* the answer */
	enum store_result result;
	size_t failed_index;
	int err; /* negated; -ERR_UNCERTAIN: the write may have taken effect */
	struct blob *text;
	int64_t version;
	struct blob **docs;
	size_t ndocs;
	int64_t total;
	/* used by the front */
	struct list waiting;
	struct list same; /* requests with the same question, answered by this one */
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

/* Called by the driver before it reads or changes anything. False: the front has given the request up; return it untouched. After true, a
 * write that misses its deadline is uncertain. */
bool store_request_start(struct store_request *r);
bool store_request_give_up(struct store_request *r); /* called by the front; false: the driver has started it */
bool store_request_begun(const struct store_request *r); /* store_request_start has returned true */
/* Sets the answer to a failure. */
void store_request_fail(struct store_request *r, int err);

struct store_driver; /* defined by each driver */
struct store_driver_ops {
	/* no other process writes to this database, so that documents may be cached */
	bool exclusive;
	/* Loop thread, does not block. Takes ownership of the request. */
	void (*submit)(struct store_driver *d, struct store_request *r);
	/* Loop thread; blocks until every request was returned and the threads have ended, then frees the driver. */
	void (*close)(struct store_driver *d);
};

/* Creates the front; called by the functions that open a driver, before the driver starts working. */
struct store *store_new(struct loop *l, const struct store_options *o, const struct store_driver_ops *ops,
			struct store_driver *d, void (*on_open)(int err, const char *why, void *arg), void *arg);

/* Any thread. Returns requests, in the order in which they took effect, and empties the list. `batches`: the number of commits, for the
 * metrics. */
void store_driver_done(struct store *s, struct list *requests, unsigned batches);
/* Any thread. The store is up (err 0), or unavailable, with a sentence that says what to do. `opening`: this is the result of an opening. */
void store_driver_report(struct store *s, int err, const char *why, bool opening);
/* Any thread, before the report of a successful opening: a remark that operators should see nevertheless. Static text. */
void store_driver_note(struct store *s, const char *note);

/* request.c. An invalid request has result STORE_FAILED and err set. */
struct store_request *store_request_write(const struct store_op *ops, size_t n);
struct store_request *store_request_get(enum store_collection col, const char *id);
struct store_request *store_request_list(enum store_collection col, const struct store_query *q);
void store_request_free(struct store_request *r);
/* Copies the answer of a get or a list; texts are shared. */
void store_request_copy_answer(struct store_request *to, const struct store_request *from);
/* question.c: all that the answer to a get or a list depends on, as text without NUL. Replaces what is in the buffer, which has the result. */
struct strbuf;
const char *store_question(struct strbuf *b, const struct store_request *r);

#define STORE_DOC_MAX (8u << 20)   /* bytes of one document */
#define STORE_LIST_BYTES (64u << 20) /* bytes of all documents in one answer */
#define STORE_MAX_IN 256	   /* values of one STORE_IN */

/* Whether that declared field is compared as a number. */
bool store_field_is_integer(enum store_collection col, const char *path);

#endif
