#include "sys/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/metrics.h"

#define LOOK_MS 1000

static struct {
	struct loop *loop; /* NULL: nothing is watched */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping;
	const char *doing; /* atomic */
	struct loop_task count; /* counted by the loop, when it turns again */
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

/* True while it stands. */
static bool look(bool stood)
{
	int64_t ms = since_beat_ms();
	if (ms <= WATCHDOG_STUCK_MS) {
		if (stood)
			log_warn("watchdog", "the loop turns again");
		return false;
	}
	if (!stood) {
		const char *doing = __atomic_load_n(&g.doing, __ATOMIC_RELAXED);
		loop_post(g.loop, &g.count);
		log_error("watchdog", "the loop has not turned for %lld ms: nothing is answered meanwhile; it was at %s", (long long)ms,
			  doing ? doing : "something that has no name");
	}
	return true;
}

static void *watch(UNUSED void *arg)
{
	bool stood = false;
	pthread_setname_np(pthread_self(), "watchdog");
	pthread_mutex_lock(&g.lock);
	while (!g.stopping) {
		struct timespec until;
		int64_t before_us = clock_mono_us();
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += LOOK_MS / 1000;
		pthread_cond_timedwait(&g.wake, &g.lock, &until);
		/* who was not run for long either saw nothing */
		if (!g.stopping && clock_mono_us() - before_us < 3 * LOOK_MS * 1000)
			stood = look(stood);
	}
	pthread_mutex_unlock(&g.lock);
	return NULL;
}

void watchdog_start(struct loop *l)
{
	sigset_t all, old;
	pthread_condattr_t attr;
	g.loop = l;
	g.stuck = metric_series(metric_family("rdp_loop_stuck_total", METRIC_COUNTER, NULL, "Times that the loop stood for more than 5 s."), NULL);
	g.stopping = false;
	loop_task_init(&g.count, on_count);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g.wake, &attr);
	pthread_condattr_destroy(&attr);
	sigfillset(&all); /* signals belong to the loop thread */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&g.thread, NULL, watch, NULL) != 0) {
		log_warn("watchdog", "there is no thread to watch the loop; a stuck one will not be told");
		g.loop = NULL;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
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
