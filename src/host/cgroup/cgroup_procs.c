#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/cgroup/cgroup.h"
#include "host/cgroup/cgroup_fs.h"
#include "host/cgroup/cgroup_internal.h"
#include "sys/child/process.h"

/* The processes of a group: attach, list, kill; and the removal of an empty group. */

int cgroup_attach(struct cgroup *c, pid_t pid)
{
	char text[16], path[4096];
	int done = 0, err = ENOENT;
	int len = snprintf(text, sizeof text, "%d", pid);
	/* also called between fork and exec, so it does not allocate */
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

/* The hierarchy that identifies processes, or the first in which the group exists; -1: none. */
static int identity_hierarchy(const struct cgroup *c)
{
	if (!c || c->of->n == 0)
		return -1;
	if (c->dir[c->of->identity])
		return (int)c->of->identity;
	for (size_t n = 0; n < c->of->n; n++)
		if (c->dir[n])
			return (int)n;
	return -1;
}

static const char *identity_dir(const struct cgroup *c)
{
	int n = identity_hierarchy(c);
	return n < 0 ? NULL : c->dir[n];
}

/* Only of the identity hierarchy, because the path is compared with paths of that one. */
const char *cgroup_path(const struct cgroup *c)
{
	int n = identity_hierarchy(c);
	return n >= 0 && (size_t)n == c->of->identity ? hierarchy_path(&c->of->h[n], c->dir[n]) : "";
}

/* Saves an opendir of each leaf once a second: a directory of cgroupfs has two links, and one more for each group below it. */
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

#define DEPTH 8 /* desktops may make nested groups of their own; deeper ones are ignored */

bool cgroup_dir_has_pids(const char *dir)
{
	return pids_below(dir, NULL, 0, DEPTH) > 0;
}

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
	return cgroup_dir_has_pids(dir);
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

static bool group_has_pid(pid_t pid, const void *cgroup)
{
	const struct cgroup *c = cgroup;
	char path[40], line[4200];
	const char *want = identity_dir(c);
	int n = identity_hierarchy(c);
	want = n < 0 ? "" : hierarchy_path(&c->of->h[n], want);
	size_t len = strlen(want);
	snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	FILE *f = fopen(path, "re");
	bool found = false;
	while (f && !found && fgets(line, sizeof line, f)) {
		const char *p = strchr(line, '/');
		found = p && len && strncmp(p, want, len) == 0 && (p[len] == '/' || p[len] == '\n');
	}
	if (f)
		fclose(f);
	return found;
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
			process_signal_if(pids[n], SIGKILL, group_has_pid, c);
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
