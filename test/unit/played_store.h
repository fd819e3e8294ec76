/* played_store: a store whose database is played by the test: it holds requests until it is told to answer; each answer has a higher version. */
#ifndef PLAYED_STORE_H
#define PLAYED_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "store/driver.h"

struct store_driver {
	struct store *store;
	struct list held;
	int64_t version;
	unsigned asked;
	bool away;
};

static struct loop *loop;
static struct store_driver db;
static struct store *store;

/* --- the database */

static void submit(struct store_driver *d, struct store_request *r)
{
	d->asked++;
	list_append(&d->held, &r->node);
}

static void answer_one(struct store_request *r)
{
	struct list batch;
	char text[64];
	list_init(&batch);
	if (store_request_start(r) && db.away) {
		store_request_fail(r, -ERR_UNAVAILABLE);
	} else if (store_request_begun(r)) {
		int n = snprintf(text, sizeof text, "{\"version\":%lld}", (long long)++db.version);
		struct blob *b = blob_new(text, (size_t)n);
		r->result = STORE_OK;
		r->version = db.version;
		if (r->kind == STORE_KIND_LIST) {
			r->docs = xcalloc(2, sizeof *r->docs);
			r->docs[r->ndocs++] = b;
			r->docs[r->ndocs++] = blob_ref(b);
			r->total = db.version;
		} else {
			r->text = b;
		}
	}
	list_append(&batch, &r->node);
	store_driver_done(db.store, &batch, 0);
}

static void give_back_all(struct store_driver *d)
{
	struct list *n;
	while ((n = list_take_first(&d->held)))
		answer_one(CONTAINER_OF(n, struct store_request, node));
}

static void on_timer(void *arg)
{
	loop_stop(arg);
}

static void turn(int64_t ms)
{
	struct loop_timer *t = loop_timer_new(loop, on_timer, loop);
	loop_timer_set(t, ms);
	loop_run(loop);
	loop_timer_free(t);
}

/* Delivers the answer of the read in flight, and runs what follows from it. */
static inline void land(void)
{
	give_back_all(&db);
	turn(2);
}

/* --- readers */

struct asker {
	int answers, err;
	enum store_result result;
	int64_t version, total;
	size_t docs;
};

static inline void got(enum store_result result, const struct store_doc *doc, int err, void *arg)
{
	struct asker *a = arg;
	a->answers++;
	a->result = result;
	a->err = err;
	a->version = doc ? doc->version : 0;
}

static void listed(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	struct asker *a = arg;
	a->answers++;
	a->result = result;
	a->err = err;
	a->docs = n;
	a->total = total;
	if (n)
		assert_int_equal(docs[0]->data[0], '{');
}

static inline void get(struct asker *a, const char *id)
{
	store_get(store, COL_SERVERS, id, got, a);
}

static inline void list_of(struct asker *a, const char *status, size_t limit)
{
	struct store_query q = { .filters = { { .path = "status", .cmp = STORE_EQ, .text = status } }, .nfilters = 1, .limit = limit, .want_total = true };
	store_list(store, COL_SERVERS, &q, listed, a);
}

/* `exclusive`: no other process writes to the database. */
static int played_open(bool exclusive)
{
	static const struct store_driver_ops kinds[] = { { false, submit, give_back_all }, { true, submit, give_back_all } };
	const struct store_driver_ops *ops = &kinds[exclusive];
	loop = loop_new();
	db = (struct store_driver){ 0 };
	list_init(&db.held);
	store = db.store = store_new(loop, &(struct store_options){ .queue_limit = 100, .timeout_ms = 150 }, ops, &db, NULL, NULL);
	store_driver_report(store, 0, NULL, true);
	turn(1);
	return 0;
}

static int teardown(UNUSED void **state)
{
	store_close(store);
	loop_free(loop);
	return 0;
}

#endif
