#include "host/instance/strays.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lucid/str.h"

#define SEEN_MAX 64
#define TOLD_MAX 20

/* Namespaces looked at already: most processes share a few. */
struct look {
	const struct strays *want;
	ino_t own;
	struct {
		ino_t inode;
		bool is;
	} seen[SEEN_MAX];
	size_t n;
};

static bool mounts_name(pid_t pid, const char *id)
{
	char path[40], *line = NULL;
	size_t size = 0;
	snprintf(path, sizeof path, "/proc/%d/mountinfo", pid);
	_cleanup_(xfreep) char *want = xasprintf("/xrdp/servers/%s/", id);
	FILE *f = fopen(path, "re");
	bool found = false;
	while (f && !found && getline(&line, &size, f) > 0)
		found = strstr(line, want) != NULL;
	if (f)
		fclose(f);
	free(line);
	return found;
}

static bool is_stray(pid_t pid, struct look *l)
{
	ino_t inode = ns_inode_of(pid);
	if (!inode || inode == l->own)
		return false;
	if (l->want->inode)
		return inode == l->want->inode;
	for (size_t k = 0; k < l->n; k++)
		if (l->seen[k].inode == inode)
			return l->seen[k].is;
	bool is = mounts_name(pid, l->want->id);
	if (l->n < SEEN_MAX) {
		l->seen[l->n].inode = inode;
		l->seen[l->n++].is = is;
	}
	return is;
}

static bool is_still_stray(pid_t pid, const void *arg)
{
	const struct strays *s = arg;
	struct look l = { .want = s, .own = ns_inode_of(getpid()) };
	return proc_start(pid) && is_stray(pid, &l);
}

/* Calls fn with each; stops when it says false. */
static void each_process(const struct strays *s, bool (*fn)(pid_t pid, void *arg), void *arg)
{
	struct look l = { .want = s, .own = ns_inode_of(getpid()) };
	DIR *d = opendir("/proc");
	struct dirent *e;
	int64_t pid;
	while (d && (e = readdir(d)))
		if (str_int(e->d_name, 2, INT32_MAX, &pid) && is_stray((pid_t)pid, &l) && proc_start((pid_t)pid) && !fn((pid_t)pid, arg))
			break;
	if (d)
		closedir(d);
}

struct found {
	const struct strays *want;
	size_t n;
	struct strbuf pids;
};

static bool kill_one(pid_t pid, void *arg)
{
	struct found *f = arg;
	if (process_signal_if(pid, SIGKILL, is_still_stray, f->want) == 0 && f->n++ < TOLD_MAX)
		strbuf_printf(&f->pids, " %d", pid);
	return true;
}

int strays_kill_run(void *in, int out)
{
	struct found f = { .want = in };
	each_process(in, kill_one, &f);
	dprintf(out, "%zu%s", f.n, f.pids.s ? f.pids.s : "");
	strbuf_done(&f.pids);
	return 0;
}

static bool take_one(pid_t pid, void *arg)
{
	*(pid_t *)arg = pid;
	return false;
}

pid_t strays_find(const struct strays *s)
{
	pid_t pid = 0;
	each_process(s, take_one, &pid);
	return pid;
}
