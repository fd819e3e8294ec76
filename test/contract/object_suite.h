/* object_suite: the contract of lucid/object.h, tested with a kind of the suite's own and several managers over one store. It must pass
 * unchanged on every store. */
#ifndef TEST_OBJECT_SUITE_H
#define TEST_OBJECT_SUITE_H

#include "lucid/loop.h"
#include "lucid/store.h"

struct object_factory {
	const char *name;
	bool own; /* each manager opens the store itself; false: they share one handle, because a file has one process */
	/* Opens the store of that name; the same name again has the same documents. */
	struct store *(*open)(struct loop *l, const char *name);
	void (*close)(struct store *s);
	void (*away)(bool away); /* true: writes fail from now on; false: they work again */
};

/* Runs all tests; returns the number of failures. */
int object_suite_run(const struct object_factory *f);

/* --- object_rig_suite.c: managers of "jobs", which the tests drive */

/* A bound: an operation that takes longer hangs, and a manager that is silent longer is dead. A busy machine, especially with a busy disk,
 * pauses for seconds. Tests in which a manager dies give the other one the shorter time. */
#define OBJECT_PATIENCE_MS 60000
#define DEAD_AFTER_MS 400

#include "lucid/id.h"
#include "lucid/object.h"

enum job_state { JOB_IDLE, JOB_WORKING, JOB_ENDING, JOB_BROKEN, JOB_STATES };
/* few_jobs_kind has at most FEW_JOBS records. ungrouped_kind has one lease for all jobs, the other kinds one for each node. */
extern const struct object_kind job_kind, few_jobs_kind, ungrouped_kind;
#define FEW_JOBS 4

struct pair;
struct side {
	struct pair *pair;
	const char *name; /* "a", "b" */
	struct store *store;
	struct bus *bus;
	struct leases *leases;
	struct objects *set;
	struct transport *carry;
	struct object_task *held; /* has begun; ends with side_finish */
	unsigned begun, voided, taken_over;
	unsigned led; /* leases won */
	bool wait;	 /* for calls that follow */
	bool dead;	 /* it no longer renews or polls */
	char events[4096]; /* "job.status=idle " */
	struct subscription *sub;
};
struct pair {
	struct loop *loop;
	char name[32];
	size_t n; /* 1: a single manager */
	bool deaf; /* events do not reach the other manager */
	struct side side[2];
};
struct job_answer {
	bool over;
	enum err err;
	int status;
	json_t *doc;
};

extern const struct object_factory *object_factory;
void pair_open(struct pair *p, size_t n, const struct object_kind *kind);
void pair_close(struct pair *p);
/* A job in the store, found by the manager that is called for it. */
void job_make(struct pair *p, char dst[ID_UUID_SIZE], enum job_state state);
/* Call a manager to work on it; the answer arrives later. */
void job_ask(struct side *s, const char *id, struct job_answer *ret);
/* End the operation that a manager holds. */
void side_finish(struct side *s);
/* As if its process was killed: it renews nothing, follows nothing, and has no lease. */
void side_kill(struct side *s);
struct object *side_job(struct side *s, const char *id);
/* Run fn on the job's strand, with its document; returns when it has run. */
void side_do(struct side *s, const char *id, void (*fn)(struct object_task *t));
/* The stored document; the caller frees. */
json_t *job_stored(struct pair *p, const char *id);
/* Write the whole document, as a process would that takes no part in the protocol. */
void job_put(struct pair *p, const char *id, json_t *consume);

/* Run the loop until the condition is true. */
#define UNTIL(p, what)                                                                                                 \
	do {                                                                                                           \
		for (int turns_ = 0; turns_ < OBJECT_PATIENCE_MS && !(what); turns_++)                                 \
			suite_turn((p)->loop, 1);                                                                      \
		assert_true(what);                                                                                     \
	} while (0)

#endif
