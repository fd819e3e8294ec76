#include "sys/watchdog.h"

#include <pthread.h>
#include <time.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/metrics.h"
#include "sys/thread.h"

#define LOOK_MS 1000

static struct {
	struct loop *loop; /* NULL: nothing is watched */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping;
	const char *doing; /* atomic */
	struct loop_task count; /* runs on the loop once it resumes, because only the loop may count */
	struct metric *stuck;
} g = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int64_t since_beat_ms(void)
{
	return (clock_mono_us() - loop_beat_us(g.loop)) / 1000;
}

static void on_count(UNUSED struct loop_task *t)
{
	metric_add(g.stuck, 1);
}

/* Returns whether the loop is stalled. */
static bool loop_check(bool stalled)
{
	int64_t ms = since_beat_ms();
	if (ms <= WATCHDOG_STUCK_MS) {
		if (stalled)
			log_warn("watchdog", "the event loop has resumed");
		return false;
	}
	if (!stalled) {
		const char *doing = __atomic_load_n(&g.doing, __ATOMIC_RELAXED);
		loop_post(g.loop, &g.count);
		log_error("watchdog", "event loop stalled for %lld ms in %s; no requests are being served", (long long)ms,
			  doing ? doing : "an unnamed task");
	}
	return true;
}

static void *watch(UNUSED void *arg)
{
	bool stalled = false;
	pthread_mutex_lock(&g.lock);
	while (!g.stopping) {
		struct timespec until;
		int64_t before_us = clock_mono_us();
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += LOOK_MS / 1000;
		pthread_cond_timedwait(&g.wake, &g.lock, &until);
		/* if this thread was not scheduled either, the whole process did not run: that is no stall of the loop */
		if (!g.stopping && clock_mono_us() - before_us < 3 * LOOK_MS * 1000)
			stalled = loop_check(stalled);
	}
	pthread_mutex_unlock(&g.lock);
	return NULL;
}

void watchdog_start(struct loop *l)
{
	pthread_condattr_t attr;
	g.loop = l;
	g.stuck = metric_series(metric_family("rdp_loop_stuck_total", METRIC_COUNTER, NULL, "Stalls of the event loop of more than 5 s, during which no requests were served."), NULL);
	g.stopping = false;
	loop_task_init(&g.count, on_count);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g.wake, &attr);
	pthread_condattr_destroy(&attr);
	if (thread_start(&g.thread, "watchdog", 0, watch, NULL) != 0) {
		log_warn("watchdog", "cannot start the watchdog thread; stalls of the event loop will not be reported");
		g.loop = NULL;
	}
}

void watchdog_stop(void)
{
	if (!g.loop)
		return;
	pthread_mutex_lock(&g.lock);
	g.stopping = true;
	pthread_cond_signal(&g.wake);
	pthread_mutex_unlock(&g.lock);
	pthread_join(g.thread, NULL);
	pthread_cond_destroy(&g.wake);
	loop_unpost(g.loop, &g.count);
	g.loop = NULL;
}

void watchdog_doing(const char *what)
{
	__atomic_store_n(&g.doing, what, __ATOMIC_RELAXED);
}

int64_t watchdog_late_ms(void)
{
	if (!g.loop)
		return 0;
	return MAX(since_beat_ms(), loop_lag_us(g.loop, NULL) / 1000);
}
