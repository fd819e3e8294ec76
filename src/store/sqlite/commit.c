#include "store/sqlite/commit.h"

#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/fault.h"
#include "store/sqlite/fault.h"

#define BATCH_MAX 256	   /* write lists in one commit */
#define GATHER_MAX_US 2000 /* waiting for more to commit */

/* A list takes effect as a whole or not at all: what its first operations changed is undone when a later one fails. */
static int run_writes(struct sqlite_db *db, struct store_request *r)
{
	bool several = r->nops > 1;
	int rc = several ? sqlite_run(db, &db->savepoint, "SAVEPOINT list") : SQLITE_OK;
	r->result = STORE_OK;
	for (size_t i = 0; rc == SQLITE_OK && r->result == STORE_OK && i < r->nops; i++) {
		r->failed_index = i;
		rc = sqlite_write(db, &r->ops[i], &r->result);
	}
	if (rc || !several)
		return rc;
	if (r->result != STORE_OK)
		rc = sqlite_run(db, &db->undo, "ROLLBACK TO list");
	return rc ? rc : sqlite_run(db, &db->release, "RELEASE list");
}

/* Waits up to a quarter of a commit's time until as many lists are queued as the last batch had. The callers answered just now are about
 * to write again; committing the first of them alone would delay the others by a whole commit. A lone writer never waits. */
static void await_more(struct store_driver *d)
{
	int64_t until = clock_mono_us() + MIN(d->writer.commit_us / 4, GATHER_MAX_US), left;
	pthread_mutex_lock(&d->lock);
	d->wake_at = d->writer.last_batch;
	while (d->waiting_writes < d->writer.last_batch && !d->closing && (left = until - clock_mono_us()) > 0)
		sqlite_wait_us(d, &d->work, left);
	d->wake_at = 1;
	pthread_mutex_unlock(&d->lock);
}

static void take_batch(struct store_driver *d, struct list *batch)
{
	struct list *n;
	size_t i = 0;
	pthread_mutex_lock(&d->lock);
	for (; i < BATCH_MAX && (n = list_take_first(&d->writes)); i++)
		list_append(batch, n);
	d->waiting_writes -= i;
	pthread_mutex_unlock(&d->lock);
	d->writer.last_batch = i;
}

static void write_succeeded(struct store_driver *d)
{
	pthread_mutex_lock(&d->lock);
	bool recovered = d->failing;
	d->failing = false;
	pthread_mutex_unlock(&d->lock);
	if (recovered)
		store_driver_report(d->store, 0, NULL, false);
}

/* Rolls back what is open, and closes a connection that cannot go on. Returns the error to answer with. */
static int write_failed(struct store_driver *d, int rc)
{
	struct sqlite_db *db = &d->writer.db;
	char why[SQLITE_WHY_SIZE];
	int err = sqlite_fault(db, rc, why, sizeof why);
	if (!sqlite3_get_autocommit(db->h))
		sqlite_run(db, &db->rollback, "ROLLBACK");
	store_driver_report(d->store, err, why, false);
	pthread_mutex_lock(&d->lock);
	d->failing = true;
	if (sqlite_fault_is_lasting(rc))
		d->state = SQLITE_STATE_DOWN;
	d->writer.next_try_ms = clock_mono_ms();
	pthread_mutex_unlock(&d->lock);
	if (sqlite_fault_is_damage(rc))
		sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (sqlite_fault_is_lasting(rc))
		sqlite_db_close(db);
	return err;
}

void sqlite_commit_batch(struct store_driver *d)
{
	struct sqlite_db *db = &d->writer.db;
	struct list batch;
	struct store_request *r;
	list_init(&batch);
	await_more(d);
	int64_t began_us = clock_mono_us();
	/* before the requests are taken: while this waits for a lock they still wait, and may be given up */
	int rc = fault_hit("store.begin") ? SQLITE_FULL : sqlite_run(db, &db->begin, "BEGIN IMMEDIATE");
	take_batch(d, &batch);
	if (rc) {
		sqlite_fail_requests(d, &batch, write_failed(d, rc));
		return;
	}
	LIST_FOREACH(r, &batch, node) {
		if (store_request_start(r))
			rc = run_writes(db, r);
		if (rc)
			break;
	}
	bool at_commit = rc == SQLITE_OK;
	if (fault_delay_ms("store.commit"))
		usleep((useconds_t)fault_delay_ms("store.commit") * 1000);
	if (at_commit)
		rc = fault_hit("store.commit") ? SQLITE_FULL : sqlite_run(db, &db->commit, "COMMIT");
	if (rc) {
		/* a commit whose fsync failed may still be found in the log after a crash */
		int err = write_failed(d, rc);
		if (at_commit && (rc & 0xff) == SQLITE_IOERR)
			err = -ERR_UNCERTAIN;
		LIST_FOREACH(r, &batch, node) {
			store_request_start(r); /* those behind the one that failed were not started */
			store_request_fail(r, err);
			r->failed_index = 0;
		}
	} else {
		write_succeeded(d);
		d->writer.log_grown = true;
		d->writer.commit_us = clock_mono_us() - began_us;
	}
	store_driver_done(d->store, &batch, rc == SQLITE_OK);
}

void sqlite_commit_probe(struct store_driver *d)
{
	int rc = sqlite_run(&d->writer.db, &d->writer.db.probe, "UPDATE store_probe SET at=max(unixepoch(),at+1)");
	if (rc)
		write_failed(d, rc);
	else
		write_succeeded(d);
}
