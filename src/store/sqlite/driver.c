/*
 * driver: the embedded store as the front sees it (store/driver.h): opens it, queues requests for its threads, closes it. Floor F3, loop
 * thread; only closing blocks. One thread writes (sqlite/writer.c), up to two read (sqlite/reader.c).
 */
#include <stdio.h>

#include "store/sqlite/queues.h"
#include "store/sqlite/reader.h"
#include "store/sqlite/writer.h"

int store_lock(const char *path, int *ret_fd, char *why, size_t size)
{
	return sqlite_lock_try(path, ret_fd, why, size);
}

static void submit(struct store_driver *d, struct store_request *r)
{
	bool no_reader = false;
	pthread_mutex_lock(&d->lock);
	if (r->kind == STORE_KIND_WRITE) {
		list_append(&d->writes, &r->node);
		if (++d->waiting_writes == d->wake_at)
			pthread_cond_signal(&d->work);
	} else {
		list_append(&d->reads, &r->node);
		d->waiting_reads++;
		if (d->state == SQLITE_STATE_UP)
			no_reader = !sqlite_reader_wake(d);
		else
			pthread_cond_signal(&d->work);
	}
	pthread_mutex_unlock(&d->lock);
	if (no_reader)
		sqlite_fail_waiting(d, -ERR_UNAVAILABLE);
}

static void sqlite_driver_close(struct store_driver *d)
{
	pthread_mutex_lock(&d->lock);
	d->closing = true;
	pthread_cond_broadcast(&d->work);
	pthread_cond_broadcast(&d->reads_more);
	pthread_mutex_unlock(&d->lock);
	sqlite_writer_join(d);
	sqlite_reader_join(d);
	/* the last connection copies the log into the file; only then may a successor have the lock */
	sqlite_db_close(&d->writer.db);
	fd_close(&d->writer.lock_fd);
	sqlite_queues_done(d);
	free(d->path);
	free(d->backup_dir);
	free(d);
}

static const struct store_driver_ops ops = { .exclusive = true, .submit = submit, .close = sqlite_driver_close };

struct store *store_open_embedded(struct loop *l, const struct store_options *o,
				  void (*on_open)(int err, const char *why, void *arg), void *arg)
{
	struct store_driver *d = XNEW(struct store_driver);
	d->path = xstrdup(o->path);
	d->backup_dir = o->backup_dir ? xstrdup(o->backup_dir) : NULL;
	d->writer.db.path = d->path;
	d->writer.lock_fd = -1;
	sqlite_queues_init(d);
	d->store = store_new(l, o, &ops, d, on_open, arg);
	if (sqlite_writer_start(d) != 0) {
		fprintf(stderr, "lucid-rdp: cannot start the store's thread; raise the limit on processes\n");
		abort();
	}
	return d->store;
}
