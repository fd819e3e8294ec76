/* store_suite: the contract of lucid/store.h, as tests that know nothing but that header. The program of a driver provides a way to open an
 * empty store; the suite must pass unchanged on every driver. */
#ifndef TEST_STORE_SUITE_H
#define TEST_STORE_SUITE_H

#include "lucid/loop.h"
#include "lucid/store.h"

struct store_suite_options {
	size_t queue_limit;
	unsigned timeout_ms;
	size_t cache_bytes;
};
struct store_factory {
	const char *name;
	bool atomic; /* a list that fails changes nothing */
	/* Opens the store of that name; the same name again has the same documents. Requests may be made before it is open. */
	struct store *(*open)(struct loop *l, const char *name, const struct store_suite_options *o);
	void (*close)(struct store *s);
};

/* Runs all tests; returns the number of failures. */
int store_suite_run(const struct store_factory *f);
int store_race_suite_run(void); /* the part in store_race_suite.c; called by the one above */

/* For a driver's own tests: make a request and wait for the answer. */
struct suite_answer {
	bool done;
	enum store_result result;
	int err;
	size_t failed_index, n;
	int64_t version, total;
	char *text;		  /* result of a get */
	char ids[64][STORE_ID_MAX + 1]; /* result of a list: the member "k" of the documents */
};
void suite_write(struct loop *l, struct store *s, const struct store_op *ops, size_t n, struct suite_answer *ret);
void suite_get(struct loop *l, struct store *s, enum store_collection col, const char *id, struct suite_answer *ret);
void suite_list(struct loop *l, struct store *s, enum store_collection col, const struct store_query *q,
		struct suite_answer *ret);
void suite_turn(struct loop *l, int64_t ms);
void suite_until(struct loop *l, const bool *flag); /* fails the program if there is no answer for 60 s */
void suite_answered(void); /* the first call in callbacks of a test's own */
json_t *suite_doc(const char *key, int64_t version); /* { "k": key, "version": version } */
void suite_on_write(enum store_result result, size_t failed_index, int err, void *answer);
enum store_result suite_put(struct loop *l, struct store *s, enum store_verb verb, enum store_collection col, const char *id,
			    int64_t expect, json_t *consume);

/* The fixture: an empty store for each test. */
struct suite_fix {
	struct loop *l;
	struct store *s;
	char name[32];
};
extern const struct store_suite_options suite_usual;
int suite_set_up(void **state);
int suite_tear_down(void **state);
void suite_reopen(struct suite_fix *f, const struct store_suite_options *o);
int64_t suite_version(struct suite_fix *f, const char *id); /* version of a server; 0: it does not exist */
#define PUT(verb, id, expect, version) \
	suite_put(f->l, f->s, verb, COL_SERVERS, id, expect, (verb) == STORE_DELETE ? NULL : suite_doc(id, version))

#endif
