/*
 * driver: MongoDB as the front sees it (store/driver.h), and the entry of the module (mongo/module.h). Floor F3, loop thread; only closing
 * blocks. A pool of threads serves requests (mongo/jobs.c), one more thread monitors the server (mongo/monitor.c). Other processes write
 * to the same database, so that nothing is cached.
 */
#include <stdio.h>

#include "store/mongo/jobs.h"
#include "store/mongo/library.h"
#include "store/mongo/module.h"
#include "store/mongo/monitor.h"

#define DEFAULT_DATABASE "lucid_rdp"

struct store_driver {
	mongoc_uri_t *uri;
	mongoc_client_pool_t *clients;
	char *database;
	struct mongo_monitor monitor;
	struct mongo_jobs jobs;
};

static void submit(struct store_driver *d, struct store_request *r)
{
	mongo_jobs_submit(&d->jobs, r);
}

static void mongo_driver_close(struct store_driver *d)
{
	mongo_monitor_stop(&d->monitor);
	mongo_jobs_done(&d->jobs);
	mongoc_client_pool_destroy(d->clients);
	mongoc_uri_destroy(d->uri);
	mongo_monitor_done(&d->monitor);
	free(d->database);
	free(d);
}

static struct store_driver *driver_new(mongoc_uri_t *uri)
{
	struct store_driver *d = XNEW(struct store_driver);
	const char *database = mongoc_uri_get_database(uri);
	d->uri = uri;
	d->database = xstrdup(database && *database ? database : DEFAULT_DATABASE);
	d->clients = mongoc_client_pool_new(d->uri);
	mongoc_client_pool_set_error_api(d->clients, MONGOC_ERROR_API_VERSION_2);
	return d;
}

const char store_mongo_version[] = LUCID_VERSION;

struct store *store_mongo_open(struct loop *l, const struct store_options *o, void (*on_open)(int err, const char *why, void *arg), void *arg)
{
	static const struct store_driver_ops ops = { .exclusive = false, .submit = submit, .close = mongo_driver_close };
	mongo_library_init();
	mongoc_uri_t *uri = mongo_library_uri(o);
	if (!uri)
		return NULL;
	struct store_driver *d = driver_new(uri);
	struct store *s = store_new(l, o, &ops, d, on_open, arg);
	d->monitor = (struct mongo_monitor){
		.store = s, .clients = d->clients, .database = d->database, .min_clients = MIN(o->min_clients, o->max_clients),
	};
	mongo_monitor_init(&d->monitor);
	d->jobs = (struct mongo_jobs){
		.store = s, .loop = l, .clients = d->clients, .database = d->database, .monitor = &d->monitor,
	};
	mongo_jobs_init(&d->jobs, o);
	if (mongo_monitor_start(&d->monitor) != 0) {
		fprintf(stderr, "lucid-rdp: cannot start the store's thread; raise the limit on processes\n");
		abort();
	}
	return s;
}
