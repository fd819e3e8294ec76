#include "host/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/cgroup_fs.h"
#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/str.h"

struct cgroup {
	struct cgroups *of;
	char *dir[CGROUP_HIERARCHIES]; /* by hierarchy; NULL where there is none */
};

static struct cgroup *cgroup_alloc(struct cgroups *g)
{
	struct cgroup *c = XNEW(struct cgroup);
	c->of = g;
	return c;
}

void cgroup_free(struct cgroup *c)
{
	if (!c)
		return;
	for (size_t n = 0; n < CGROUP_HIERARCHIES; n++)
		free(c->dir[n]);
	free(c);
}

static bool is_empty(const struct cgroup *c)
{
	for (size_t n = 0; n < c->of->n; n++)
		if (c->dir[n])
			return false;
	return true;
}

struct cgroup *cgroup_make(struct cgroups *g, const char *name)
{
	if (!g)
		return NULL;
	struct cgroup *c = cgroup_alloc(g);
	for (size_t n = 0; n < g->n; n++) {
		_cleanup_(xfreep) char *dir = xasprintf("%s/%s", g->h[n].base, name);
		if (!hierarchy_base(&g->h[n]) || (mkdir(dir, 0755) < 0 && errno != EEXIST))
			continue;
		utimensat(AT_FDCWD, dir, NULL, 0); /* for the sweep: somebody wants it, from now on */
		if (g->h[n].v2)
			hierarchy_delegate(&g->h[n], dir);
		c->dir[n] = TAKE_PTR(dir);
	}
	if (!is_empty(c))
		return c;
	cgroup_free(c);
	return NULL;
}

static struct cgroup *sub(struct cgroup *parent, const char *name, bool make)
{
	if (!parent)
		return NULL;
	struct cgroup *c = cgroup_alloc(parent->of);
	for (size_t n = 0; n < c->of->n; n++) {
		if (!parent->dir[n])
			continue;
		_cleanup_(xfreep) char *dir = xasprintf("%s/%s", parent->dir[n], name);
		if (make ? mkdir(dir, 0755) == 0 || errno == EEXIST : access(dir, F_OK) == 0)
			c->dir[n] = TAKE_PTR(dir);
	}
	if (!is_empty(c))
		return c;
	cgroup_free(c);
	return NULL;
}

bool cgroup_there(const struct cgroup *c)
{
	for (size_t n = 0; c && n < c->of->n; n++)
		if (c->dir[n] && access(c->dir[n], F_OK) < 0)
			return false;
	return true;
}

struct cgroup *cgroup_sub(struct cgroup *parent, const char *name)
{
	return sub(parent, name, true);
}

struct cgroup *cgroup_sub_open(struct cgroup *parent, const char *name)
{
	return sub(parent, name, false);
}

json_t *cgroup_record(const struct cgroup *c)
{
	json_t *doc = json_object();
	for (size_t n = 0; c && n < c->of->n; n++)
		if (c->dir[n])
			doc_set_str(doc, c->of->h[n].name, c->dir[n]);
	return doc;
}

struct cgroup *cgroup_reopen(struct cgroups *g, const json_t *record, const char *name)
{
	if (!g)
		return NULL;
	struct cgroup *c = cgroup_alloc(g);
	for (size_t n = 0; n < g->n; n++) {
		_cleanup_(xfreep) char *usual = xasprintf("%s/%s", g->h[n].base, name);
		const char *dir = doc_str(record, g->h[n].name, usual);
		if (str_starts(dir, g->h[n].mount) && !strstr(dir, "/../") && access(dir, F_OK) == 0)
			c->dir[n] = xstrdup(dir);
	}
	if (!is_empty(c))
		return c;
	cgroup_free(c);
	return NULL;
}

/* --- limits */

static bool limit_cpu(const struct hierarchy *h, const char *dir, int64_t pct)
{
	char want[64];
	if (h->v2) {
		if (pct)
			snprintf(want, sizeof want, "%lld 100000", (long long)pct * 1000);
		return cg_write(dir, "cpu.max", pct ? want : "max") && pct && cg_reads(dir, "cpu.max", want);
	}
	snprintf(want, sizeof want, "%lld", pct ? (long long)pct * 1000 : -1LL);
	cg_write(dir, "cpu.cfs_period_us", "100000");
	return cg_write(dir, "cpu.cfs_quota_us", want) && pct && cg_reads(dir, "cpu.cfs_quota_us", want);
}

