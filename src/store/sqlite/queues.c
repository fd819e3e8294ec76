#include "store/sqlite/queues.h"

#include <errno.h>
#include <time.h>

void sqlite_queues_init(struct store_driver *d)
{
	pthread_condattr_t attr;
	d->wake_at = 1;
	list_init(&d->writes);
	list_init(&d->reads);
	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->work, &attr);
	pthread_cond_init(&d->reads_more, &attr);
	pthread_condattr_destroy(&attr);
}

void sqlite_queues_done(struct store_driver *d)
{
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->work);
	pthread_cond_destroy(&d->reads_more);
}

bool sqlite_wait_us(struct store_driver *d, pthread_cond_t *c, int64_t us)
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

void sqlite_fail_requests(struct store_driver *d, struct list *requests, int err)
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

void sqlite_fail_waiting(struct store_driver *d, int err)
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
	sqlite_fail_requests(d, &batch, err);
}
