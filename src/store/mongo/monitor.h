/*
 * monitor: a thread that knows whether MongoDB can be reached. Floor F3. It prepares the database when the server is reached
 * (mongo/schema.c), pings it while it is up, and looks for it while it is down. It is also a circuit breaker: when a request finds the server
 * unreachable, all further requests are refused at once until the monitor reaches it again, so that no caller waits for a timeout.
 * Not for: requests (mongo/jobs.c).
 */
#ifndef STORE_MONGO_MONITOR_H
#define STORE_MONGO_MONITOR_H

#include <pthread.h>

#include "store/driver.h"
#include "store/mongo/fault.h"

enum mongo_state {
	MONGO_OPENING, /* the first attempt is not over */
	MONGO_UP,
	MONGO_DOWN,
	MONGO_FINAL, /* not tried again: a newer schema, or another program's database */
};

struct mongo_monitor {
	/* set by the owner before the start */
	struct store *store;
	mongoc_client_pool_t *clients;
	const char *database;
	unsigned min_clients; /* connected before the store counts as open */
	/* the monitor's */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum mongo_state state;
	bool closing, opened;
};

void mongo_monitor_init(struct mongo_monitor *m); /* before there is another thread */
int mongo_monitor_start(struct mongo_monitor *m); /* 0, or an errno with nothing started */
void mongo_monitor_stop(struct mongo_monitor *m); /* ends the thread; blocks for that. Its state can still be asked for */
void mongo_monitor_done(struct mongo_monitor *m); /* after it was stopped, and no thread uses it */

/* Any thread. Waits while the state is MONGO_OPENING, unless it is being stopped. */
enum mongo_state mongo_monitor_state(struct mongo_monitor *m);
/* Any thread: a request found the server unreachable. */
void mongo_monitor_unreachable(struct mongo_monitor *m, const struct mongo_fault *f);

#endif
