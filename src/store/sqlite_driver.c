/*
 * sqlite_driver: the embedded store's threads. One writes: everything that queued up during the last fsync is the next
 * commit. Up to two read, on connections of their own, started when first asked for. Answers are given back after COMMIT, a
 * batch at once.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/fault.h"
#include "store/backup.h"
#include "store/sqlite_db.h"

#define READERS 2
#define STACK_BYTES (256 * 1024)
#define BATCH_MAX 256		/* write lists in one commit */
#define RETRY_MS 2000		/* between tries to open, or to write again */
#define PREDECESSOR_MS 5000	/* that one which is ending may still hold the lock */
#define LOCK_POLL_MS 50
#define GATHER_MAX_US 2000	/* waiting for more to commit */
#define IDLE_MS 2000		/* until the log is folded into the file */
#define WHY_SIZE 512

enum state { OPENING, UP, DOWN, FINAL };

struct store_driver {
	struct store *store;
	char *path, *backup_dir;
	pthread_t writer, readers[READERS];
	pthread_mutex_t lock;
	pthread_cond_t work, reads_more; /* for the writer; for the readers */
	struct list writes, reads;
	size_t waiting_writes, wake_at; /* the writer is woken when so many wait */
	size_t waiting_reads, nreaders, idle_readers;
	enum state state;
	unsigned epoch; /* of the file: readers open anew when it has changed */
	bool closing, sick, suspect; /* suspect: something in the file was found to be damaged */
	/* the writer's own */
	struct sqlite_db db;
	int lock_fd;
	bool tried, log_grown;
	int64_t next_try_ms, commit_us;
	size_t last_batch;
};

/* --- small things */

static bool wait_us(struct store_driver *d, pthread_cond_t *c, int64_t us)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += us / 1000000;
	ts.tv_nsec += us % 1000000 * 1000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return pthread_cond_timedwait(c, &d->lock, &ts) != ETIMEDOUT;
}

static bool wait_ms(struct store_driver *d, pthread_cond_t *c, int64_t ms)
{
	return wait_us(d, c, ms * 1000);
}

