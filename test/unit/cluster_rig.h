/* The cluster's share of several processes, on one embedded store: for test_leases.c and test_nodes.c. */
#ifndef CLUSTER_RIG_H
#define CLUSTER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <unistd.h>

#include "bus/transport.h"
#include "lucid/clock.h"
#include "lucid/errs.h"
#include "lucid/log.h"
#include "lucid/metrics.h"
#include "lucid/str.h"
#include "store/open.h"
#include "test/lib/loop_rig.h"

#define BEAT_MS 40

struct cluster_rig {
	struct loop *loop;
	struct store *store;
	char dir[64], path[96];
};

static void rig_run_ms(struct cluster_rig *t, int ms)
{
	loop_rig_run_ms(t->loop, ms);
}

/* Runs until the condition is true; at most ten seconds. */
#define RIG_UNTIL(t, what) LOOP_RIG_UNTIL((t)->loop, what, 10000, 2)

static void rig_up(struct cluster_rig *t)
{
	snprintf(t->dir, sizeof t->dir, "/tmp/lrdp-cluster-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof t->path, "%s/store", t->dir);
	t->loop = loop_new();
	struct store_options o = { .path = t->path, .queue_limit = 4096, .timeout_ms = 5000 };
	t->store = store_open_embedded(t->loop, &o, NULL, NULL);
}

/* The rooms are freed between these two, in the order of the program. */
static void rig_close_store(struct cluster_rig *t)
{
	store_close(t->store);
}

static void rig_down(struct cluster_rig *t)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-journal", ".lock" };
	loop_free(t->loop);
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		char path[128];
		snprintf(path, sizeof path, "%s%s", t->path, ends[i]);
		unlink(path);
	}
	rmdir(t->dir);
	metrics_reset();
}

struct rig_wrote {
	bool over;
	enum store_result result;
};

static void rig_on_wrote(enum store_result result, size_t index, int err, void *arg)
{
	*(struct rig_wrote *)arg = (struct rig_wrote){ true, result };
}

UNUSED static enum store_result rig_write(struct cluster_rig *t, enum store_verb verb, enum store_collection col, const char *id,
					  json_t *consume)
{
	struct rig_wrote w = { 0 };
	struct store_op op = { verb, col, id, 0, consume };
	store_write(t->store, &op, 1, rig_on_wrote, &w);
	RIG_UNTIL(t, w.over);
	json_decref(consume);
	return w.result;
}

struct rig_got {
	bool over;
	json_t *doc;
};

static void rig_on_got(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct rig_got *g = arg;
	g->over = true;
	g->doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
}

/* The caller frees; NULL: it does not exist. */
UNUSED static json_t *rig_get(struct cluster_rig *t, enum store_collection col, const char *id)
{
	struct rig_got g = { 0 };
	store_get(t->store, col, id, rig_on_got, &g);
	RIG_UNTIL(t, g.over);
	return g.doc;
}

/* --- faults: the file that LUCID_FAULTS names must be known from the start */

UNUSED static void rig_faults_begin(char **argv)
{
	if (getenv("LUCID_FAULTS"))
		return;
	char path[64];
	snprintf(path, sizeof path, "/tmp/lrdp-faults-%d", (int)getpid());
	setenv("LUCID_FAULTS", path, 1);
	execv("/proc/self/exe", argv);
	abort();
}

UNUSED static void rig_fault(struct cluster_rig *t, const char *line)
{
	const char *path = getenv("LUCID_FAULTS");
	if (line) {
		FILE *f = fopen(path, "we");
		assert_non_null(f);
		fprintf(f, "%s\n", line);
		fclose(f);
	} else {
		unlink(path);
	}
	rig_run_ms(t, 25); /* it is read again within 20 ms */
}

#endif
