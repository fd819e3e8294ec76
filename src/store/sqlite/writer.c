#include "store/sqlite/writer.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "store/sqlite/backup.h"
#include "store/sqlite/commit.h"
#include "store/sqlite/reader.h"
#include "sys/thread.h"

#define RETRY_MS 2000	    /* between tries to open, or to write again */
#define PREDECESSOR_MS 5000 /* a predecessor that is ending may hold the lock for this long */
#define LOCK_POLL_MS 50
#define IDLE_MS 2000 /* without a write, until the log is copied into the file */

static bool wait_ms(struct store_driver *d, int64_t ms)
{
	return sqlite_wait_us(d, &d->work, ms * 1000);
}

/* --- opening */

/* The lock on the file beside the store. One try; the first time, a predecessor is given PREDECESSOR_MS to end. */
static int take_lock(struct store_driver *d, bool first, char *why)
{
	int64_t until = clock_mono_ms() + (first ? PREDECESSOR_MS : 0);
	for (;;) {
		int r = sqlite_lock_try(d->path, &d->writer.lock_fd, why, SQLITE_WHY_SIZE);
		if (r != -ERR_BUSY || clock_mono_ms() >= until)
			return r == -ERR_BUSY ? -ERR_UNAVAILABLE : r;
		pthread_mutex_lock(&d->lock);
		if (!d->closing)
			wait_ms(d, LOCK_POLL_MS);
		bool closing = d->closing;
		pthread_mutex_unlock(&d->lock);
		if (closing)
			return -ERR_UNAVAILABLE;
	}
}

static void add_advice(struct store_driver *d, char why[SQLITE_WHY_SIZE])
{
	_cleanup_(xfreep) char *newest = backup_newest(d->backup_dir);
	size_t len = strlen(why);
	if (newest)
		snprintf(why + len, SQLITE_WHY_SIZE - len,
			 " and was not changed: stop the program, run lucid-rdp restore %s --yes, and start it again", newest);
	else
		snprintf(why + len, SQLITE_WHY_SIZE - len,
			 " and was not changed, and %s contains no backup: stop the program, restore a copy that you have, "
			 "or move the file away to start with an empty store",
			 d->backup_dir ? d->backup_dir : "BACKUP_DIR");
}

static void open_file(struct store_driver *d)
{
	struct sqlite_writer *w = &d->writer;
	char why[SQLITE_WHY_SIZE] = "";
	int r = w->lock_fd >= 0 ? 0 : take_lock(d, !w->tried, why);
	if (r == 0) /* the header is read directly the first time only: closing that descriptor would drop the locks of open readers */
		r = sqlite_open_writer(&w->db, d->path, d->epoch == 0, why, sizeof why);
	if (r == SQLITE_DAMAGED)
		add_advice(d, why);
	w->tried = true;
	w->next_try_ms = clock_mono_ms() + RETRY_MS;
	w->log_grown = r == 0;
	if (r >= 0 && w->db.half_checked)
		store_driver_note(d->store, "the file is too large to be checked completely at the start; lucid-rdp backup checks "
					    "its copy completely");
	store_driver_report(d->store, r > 0 ? 0 : r == SQLITE_DAMAGED ? -ERR_UNAVAILABLE : r, why, true);
	if (r > 0)
		store_driver_report(d->store, -ERR_UNAVAILABLE, why, false);
	pthread_mutex_lock(&d->lock);
	d->state = r >= 0 ? SQLITE_STATE_UP : r == -ERR_INVALID || r == SQLITE_DAMAGED ? SQLITE_STATE_FINAL : SQLITE_STATE_DOWN;
	d->failing = r > 0;
	d->epoch += r >= 0;
	bool unread = r < 0 || (!list_empty(&d->reads) && !sqlite_reader_wake(d));
	pthread_cond_broadcast(&d->reads_more);
	pthread_mutex_unlock(&d->lock);
	if (unread)
		sqlite_fail_waiting(d, -ERR_UNAVAILABLE);
}

/* A reader found damage. The file is closed without a checkpoint; opening it again checks it as a whole. */
static void close_damaged(struct store_driver *d)
{
	sqlite3_db_config(d->writer.db.h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite_db_close(&d->writer.db);
	pthread_mutex_lock(&d->lock);
	d->state = SQLITE_STATE_DOWN;
	d->damage_seen = false;
	d->writer.next_try_ms = clock_mono_ms();
	pthread_mutex_unlock(&d->lock);
}

/* --- the thread */

/* Copies the log into the file and gives memory back to the system; then the thread sleeps without a timer. */
static void checkpoint(struct store_driver *d)
{
	sqlite3 *h = d->writer.db.h;
	sqlite3_busy_timeout(h, 0);
	int rc = sqlite3_wal_checkpoint_v2(h, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(h, 5000);
	sqlite3_db_release_memory(h);
	d->writer.log_grown = rc == SQLITE_BUSY; /* a reader still used it */
}

enum action { COMMIT_BATCH, FAIL_WAITING, OPEN_FILE, CLOSE_DAMAGED, PROBE, CHECKPOINT, RETURN };

/* Sleeps until there is something to do. */
static enum action next_action(struct store_driver *d)
{
	enum action a = RETURN;
	bool open = d->writer.db.h != NULL;
	pthread_mutex_lock(&d->lock);
	for (;;) {
		bool asked = !list_empty(&d->writes) || (!open && !list_empty(&d->reads));
		bool retry = !open && d->state != SQLITE_STATE_FINAL && !d->closing;
		int64_t ms = retry ? MAX(d->writer.next_try_ms - clock_mono_ms(), 0) : -1;
		if (open && (d->failing || d->writer.log_grown))
			ms = d->failing ? RETRY_MS : IDLE_MS;
		if (retry && !ms) {
			a = OPEN_FILE;
			break;
		}
		if (open && d->damage_seen) {
			a = CLOSE_DAMAGED;
			break;
		}
		if (asked || d->closing) {
			a = asked ? open ? COMMIT_BATCH : FAIL_WAITING : RETURN;
			break;
		}
		bool woken = ms < 0 ? pthread_cond_wait(&d->work, &d->lock) == 0 : wait_ms(d, ms);
		if (!woken && open && list_empty(&d->writes) && !d->closing) {
			a = d->failing ? PROBE : CHECKPOINT;
			break;
		}
	}
	pthread_mutex_unlock(&d->lock);
	return a;
}

static void *writer_main(void *arg)
{
	struct store_driver *d = arg;
	enum action a = OPEN_FILE;
	for (; a != RETURN; a = next_action(d)) {
		if (a == COMMIT_BATCH)
			sqlite_commit_batch(d);
		else if (a == FAIL_WAITING)
			sqlite_fail_waiting(d, -ERR_UNAVAILABLE);
		else if (a == OPEN_FILE)
			open_file(d);
		else if (a == CLOSE_DAMAGED)
			close_damaged(d);
		else if (a == PROBE)
			sqlite_commit_probe(d);
		else
			checkpoint(d);
	}
	return NULL;
}

int sqlite_writer_start(struct store_driver *d)
{
	return thread_start(&d->writer.thread, "store-write", SQLITE_STACK_BYTES, writer_main, d);
}

void sqlite_writer_join(struct store_driver *d)
{
	pthread_join(d->writer.thread, NULL);
}