static bool limit_memory(const struct hierarchy *h, const char *dir, int64_t mb)
{
	char want[64];
	snprintf(want, sizeof want, "%lld", (long long)mb * 1048576);
	if (h->v2) {
		/* without this the hog would go on in swap */
		cg_write(dir, "memory.swap.max", mb ? "0" : "max");
		return cg_write(dir, "memory.max", mb ? want : "max") && mb && cg_reads(dir, "memory.max", want);
	}
	/* memory+swap may never be below memory: lift it first, set it last */
	cg_write(dir, "memory.memsw.limit_in_bytes", "-1");
	bool ok = cg_write(dir, "memory.limit_in_bytes", mb ? want : "-1");
	if (mb)
		cg_write(dir, "memory.memsw.limit_in_bytes", want);
	return ok && mb && cg_reads(dir, "memory.limit_in_bytes", want);
}

static bool limit_tasks(const char *dir, int64_t tasks)
{
	char want[32];
	snprintf(want, sizeof want, "%lld", (long long)tasks);
	return cg_write(dir, "pids.max", tasks ? want : "max") && tasks && cg_reads(dir, "pids.max", want);
}

void cgroup_limit(struct cgroup *c, const struct cgroup_limits *l, struct cgroup_enforced *ret)
{
	*ret = (struct cgroup_enforced){ 0 };
	for (size_t n = 0; c && n < c->of->n; n++) {
		const struct hierarchy *h = &c->of->h[n];
		const char *dir = c->dir[n];
		if (!dir)
			continue;
		if (h->has & CG_CPU)
			ret->cpu |= limit_cpu(h, dir, l->cpu_percent);
		if (h->has & CG_MEMORY)
			ret->memory |= limit_memory(h, dir, l->memory_mb);
		if (h->has & CG_PIDS)
			ret->tasks |= limit_tasks(dir, l->tasks);
	}
}

/* --- processes */

int cgroup_attach(struct cgroup *c, pid_t pid)
{
	char text[16], path[4096];
	int done = 0, err = ENOENT;
	int len = snprintf(text, sizeof text, "%d", pid);
	/* runs between fork and exec too: nothing is allocated here */
	for (size_t n = 0; c && n < c->of->n; n++) {
		if (!c->dir[n] || snprintf(path, sizeof path, "%s/cgroup.procs", c->dir[n]) >= (int)sizeof path)
			continue;
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && write(fd, text, (size_t)len) == len)
			done++;
		else
			err = errno;
		fd_close(&fd);
	}
	return done ? 0 : -err;
}

static const char *identity_dir(const struct cgroup *c)
{
	if (!c || c->of->n == 0)
		return NULL;
	if (c->dir[c->of->identity])
		return c->dir[c->of->identity];
	for (size_t n = 0; n < c->of->n; n++)
		if (c->dir[n])
			return c->dir[n];
	return NULL;
}

const char *cgroup_path(const struct cgroup *c)
{
	const char *dir = identity_dir(c);
	return dir ? hierarchy_path(&c->of->h[c->of->identity], dir) : "";
}

/* Leaves are looked at once a second: a directory of cgroupfs has two links and one for each group below. */
static bool is_leaf(const char *dir)
{
	struct stat st;
	return stat(dir, &st) < 0 || st.st_nlink == 2;
}

static size_t pids_below(const char *dir, pid_t *dst, size_t max, unsigned depth)
{
	_cleanup_(xfreep) char *text = cg_read(dir, "cgroup.procs");
	size_t n = 0;
	for (char *p = text; p && *p;) {
		long pid = strtol(p, &p, 10);
		if (pid > 0 && n++ < max)
			dst[n - 1] = (pid_t)pid;
		while (*p == '\n')
			p++;
	}
	DIR *d = depth && !is_leaf(dir) ? opendir(dir) : NULL;
	struct dirent *e;
	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		_cleanup_(xfreep) char *below = xasprintf("%s/%s", dir, e->d_name);
		n += pids_below(below, dst + MIN(n, max), max - MIN(n, max), depth - 1);
	}
	if (d)
		closedir(d);
	return n;
}

#define DEPTH 8 /* desktops may make groups of their own, not endless ones */

size_t cgroup_pids(const struct cgroup *c, pid_t *dst, size_t max)
{
	const char *dir = identity_dir(c);
	return dir ? pids_below(dir, dst, max, DEPTH) : 0;
}

bool cgroup_populated(const struct cgroup *c)
{
	const char *dir = identity_dir(c);
	if (!dir)
		return false;
	_cleanup_(xfreep) char *events = cg_read(dir, "cgroup.events");
	if (events && strstr(events, "populated "))
		return strstr(events, "populated 1") != NULL;
	return pids_below(dir, NULL, 0, DEPTH) > 0;
}

