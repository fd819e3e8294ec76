#include "host/kernel/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/kernel/fs.h"
#include "host/kernel/proc.h"
#include "host/observe/observe.h"
#include "host/observe/observed.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"
#include "sys/files.h"

#define TABLE "/proc/self/mountinfo"
#define TABLE_MAX (4 * 1024 * 1024)
#define JOB_MS 4000
#define SPACES_MAX 4096 /* namespaces */
#define BRING_MAX 256	/* mounts, in one pass */

struct mounts {
	struct host *host;
	int fd; /* of the mount table: POLLPRI reports a change */
	struct job *job;
	char *was, *now; /* the table at the previous pass and at this one */
	bool due;
};

struct mounts *mounts_new(struct host *h)
{
	struct mounts *m = XNEW(struct mounts);
	m->host = h;
	m->fd = h->can_isolate ? open(TABLE, O_RDONLY | O_CLOEXEC) : -1;
	m->due = m->fd >= 0; /* the table may have changed while no supervisor ran */
	return m;
}

void mounts_free(struct mounts *m)
{
	if (!m)
		return;
	job_cancel(m->job);
	fd_close(&m->fd);
	free(m->was);
	free(m->now);
	free(m);
}

/* --- one line of the table: "36 35 98:0 /root /where rw,noatime shared:1 - ext3 /dev/root rw" */

struct line {
	char *dev, *root, *where, *type;
};

/* Splits off one line; false at the end of the text or for a malformed line. Keeps escapes (\040), because tables are compared with each
 * other. */
static bool next_line(char **text, struct line *ret)
{
	char *line = strsep(text, "\n"), *field[5];
	for (size_t n = 0; n < ARRAY_LEN(field); n++)
		if (!line || !(field[n] = strsep(&line, " ")))
			return false;
	char *type = line ? strstr(line, "- ") : NULL;
	*ret = (struct line){ field[2], field[3], field[4], type ? type + 2 : NULL };
	if (type)
		type[2 + strcspn(type + 2, " ")] = 0;
	return type != NULL;
}

static bool holds(const char *table, const struct line *l)
{
	_cleanup_(xfreep) char *copy = xstrdup(table ? table : "");
	char *rest = copy;
	struct line other;
	while (rest && *rest)
		if (next_line(&rest, &other) && str_eq(other.where, l->where) && str_eq(other.dev, l->dev) && str_eq(other.root, l->root))
			return true;
	return false;
}

static bool below(const char *path, const char *dir)
{
	size_t len = strlen(dir);
	return strncmp(path, dir, len) == 0 && (!path[len] || path[len] == '/');
}

/* Whether the mount is to be visible in the namespaces: not a kernel file system, nor one that each namespace has of its own. */
static bool concerns(const struct host *h, const struct line *l)
{
	static const char *const not_these[] = { "/proc", "/sys", "/dev", "/run", "/tmp", "/etc/xrdp", "/etc/pam.d" };
	for (size_t n = 0; n < ARRAY_LEN(not_these); n++)
		if (below(l->where, not_these[n]))
			return false;
	return !below(l->where, h->set.data_dir) && !below(l->where, h->set.runtime_dir) && !below(l->where, h->set.log_dir) &&
	       !str_eq(l->type, "autofs") && !str_eq(l->type, "nsfs") && !str_eq(l->where, "/");
}

