#include "supervisor/reaper.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRACE_MS 1000
#define MAX_CHILDREN 8192

struct reaper {
	struct loop_timer *timer;
	void (*on_exit)(int pid, int status, void *arg);
	void *arg;
	int *seen; /* zombies at the last look: whoever owns one has had GRACE_MS to wait for it */
	size_t nseen;
};

static bool is_zombie(int pid)
{
	char path[64], line[512];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	size_t n = fread(line, 1, sizeof line - 1, f);
	fclose(f);
	line[n] = 0;
	const char *paren = strrchr(line, ')');
	return paren && paren[1] == ' ' && paren[2] == 'Z';
}

static size_t zombies(int *ret, size_t max)
{
	size_t n = 0;
	int pid;
	FILE *f = fopen("/proc/thread-self/children", "re");
	while (f && n < max && fscanf(f, "%d", &pid) == 1)
		if (is_zombie(pid))
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

static void on_timer(void *arg)
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
	r->timer = loop_timer_new(l, on_timer, r);
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
