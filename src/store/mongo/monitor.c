#include "store/mongo/monitor.h"

#include <time.h>

#include "store/mongo/db.h"
#include "store/mongo/schema.h"
#include "sys/thread.h"

#define RETRY_MS 500  /* between attempts to reach a server that is down */
#define PING_MS 2000 /* so that a failure is noticed though no request is made */

void mongo_monitor_init(struct mongo_monitor *m)
{
	pthread_condattr_t attr;
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->changed, &attr);
	pthread_condattr_destroy(&attr);
}

void mongo_monitor_done(struct mongo_monitor *m)
{
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
}

enum mongo_state mongo_monitor_state(struct mongo_monitor *m)
{
	pthread_mutex_lock(&m->lock);
	while (m->state == MONGO_OPENING && !m->closing)
		pthread_cond_wait(&m->changed, &m->lock);
	enum mongo_state s = m->state;
	pthread_mutex_unlock(&m->lock);
	return s;
}

void mongo_monitor_unreachable(struct mongo_monitor *m, const struct mongo_fault *f)
{
	pthread_mutex_lock(&m->lock);
	bool first = m->state == MONGO_UP;
	if (first)
		m->state = MONGO_DOWN;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
	if (first)
		store_driver_report(m->store, -ERR_UNAVAILABLE, f->why, false);
}

/* --- the thread */

/* With the lock held. False: the time is over. */
static bool wait_ms(struct mongo_monitor *m, int64_t ms)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += ms % 1000 * 1000000;
	ts.tv_sec += ms / 1000 + ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return pthread_cond_timedwait(&m->changed, &m->lock, &ts) == 0;
}

static bool ping(struct mongo_monitor *m, mongoc_client_t *c, struct mongo_fault *ret)
{
	bson_t *command = BCON_NEW("ping", BCON_INT32(1)), reply;
	bool ok = mongo_command(c, m->database, command, &reply, ret);
	bson_destroy(&reply);
	bson_destroy(command);
	return ok;
}

/* Connects min_clients before the first request needs one. */
static void connect_clients(struct mongo_monitor *m)
{
	mongoc_client_t *held[64];
	unsigned n = 0;
	bson_t *command = BCON_NEW("ping", BCON_INT32(1));
	for (; n < MIN(m->min_clients, ARRAY_LEN(held)) && (held[n] = mongoc_client_pool_try_pop(m->clients)); n++)
		mongoc_client_command_simple(held[n], m->database, command, NULL, NULL, NULL);
	while (n)
		mongoc_client_pool_push(m->clients, held[--n]);
	bson_destroy(command);
}

/* One attempt to reach the server and to prepare the database; reports the outcome. */
static void try_open(struct mongo_monitor *m, mongoc_client_t *c)
{
	struct mongo_fault f = { 0 };
	int err = ping(m, c, &f) ? mongo_schema(c, m->database, &m->closing, &f) : f.err;
	bool opening = !m->opened;
	if (!err && opening)
		connect_clients(m);
	pthread_mutex_lock(&m->lock);
	m->state = !err ? MONGO_UP : err == -ERR_INVALID ? MONGO_FINAL : MONGO_DOWN;
	m->opened |= !err;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
	store_driver_report(m->store, err, f.why, opening || err == -ERR_INVALID);
}

/* With the lock held, which is released meanwhile. Takes a client from the pool: a client of the monitor's own would not try again for five
 * seconds after a connection failed, while the pool's threads see a server come back within half a second. */
static void check_server(struct mongo_monitor *m)
{
	struct mongo_fault f = { 0 };
	bool up = m->state == MONGO_UP;
	pthread_mutex_unlock(&m->lock);
	mongoc_client_t *c = mongoc_client_pool_pop(m->clients); /* it has one more than there are workers */
	if (c && !up)
		try_open(m, c);
	else if (c && !ping(m, c, &f) && f.down)
		mongo_monitor_unreachable(m, &f);
	if (c)
		mongoc_client_pool_push(m->clients, c);
	pthread_mutex_lock(&m->lock);
}

static void *monitor_main(void *arg)
{
	struct mongo_monitor *m = arg;
	pthread_mutex_lock(&m->lock);
	while (!m->closing) {
		if (m->state == MONGO_FINAL)
			pthread_cond_wait(&m->changed, &m->lock);
		else if (m->state != MONGO_UP || !wait_ms(m, PING_MS))
			check_server(m);
		if (m->state == MONGO_DOWN && !m->closing)
			wait_ms(m, RETRY_MS);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

int mongo_monitor_start(struct mongo_monitor *m)
{
	return thread_start(&m->thread, "store-monitor", 0, monitor_main, m);
}

void mongo_monitor_stop(struct mongo_monitor *m)
{
	pthread_mutex_lock(&m->lock);
	__atomic_store_n(&m->closing, true, __ATOMIC_RELAXED); /* mongo_schema reads it without the lock */
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
	pthread_join(m->thread, NULL);
}