static void unescape(char *s)
{
	char *to = s;
	for (; *s; s++) {
		unsigned c;
		if (*s == '\\' && sscanf(s + 1, "%3o", &c) == 1) {
			*to++ = (char)c;
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

/* --- the job */

struct work {
	const struct host *host;
	const char *was, *now;
	pid_t pids[SPACES_MAX]; /* one process for each namespace */
	size_t n;
};

struct bring {
	int fd; /* a copy of the mount; -1: it was unmounted */
	char *where;
};

static size_t collect(const struct work *w, const char *theirs, struct bring *ret)
{
	size_t n = 0;
	struct line l;
	_cleanup_(xfreep) char *now = xstrdup(w->now), *was = xstrdup(w->was ? w->was : "");
	char *rest = was;
	while (rest && *rest && n < BRING_MAX)
		if (next_line(&rest, &l) && concerns(w->host, &l) && !holds(w->now, &l) && holds(theirs, &l)) {
			unescape(l.where);
			ret[n++] = (struct bring){ -1, xstrdup(l.where) };
		}
	rest = now;
	while (rest && *rest && n < BRING_MAX) {
		if (!next_line(&rest, &l) || !concerns(w->host, &l) || holds(theirs, &l))
			continue;
		unescape(l.where);
		int fd = (int)syscall(SYS_open_tree, AT_FDCWD, l.where, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT);
		if (fd >= 0)
			ret[n++] = (struct bring){ fd, xstrdup(l.where) };
	}
	return n;
}

/* Attached as a slave: later mounts below it propagate from the host, nothing propagates back. */
static int attach(const struct bring *b)
{
	if (syscall(SYS_move_mount, b->fd, "", AT_FDCWD, b->where, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return mount(NULL, b->where, NULL, MS_SLAVE, NULL) < 0 ? -errno : 0;
}

static void bring_to(const struct work *w, pid_t pid, int own_ns, int out)
{
	char path[64];
	struct bring list[BRING_MAX];
	snprintf(path, sizeof path, "/proc/%d/mountinfo", pid);
	_cleanup_(xfreep) char *theirs = file_read(path, TABLE_MAX, NULL);
	_cleanup_(closep) int ns = ns_open(pid);
	size_t n = theirs && ns >= 0 ? collect(w, theirs, list) : 0;
	if (n && ns_enter(ns) == 0) {
		for (size_t k = 0; k < n; k++) {
			int r = list[k].fd >= 0 ? attach(&list[k]) : umount2(list[k].where, MNT_DETACH) < 0 ? -errno : 0;
			if (r < 0 && r != -ENOENT && r != -EINVAL)
				dprintf(out, "%s: %s\n", list[k].where, strerror(-r));
		}
		if (ns_enter(own_ns) < 0)
			_exit(3);
	}
	for (size_t k = 0; k < n; k++) {
		fd_close(&list[k].fd);
		free(list[k].where);
	}
}

static int work_run(void *arg, int out)
{
	const struct work *w = arg;
	int own = ns_open(getpid());
	for (size_t n = 0; n < w->n && own >= 0; n++)
		bring_to(w, w->pids[n], own, out);
	return own < 0;
}

static void on_mounts_job(void *arg, int code, const char *text, size_t len)
{
	struct mounts *m = arg;
	m->job = NULL;
	if (code != 0 || len)
		log_error("host", "some mounts of the host made since servers started are not visible in all of them%s%.*s; restart those servers when "
			  "they have no desktops", len ? ": " : "", (int)MIN(strcspn(text, "\n"), len), text);
	free(m->was);
	m->was = TAKE_PTR(m->now);
	hook_release(m->host);
}

/* --- the table is watched */

static void add(struct work *w, ino_t *seen, pid_t pid)
{
	ino_t inode = pid > 0 ? ns_inode_of(pid) : 0;
	if (!inode || w->n == SPACES_MAX)
		return;
	for (size_t n = 0; n < w->n; n++)
		if (seen[n] == inode)
			return;
	seen[w->n] = inode;
	w->pids[w->n++] = pid;
}

static void spaces(struct host *h, struct work *w)
{
	_cleanup_(xfreep) ino_t *seen = xcalloc(SPACES_MAX, sizeof *seen);
	struct instance *i;
	struct desktop *d;
	ino_t own = ns_inode_of(getpid());
	INSTANCE_FOREACH(i, h) {
		if (i->shared || !i->ns_inode || i->ns_inode == own)
			continue;
		add(w, seen, i->sesman.pid ? i->sesman.pid : i->xrdp.pid);
		if (i->observed)
			LIST_FOREACH (d, &i->observed->desktops, node) {
				add(w, seen, d->leader);
				add(w, seen, d->x_pid);
			}
	}
}

static bool changed(struct mounts *m)
{
	struct pollfd p = { .fd = m->fd, .events = POLLPRI };
	return m->fd >= 0 && poll(&p, 1, 0) == 1 && p.revents & (POLLPRI | POLLERR);
}

static void mounts_check(struct mounts *m)
{
	m->due |= changed(m);
	if (!m->due || m->job)
		return;
	char *now = file_read(TABLE, TABLE_MAX, NULL);
	struct work *w = XNEW(struct work);
	*w = (struct work){ .host = m->host, .was = m->was, .now = now };
	spaces(m->host, w);
	m->due = false;
	m->now = now;
	if (now && w->n)
		m->job = job_start(m->host->children, work_run, w, JOB_MS, on_mounts_job, m);
	if (!m->job) {
		m->due = w->n; /* the job could not be started */
		free(m->was);
		m->was = TAKE_PTR(m->now);
	}
	free(w); /* the job has a copy of this memory */
}

void mounts_tick(struct mounts *m)
{
	mounts_check(m);
}

bool mounts_busy(struct mounts *m)
{
	mounts_check(m);
	return m->job;
}
