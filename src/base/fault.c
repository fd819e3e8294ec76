#include "lucid/fault.h"

#ifdef LUCID_TEST

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define MAX_RULES 32
#define LOOK_NS 20000000

struct rule {
	char point[32], when[16];
	long n, seen;
};

static struct {
	pthread_mutex_t lock;
	const char *path;
	int64_t looked_ns;
	struct timespec changed;
	struct rule rules[MAX_RULES];
	size_t nrules;
} g = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void read_rules(void)
{
	FILE *f = fopen(g.path, "re");
	char line[128];
	g.nrules = 0;
	while (f && g.nrules < MAX_RULES && fgets(line, sizeof line, f)) {
		struct rule *r = &g.rules[g.nrules];
		*r = (struct rule){ .n = 0 };
		if (sscanf(line, "%31s %15s %ld", r->point, r->when, &r->n) >= 2)
			g.nrules++;
	}
	if (f)
		fclose(f);
}

/* Called with the lock held. Reads the system's clock, not lucid/clock.h: a shifted clock must not stop this. */
static void reread_rules(void)
{
	struct timespec now;
	struct stat st;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	if (ns - g.looked_ns < LOOK_NS)
		return;
	g.looked_ns = ns;
	if (stat(g.path, &st) < 0)
		st.st_mtim = (struct timespec){ 0, 1 };
	if (st.st_mtim.tv_sec == g.changed.tv_sec && st.st_mtim.tv_nsec == g.changed.tv_nsec)
		return;
	g.changed = st.st_mtim;
	read_rules();
}

/* Runs before any thread exists. A NULL path lets fault_hit return without the lock, which each allocation would take otherwise. */
static void __attribute__((constructor)) find_rules_file(void)
{
	g.path = getenv("LUCID_FAULTS");
}

static struct rule *find_rule(const char *point)
{
	reread_rules();
	for (size_t i = 0; i < g.nrules; i++)
		if (strcmp(g.rules[i].point, point) == 0)
			return &g.rules[i];
	return NULL;
}

static bool due(struct rule *r)
{
	r->seen++;
	if (!strcmp(r->when, "always"))
		return true;
	if (!strcmp(r->when, "once"))
		return r->seen == 1;
	if (!strcmp(r->when, "every"))
		return r->n > 0 && r->seen % r->n == 0;
	return !strcmp(r->when, "after") && r->seen > r->n;
}

bool fault_hit(const char *point)
{
	if (!g.path)
		return false;
	pthread_mutex_lock(&g.lock);
	struct rule *r = find_rule(point);
	bool hit = r && due(r);
	pthread_mutex_unlock(&g.lock);
	return hit;
}

int64_t fault_delay_ms(const char *point)
{
	if (!g.path)
		return 0;
	pthread_mutex_lock(&g.lock);
	struct rule *r = find_rule(point);
	int64_t ms = r && !strcmp(r->when, "delay") ? r->n : 0;
	pthread_mutex_unlock(&g.lock);
	return ms;
}

#else
typedef int fault_is_not_built; /* ISO C forbids an empty translation unit */
#endif
