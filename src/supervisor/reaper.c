#include "supervisor/reaper.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/child/process.h"

#define GRACE_MS 1000
#define MAX_CHILDREN 8192

struct reaper {
	struct loop_timer *timer;
	void (*on_exit)(int pid, int status, void *arg);
	void *arg;
	int *seen; /* zombies at the last check: their owners, if any, have had GRACE_MS to wait for them */
	size_t nseen;
};

static size_t zombies(int *ret, size_t max)
{
	size_t n = 0;
	int pid;
	FILE *f = fopen("/proc/thread-self/children", "re");
	while (f && n < max && fscanf(f, "%d", &pid) == 1)
		if (proc_is_zombie(pid))
			ret[n++] = pid;
	if (f)
		fclose(f);
	return n;
}

static bool was_seen(const struct reaper *r, int pid)
{
	for (size_t i = 0; i < r->nseen; i++)
		if (r->seen[i] == pid)
			return true;
	return false;
}

static void on_reaper_timer(void *arg)
{
	struct reaper *r = arg;
	int *now = xcalloc(MAX_CHILDREN, sizeof *now);
	size_t n = zombies(now, MAX_CHILDREN), left = 0;
	for (size_t i = 0; i < n; i++) {
		int status;
		if (!was_seen(r, now[i]))
			now[left++] = now[i];
		else if (waitpid(now[i], &status, WNOHANG) == now[i])
			r->on_exit(now[i], status, r->arg);
	}
	free(r->seen);
	r->seen = now;
	r->nseen = left;
	if (left)
		loop_timer_set(r->timer, GRACE_MS);
}

struct reaper *reaper_new(struct loop *l, void (*on_exit)(int pid, int status, void *arg), void *arg)
{
	if (getpid() != 1)
		return NULL;
	struct reaper *r = XNEW(struct reaper);
	r->on_exit = on_exit;
	r->arg = arg;
	r->timer = loop_timer_new(l, on_reaper_timer, r);
	loop_timer_set(r->timer, GRACE_MS);
	return r;
}

void reaper_wake(struct reaper *r)
{
	if (r && !loop_timer_pending(r->timer))
		loop_timer_set(r->timer, GRACE_MS);
}

void reaper_free(struct reaper *r)
{
	if (!r)
		return;
	loop_timer_free(r->timer);
	free(r->seen);
	free(r);
}