static int start_thread(pthread_t *t, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	pthread_attr_t attr;
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	/* signals belong to the loop */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(t, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

static void fail_all(struct store_driver *d, struct list *requests, int err)
{
	struct list batch, *n;
	list_init(&batch);
	while ((n = list_take_first(requests))) {
		struct store_request *r = CONTAINER_OF(n, struct store_request, node);
		store_request_start(r);
		store_request_fail(r, err);
		list_append(&batch, n);
	}
	store_driver_done(d->store, &batch, 0);
}

/* What waits while there is no store gets its answer at once. */
static void fail_waiting(struct store_driver *d, int err)
{
	struct list batch, *n;
	list_init(&batch);
	pthread_mutex_lock(&d->lock);
	while ((n = list_take_first(&d->writes)))
		list_append(&batch, n);
	while ((n = list_take_first(&d->reads)))
		list_append(&batch, n);
	d->waiting_reads = d->waiting_writes = 0;
	pthread_mutex_unlock(&d->lock);
	fail_all(d, &batch, err);
}

/* --- reading */

static int run_read(struct sqlite_db *db, struct store_request *r)
{
	int rc = r->kind == STORE_KIND_GET ? sqlite_get(db, r) : sqlite_list(db, r);
	if (rc && db->h && !sqlite3_get_autocommit(db->h))
		sqlite_run(db, &db->rollback, "ROLLBACK");
	return rc;
}

static void serve_read(struct store_driver *d, struct sqlite_db *db, struct store_request *r)
{
	char why[WHY_SIZE];
	if (!store_request_start(r))
		return;
	bool opened = db->h != NULL;
	int rc = opened ? SQLITE_OK : sqlite_open_reader(db, d->path);
	if (rc == SQLITE_OK) {
		opened = true;
		rc = run_read(db, r);
	}
	if (rc == SQLITE_OK)
		return;
	store_request_fail(r, sqlite_fault(db, rc, why, sizeof why));
	store_driver_report(d->store, r->err, why, false);
	if (!opened || sqlite_fault_is_lasting(rc))
		sqlite_db_close(db);
	/* the writer finds out when it is well again */
	pthread_mutex_lock(&d->lock);
	d->sick = true;
	d->suspect |= sqlite_fault_is_damage(rc);
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
}

static void *reader_main(void *arg)
{
	struct store_driver *d = arg;
	struct sqlite_db db = { .path = d->path };
	unsigned epoch = 0;
	pthread_setname_np(pthread_self(), "store-read");
	pthread_mutex_lock(&d->lock);
	for (;;) {
		struct list *n = d->state == UP ? list_take_first(&d->reads) : NULL;
		if (!n) {
			if (d->closing)
				break;
			d->idle_readers++;
			pthread_cond_wait(&d->reads_more, &d->lock);
			d->idle_readers--;
			continue;
		}
		d->waiting_reads--;
		bool stale = epoch != d->epoch;
		epoch = d->epoch;
		pthread_mutex_unlock(&d->lock);
		if (stale)
			sqlite_db_close(&db);
		struct list batch;
		list_init(&batch);
		serve_read(d, &db, CONTAINER_OF(n, struct store_request, node));
		list_append(&batch, n);
		store_driver_done(d->store, &batch, 0);
		pthread_mutex_lock(&d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	sqlite_db_close(&db);
	return NULL;
}

/* With the lock held: one reader more while there is more to read than readers at rest. False: there is none at all. */
static bool wake_reader(struct store_driver *d)
{
	if (d->waiting_reads > d->idle_readers && d->nreaders < READERS &&
	    start_thread(&d->readers[d->nreaders], reader_main, d) == 0)
		d->nreaders++;
	pthread_cond_signal(&d->reads_more);
	return d->nreaders > 0;
}

/* --- writing */

/* All or nothing: what a list of several did before one of them failed is undone. */
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

/* Whoever was answered just now is about to ask again, on the loop, while this thread is already here: taking the first of
 * them alone would have the others wait for two commits instead of one. So, after a batch, up to a quarter of what a commit
 * takes is given them; never to a lone writer. */
static void gather(struct store_driver *d)
{
	int64_t until = clock_mono_us() + MIN(d->commit_us / 4, GATHER_MAX_US), left;
	pthread_mutex_lock(&d->lock);
	d->wake_at = d->last_batch;
	while (d->waiting_writes < d->last_batch && !d->closing && (left = until - clock_mono_us()) > 0)
		wait_us(d, &d->work, left);
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
	d->last_batch = i;
}

static void well(struct store_driver *d)
{
	pthread_mutex_lock(&d->lock);
	bool was_sick = d->sick;
	d->sick = false;
	pthread_mutex_unlock(&d->lock);
	if (was_sick)
		store_driver_report(d->store, 0, NULL, false);
}

/* Writing failed. What is open is undone; a connection that cannot go on is closed, to be opened anew. */
static int fall_sick(struct store_driver *d, int rc)
{
	char why[WHY_SIZE];
	int err = sqlite_fault(&d->db, rc, why, sizeof why);
	if (!sqlite3_get_autocommit(d->db.h))
		sqlite_run(&d->db, &d->db.rollback, "ROLLBACK");
	store_driver_report(d->store, err, why, false);
	pthread_mutex_lock(&d->lock);
	d->sick = true;
	if (sqlite_fault_is_lasting(rc))
		d->state = DOWN;
	d->next_try_ms = clock_mono_ms();
	pthread_mutex_unlock(&d->lock);
	if (sqlite_fault_is_damage(rc))
		sqlite3_db_config(d->db.h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (sqlite_fault_is_lasting(rc))
		sqlite_db_close(&d->db);
	return err;
}

static void write_batch(struct store_driver *d)
{
	struct list batch;
	struct store_request *r;
	list_init(&batch);
	gather(d);
	int64_t began_us = clock_mono_us();
	/* begun before they are taken, so that waiting for a lock is still waiting */
	int rc = fault_hit("store.begin") ? SQLITE_FULL : sqlite_run(&d->db, &d->db.begin, "BEGIN IMMEDIATE");
	take_batch(d, &batch);
	if (rc) {
		fail_all(d, &batch, fall_sick(d, rc));
		return;
	}
	LIST_FOREACH(r, &batch, node) {
		if (store_request_start(r))
			rc = run_writes(&d->db, r);
		if (rc)
			break;
	}
	bool at_commit = rc == SQLITE_OK;
	if (fault_delay_ms("store.commit"))
		usleep((useconds_t)fault_delay_ms("store.commit") * 1000);
	if (at_commit)
		rc = fault_hit("store.commit") ? SQLITE_FULL : sqlite_run(&d->db, &d->db.commit, "COMMIT");
	if (rc) {
		/* a commit whose fsync failed may still be found in the log after a crash */
		int err = fall_sick(d, rc);
		if (at_commit && (rc & 0xff) == SQLITE_IOERR)
			err = -ERR_UNCERTAIN;
		LIST_FOREACH(r, &batch, node) {
			store_request_start(r); /* those behind the one that failed were not */
			store_request_fail(r, err);
			r->failed_index = 0;
		}
	} else {
		well(d);
		d->log_grown = true;
		d->commit_us = clock_mono_us() - began_us;
	}
	store_driver_done(d->store, &batch, rc == SQLITE_OK);
}

/* --- the writer's life */

/* The lock on the file beside ours; one try, but the first time a predecessor gets some time to end. */
static int take_lock(struct store_driver *d, bool first, char *why)
{
	int64_t until = clock_mono_ms() + (first ? PREDECESSOR_MS : 0);
	for (;;) {
		int r = sqlite_lock_try(d->path, &d->lock_fd, why, WHY_SIZE);
		if (r != -ERR_BUSY || clock_mono_ms() >= until)
			return r == -ERR_BUSY ? -ERR_UNAVAILABLE : r;
		pthread_mutex_lock(&d->lock);
		if (!d->closing)
			wait_ms(d, &d->work, LOCK_POLL_MS);
		bool closing = d->closing;
		pthread_mutex_unlock(&d->lock);
		if (closing)
			return -ERR_UNAVAILABLE;
	}
}

/* A reader met damage: everything stops, and the file is looked at as a whole. */
static void doubt(struct store_driver *d)
{
	sqlite3_db_config(d->db.h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite_db_close(&d->db);
	pthread_mutex_lock(&d->lock);
	d->state = DOWN;
	d->suspect = false;
	d->next_try_ms = clock_mono_ms();
	pthread_mutex_unlock(&d->lock);
}

static void add_advice(struct store_driver *d, char why[WHY_SIZE])
{
	_cleanup_(xfreep) char *newest = backup_newest(d->backup_dir);
	size_t len = strlen(why);
	if (newest)
		snprintf(why + len, WHY_SIZE - len, " and was left as it is: stop the program, run lucid-rdp restore %s --yes, start again", newest);
	else
		snprintf(why + len, WHY_SIZE - len, " and was left as it is, and there is no backup in %s: stop the program, put back a copy you have, "
			 "or move the file away to begin an empty store", d->backup_dir ? d->backup_dir : "BACKUP_DIR");
}

static void open_file(struct store_driver *d)
{
	char why[WHY_SIZE] = "";
	int r = d->lock_fd >= 0 ? 0 : take_lock(d, !d->tried, why);
	if (r == 0) /* once readers may have the file open, its head is not read past SQLite: that would drop their locks */
		r = sqlite_open_writer(&d->db, d->path, d->epoch == 0, why, sizeof why);
	if (r == SQLITE_DAMAGED)
		add_advice(d, why);
	d->tried = true;
	d->next_try_ms = clock_mono_ms() + RETRY_MS;
	d->log_grown = r == 0;
	if (r >= 0 && d->db.half_checked)
		store_driver_note(d->store, "the file is too big to be looked through at the start, and was only in part; lucid-rdp backup looks through "
					    "the whole of its copy");
	store_driver_report(d->store, r > 0 ? 0 : r == SQLITE_DAMAGED ? -ERR_UNAVAILABLE : r, why, true);
	if (r > 0)
		store_driver_report(d->store, -ERR_UNAVAILABLE, why, false);
	pthread_mutex_lock(&d->lock);
	d->state = r >= 0 ? UP : r == -ERR_INVALID || r == SQLITE_DAMAGED ? FINAL : DOWN;
	d->sick = r > 0;
	d->epoch += r >= 0;
	bool unread = r < 0 || (!list_empty(&d->reads) && !wake_reader(d));
	pthread_cond_broadcast(&d->reads_more);
	pthread_mutex_unlock(&d->lock);
	if (unread)
		fail_waiting(d, -ERR_UNAVAILABLE);
}

/* The log goes back into the file and the memory to the system; then the writer sleeps without a timer. */
static void settle(struct store_driver *d)
{
	sqlite3_busy_timeout(d->db.h, 0);
	int rc = sqlite3_wal_checkpoint_v2(d->db.h, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(d->db.h, 5000);
	sqlite3_db_release_memory(d->db.h);
	d->log_grown = rc == SQLITE_BUSY; /* a reader was in the way */
}

static void probe(struct store_driver *d)
{
	int rc = sqlite_run(&d->db, &d->db.probe, "UPDATE store_probe SET at=max(unixepoch(),at+1)");
	if (rc)
		fall_sick(d, rc);
	else
		well(d);
}

enum action { WRITE, REFUSE, OPEN, DOUBT, PROBE, SETTLE, LEAVE };

/* Sleeps until there is something to do. */
static enum action next_action(struct store_driver *d)
{
	enum action a = LEAVE;
	bool open = d->db.h != NULL;
	pthread_mutex_lock(&d->lock);
	for (;;) {
		bool asked = !list_empty(&d->writes) || (!open && !list_empty(&d->reads));
		bool retry = !open && d->state != FINAL && !d->closing;
		int64_t ms = retry ? MAX(d->next_try_ms - clock_mono_ms(), 0) : -1;
		if (open && (d->sick || d->log_grown))
			ms = d->sick ? RETRY_MS : IDLE_MS;
		if (retry && !ms) {
			a = OPEN;
			break;
		}
		if (open && d->suspect) {
			a = DOUBT;
			break;
		}
		if (asked || d->closing) {
			a = asked ? open ? WRITE : REFUSE : LEAVE;
			break;
		}
		bool woken = ms < 0 ? pthread_cond_wait(&d->work, &d->lock) == 0 : wait_ms(d, &d->work, ms);
		if (!woken && open && list_empty(&d->writes) && !d->closing) {
			a = d->sick ? PROBE : SETTLE;
			break;
		}
	}
	pthread_mutex_unlock(&d->lock);
	return a;
}

static void *writer_main(void *arg)
{
	struct store_driver *d = arg;
	enum action a = OPEN;
	pthread_setname_np(pthread_self(), "store-write");
	for (; a != LEAVE; a = next_action(d)) {
		if (a == WRITE)
			write_batch(d);
		else if (a == REFUSE)
			fail_waiting(d, -ERR_UNAVAILABLE);
		else if (a == OPEN)
			open_file(d);
		else if (a == DOUBT)
			doubt(d);
		else if (a == PROBE)
			probe(d);
		else
			settle(d);
	}
	return NULL;
}

/* --- the driver's face */

int store_lock(const char *path, int *ret_fd, char *why, size_t size)
{
	return sqlite_lock_try(path, ret_fd, why, size);
}

static void submit(struct store_driver *d, struct store_request *r)
{
	bool nobody = false;
	pthread_mutex_lock(&d->lock);
	if (r->kind == STORE_KIND_WRITE) {
		list_append(&d->writes, &r->node);
		if (++d->waiting_writes == d->wake_at)
			pthread_cond_signal(&d->work);
	} else {
		list_append(&d->reads, &r->node);
		d->waiting_reads++;
		if (d->state == UP)
			nobody = !wake_reader(d);
		else
			pthread_cond_signal(&d->work);
	}
	pthread_mutex_unlock(&d->lock);
	if (nobody) /* no thread could be started */
		fail_waiting(d, -ERR_UNAVAILABLE);
}

static void end(struct store_driver *d)
{
	pthread_mutex_lock(&d->lock);
	d->closing = true;
	pthread_cond_broadcast(&d->work);
	pthread_cond_broadcast(&d->reads_more);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->writer, NULL);
	for (size_t i = 0; i < d->nreaders; i++)
		pthread_join(d->readers[i], NULL);
	/* the last connection folds the log into the file; a successor gets the lock after that */
	sqlite_db_close(&d->db);
	fd_close(&d->lock_fd);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->work);
	pthread_cond_destroy(&d->reads_more);
	free(d->path);
	free(d->backup_dir);
	free(d);
}

static const struct store_driver_ops ops = { .exclusive = true, .submit = submit, .close = end };

struct store *store_open_embedded(struct loop *l, const struct store_options *o,
				  void (*on_open)(int err, const char *why, void *arg), void *arg)
{
	struct store_driver *d = XNEW(struct store_driver);
	pthread_condattr_t attr;
	d->path = xstrdup(o->path);
	d->backup_dir = o->backup_dir ? xstrdup(o->backup_dir) : NULL;
	d->db.path = d->path;
	d->lock_fd = -1;
	d->wake_at = 1;
	list_init(&d->writes);
	list_init(&d->reads);
	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->work, &attr);
	pthread_cond_init(&d->reads_more, &attr);
	pthread_condattr_destroy(&attr);
	d->store = store_new(l, o, &ops, d, on_open, arg);
	if (start_thread(&d->writer, writer_main, d) != 0) {
		fprintf(stderr, "lucid-rdp: the store's thread cannot be started; raise the limit on processes\n");
		abort();
	}
	return d->store;
}
