#include "store/sqlite/reader.h"

#include "store/sqlite/fault.h"
#include "sys/thread.h"

static int run_read(struct sqlite_db *db, struct store_request *r)
{
	int rc = r->kind == STORE_KIND_GET ? sqlite_get(db, r) : sqlite_list(db, r);
	if (rc && db->h && !sqlite3_get_autocommit(db->h))
		sqlite_run(db, &db->rollback, "ROLLBACK");
	return rc;
}

/* The writer wakes, and probes until the store works again. */
static void read_failed(struct store_driver *d, bool damage)
{
	pthread_mutex_lock(&d->lock);
	d->failing = true;
	d->damage_seen |= damage;
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
}

static void serve_read(struct store_driver *d, struct sqlite_db *db, struct store_request *r)
{
	char why[SQLITE_WHY_SIZE];
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
	read_failed(d, sqlite_fault_is_damage(rc));
}

static void *reader_main(void *arg)
{
	struct store_driver *d = arg;
	struct sqlite_db db = { .path = d->path };
	unsigned epoch = 0;
	pthread_mutex_lock(&d->lock);
	for (;;) {
		struct list *n = d->state == SQLITE_STATE_UP ? list_take_first(&d->reads) : NULL;
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

bool sqlite_reader_wake(struct store_driver *d)
{
	if (d->waiting_reads > d->idle_readers && d->nreaders < SQLITE_READERS &&
	    thread_start(&d->readers[d->nreaders], "store-read", SQLITE_STACK_BYTES, reader_main, d) == 0)
		d->nreaders++;
	pthread_cond_signal(&d->reads_more);
	return d->nreaders > 0;
}

void sqlite_reader_join(struct store_driver *d)
{
	for (size_t i = 0; i < d->nreaders; i++)
		pthread_join(d->readers[i], NULL);
}