static void freeze(const struct cgroup *c, bool on)
{
	for (size_t n = 0; n < c->of->n; n++) {
		if (!c->dir[n])
			continue;
		if (c->of->h[n].v2)
			cg_write(c->dir[n], "cgroup.freeze", on ? "1" : "0");
		else if (c->of->h[n].has & CG_FREEZER)
			cg_write(c->dir[n], "freezer.state", on ? "FROZEN" : "THAWED");
	}
}

size_t cgroup_kill(struct cgroup *c)
{
	enum { MAX = 4096, ROUNDS = 4 };
	if (!c)
		return 0;
	_cleanup_(xfreep) pid_t *pids = xcalloc(MAX, sizeof *pids);
	size_t hit = cgroup_pids(c, pids, MAX);
	for (size_t n = 0; n < c->of->n; n++)
		if (c->dir[n] && c->of->h[n].v2 && cg_write(c->dir[n], "cgroup.kill", "1"))
			return hit;
	freeze(c, true);
	for (int round = 0; round < ROUNDS && hit; round++) {
		size_t found = cgroup_pids(c, pids, MAX);
		for (size_t n = 0; n < MIN(found, (size_t)MAX); n++)
			kill(pids[n], SIGKILL);
		if (found <= MAX && round)
			break;
	}
	freeze(c, false);
	return hit;
}

static bool remove_below(const char *dir, unsigned depth)
{
	DIR *d = depth ? opendir(dir) : NULL;
	struct dirent *e;
	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		_cleanup_(xfreep) char *below = xasprintf("%s/%s", dir, e->d_name);
		remove_below(below, depth - 1);
	}
	if (d)
		closedir(d);
	return rmdir(dir) == 0 || errno == ENOENT;
}

bool cgroup_remove(struct cgroup *c)
{
	bool ok = true;
	for (size_t n = 0; c && n < c->of->n; n++)
		if (c->dir[n])
			ok &= remove_below(c->dir[n], DEPTH);
	return ok;
}

/* --- groups that nobody has */

static bool is_unwanted(const struct cgroup *c, int64_t idle_ms)
{
	int64_t now = clock_wall_ms();
	for (size_t n = 0; n < c->of->n; n++) {
		struct stat st;
		if (!c->dir[n])
			continue;
		if (stat(c->dir[n], &st) < 0 || now - (int64_t)st.st_mtime * 1000 < idle_ms ||
		    pids_below(c->dir[n], NULL, 0, DEPTH) > 0)
			return false;
	}
	return true;
}

static bool sweep_one(struct cgroups *g, const char *name, int64_t idle_ms)
{
	struct cgroup *c = cgroup_reopen(g, NULL, name);
	/* should a process come in between, the kernel refuses */
	bool gone = c && is_unwanted(c, idle_ms) && cgroup_remove(c);
	cgroup_free(c);
	return gone;
}

size_t cgroups_sweep(struct cgroups *g, int64_t idle_ms, bool (*kept)(const char *name, void *arg), void *arg)
{
	size_t gone = 0;
	for (size_t n = 0; g && n < g->n; n++) {
		DIR *d = opendir(g->h[n].base);
		struct dirent *e;
		while (d && (e = readdir(d)))
			if (e->d_type == DT_DIR && id_is_uuid(e->d_name) && !kept(e->d_name, arg))
				gone += sweep_one(g, e->d_name, idle_ms);
		if (d)
			closedir(d);
	}
	return gone;
}

void cgroup_usage(const struct cgroup *c, struct cgroup_usage *ret)
{
	*ret = (struct cgroup_usage){ -1, -1, -1 };
	for (size_t n = 0; c && n < c->of->n; n++) {
		const struct hierarchy *h = &c->of->h[n];
		const char *dir = c->dir[n];
		if (!dir)
			continue;
		if (h->has & CG_CPUACCT) {
			int64_t ns = cg_number(dir, "cpuacct.usage", NULL);
			ret->cpu_us = ns < 0 ? ret->cpu_us : ns / 1000;
		} else if (h->v2 && ret->cpu_us < 0) {
			ret->cpu_us = cg_number(dir, "cpu.stat", "usage_usec");
		}
		if (h->has & CG_MEMORY)
			ret->memory_bytes = cg_number(dir, h->v2 ? "memory.current" : "memory.usage_in_bytes", NULL);
		if (h->has & CG_PIDS)
			ret->tasks = cg_number(dir, "pids.current", NULL);
	}
}
