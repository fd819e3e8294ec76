/*
 * jobs: requests on their way to MongoDB. Floor F3, loop thread. Each becomes a job of a thread pool, in the order that writes of one
 * document need (mongo/order.h). Each thread of the pool has a client from its first request to its end; threads that were idle for a
 * while end, and their connections with them.
 * Not for: what a request asks of the database (mongo/db.h).
 */
#ifndef STORE_MONGO_JOBS_H
#define STORE_MONGO_JOBS_H

#include "lucid/pool.h"
#include "store/mongo/monitor.h"
#include "store/mongo/order.h"

struct mongo_jobs {
	/* set by the owner before init */
	struct store *store;
	struct loop *loop;
	mongoc_client_pool_t *clients;
	const char *database;
	struct mongo_monitor *monitor;
	/* its own */
	struct pool *pool;
	struct mongo_order *order;
	struct list jobs;
};

void mongo_jobs_init(struct mongo_jobs *js, const struct store_options *o);
void mongo_jobs_submit(struct mongo_jobs *js, struct store_request *r); /* does not block */
/* Runs what the pool has, and fails the rest; blocks for that. With a stopped monitor. */
void mongo_jobs_done(struct mongo_jobs *js);

#endif
