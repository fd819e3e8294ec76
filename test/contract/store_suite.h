/* store_suite: what lucid/store.h promises, as tests that know nothing but that header. A driver's program gives it a way to
 * open an empty store; it must pass unchanged on every driver. */
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
	bool atomic; /* a list that fails leaves nothing behind */
	/* Opens the store of that name; the same name again is the same documents. Answers may come before it is open. */
	struct store *(*open)(struct loop *l, const char *name, const struct store_suite_options *o);
	void (*close)(struct store *s);
};

/* Runs all of it; how many failed. */
int store_suite_run(const struct store_factory *f);

/* For a driver's own tests: the same, waiting for the answer. */
struct suite_answer {
	bool done;
	enum store_result result;
	int err;
	size_t failed_index, n;
	int64_t version, total;
	char *text;		  /* of a get */
	char ids[64][STORE_ID_MAX + 1]; /* of a list: the documents' member "k" */
};
void suite_write(struct loop *l, struct store *s, const struct store_op *ops, size_t n, struct suite_answer *ret);
void suite_get(struct loop *l, struct store *s, enum store_collection col, const char *id, struct suite_answer *ret);
void suite_list(struct loop *l, struct store *s, enum store_collection col, const struct store_query *q,
		struct suite_answer *ret);
void suite_turn(struct loop *l, int64_t ms);
void suite_until(struct loop *l, const bool *flag); /* ends the program after 60 s */
json_t *suite_doc(const char *key, int64_t version); /* { "k": key, "version": version } */
enum store_result suite_put(struct loop *l, struct store *s, enum store_verb verb, enum store_collection col, const char *id,
			    int64_t expect, json_t *consume);

#endif
