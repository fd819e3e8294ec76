#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/types.h>

#include "host/instance/instance.h"
#include "host/kernel/proc.h"
#include "host/xrdp_config/programs.h"
#include "host/observe/observed.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/map.h"
#include "lucid/str.h"

/* How much of an environment is read. DISPLAY is near its beginning, because sesman sets it before the variables of the user. */
#define ENVIRON_MAX 8192

static bool has_display(pid_t pid, int display)
{
	char path[40], text[ENVIRON_MAX], want[20];
	snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	size_t len = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[len] = 0;
	int n = snprintf(want, sizeof want, "DISPLAY=:%d", display);
	for (const char *p = text; p < text + len; p += strlen(p) + 1)
		if (strncmp(p, want, (size_t)n) == 0 && (p[n] == 0 || p[n] == '.'))
			return true;
	return false;
}

/* For an instance without groups: every process of the host that is not in a foreign namespace. */
static size_t all_pids(const struct instance *i, pid_t *dst, size_t max)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	size_t n = 0;
	while (dir && n < max && (e = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)e->d_name[0]) ? atoi(e->d_name) : 0;
		if (pid > 0 && (!i->ns_inode || instance_has(i, pid)))
			dst[n++] = pid;
	}
	if (dir)
		closedir(dir);
	return n;
}

size_t daemon_pids(const struct instance *i, pid_t *dst, size_t max)
{
	if (!i->daemons)
		return all_pids(i, dst, max);
	size_t n = MIN(cgroup_pids(i->daemons, dst, max), max);
	return n + MIN(cgroup_pids(i->connections, dst + n, max - n), max - n);
}

/* Moves those of `all` that belong to a desktop to the front of the array and returns their number: its leader and X server, their
 * descendants, and processes with its DISPLAY. */
static size_t desktop_members(pid_t *all, size_t n, int display, pid_t leader, pid_t x_pid)
{
	enum { PASSES = 64 };
	static bool in[DESKTOP_PIDS];
	static size_t parent[DESKTOP_PIDS]; /* n: none of these */
	size_t got = 0;
	n = MIN(n, (size_t)DESKTOP_PIDS);
	for (size_t k = 0; k < n; k++) {
		struct proc_stat s;
		in[k] = all[k] == leader || all[k] == x_pid || has_display(all[k], display);
		parent[k] = n;
		if (!in[k] && proc_stat(all[k], &s))
			for (parent[k] = 0; parent[k] < n && all[parent[k]] != s.ppid;)
				parent[k]++;
	}
	/* parents usually precede their children, so one or two passes suffice; the bound is for processes that fork a long chain */
	bool more = true;
	for (int pass = 0; more && pass < PASSES; pass++) {
		more = false;
		for (size_t k = 0; k < n; k++)
			if (!in[k] && parent[k] < n && in[parent[k]])
				in[k] = more = true;
	}
	for (size_t k = 0; k < n; k++) {
		if (!in[k])
			continue;
		pid_t take = all[k];
		all[k] = all[got];
		all[got++] = take;
	}
	return got;
}

/* Without groups, a process that left its parents and dropped DISPLAY is found by its account, if that has no other desktop on this
 * instance. */
static bool is_alone(const struct desktop *d)
{
	const struct desktop *other;
	if (!d->instance->ns_inode || d->uid == (uid_t)-1 || d->uid == 0 || d->uid == d->instance->uid)
		return false;
	LIST_FOREACH (other, &d->instance->observed->desktops, node)
		if (other != d && other->uid == d->uid)
			return false;
	return true;
}

size_t desktop_pids(const struct desktop *d, pid_t *dst, size_t max)
{
	if (d->cgroup)
		return cgroup_pids(d->cgroup, dst, max);
	size_t all = all_pids(d->instance, dst, max), n = desktop_members(dst, all, d->display, d->leader, d->x_pid);
	for (size_t k = n; k < all && is_alone(d); k++) {
		uid_t uid;
		if (!proc_uid(dst[k], &uid, NULL) || uid != d->uid)
			continue;
		pid_t take = dst[k];
		dst[k] = dst[n];
		dst[n++] = take;
	}
	return n;
}

bool desktop_alive(const struct desktop *d)
{
	return (d->leader && proc_alive(d->leader, d->leader_start)) || (d->x_pid && proc_alive(d->x_pid, d->x_start));
}

static bool is_x_of(pid_t pid, int *ret_display, bool *ret_vnc)
{
	char args[2048];
	size_t len = proc_cmdline(pid, args, sizeof args);
	return len && proc_is_x_server(args, len, ret_display, ret_vnc);
}

static void desktop_set_x(struct desktop *d, pid_t pid, bool vnc)
{
	struct proc_stat s;
	if (!proc_stat(pid, &s) || !proc_uid(pid, &d->uid, &d->gid))
		return;
	d->x_pid = pid;
	d->x_start = s.start_ticks;
	d->vnc = vnc;
}

void desktop_find_x(struct desktop *d)
{
	static pid_t pids[DESKTOP_PIDS];
	size_t n = MIN(desktop_pids(d, pids, DESKTOP_PIDS), (size_t)DESKTOP_PIDS);
	int display;
	bool vnc;
	for (size_t k = 0; k < n; k++) {
		if (is_x_of(pids[k], &display, &vnc) && display == d->display) {
			desktop_set_x(d, pids[k], vnc);
			return;
		}
	}
}

/* The leader is the parent of the X server: a fork of sesman, or xrdp-sesexec from 0.10 on. If it was killed, there is none. */
static pid_t leader_of_x(pid_t x_pid, struct proc_stat *ret)
{
	struct proc_stat x;
	if (!proc_stat(x_pid, &x) || !proc_stat(x.ppid, ret) || !program_is_sesman(ret->comm))
		return 0;
	return ret->pid;
}

void desktop_find_leader(struct desktop *d)
{
	struct proc_stat leader;
	d->leader = d->x_pid ? leader_of_x(d->x_pid, &leader) : 0;
	d->leader_start = d->leader ? leader.start_ticks : 0;
}

static void desktop_adopt(struct instance *i, int display, pid_t x_pid, bool vnc, pid_t *all, size_t n)
{
	struct proc_stat leader = { 0 };
	struct desktop *d = desktop_new(i, display);
	d->leader = leader_of_x(x_pid, &leader);
	d->leader_start = d->leader ? leader.start_ticks : 0;
	desktop_set_x(d, x_pid, vnc);
	d->started_ms = proc_start_wall_ms(d->x_start);
	size_t got = d->cgroup ? desktop_members(all, n, display, d->leader, x_pid) : 0;
	for (size_t k = 0; k < got; k++)
		cgroup_attach(d->cgroup, all[k]);
	log_info("host", "found desktop :%d of server %s, which the PAM hook had not announced; %zu processes", display, i->id, got);
}

/* Moves processes of a known desktop that were forked while it was moved to its group. */
static void desktop_gather(struct desktop *d, pid_t *all, size_t n)
{
	size_t got = d->cgroup ? desktop_members(all, n, d->display, d->leader, d->x_pid) : 0;
	for (size_t k = 0; k < got; k++)
		cgroup_attach(d->cgroup, all[k]);
}

/* A desktop of the host's sesman belongs to the instance whose connection showed it first. All others are not ours. */
static bool desktop_is_of(struct instance *i, int display)
{
	struct instance *other;
	if (!i->shared)
		return instance_of_display(i->host, display) == i;
	INSTANCE_FOREACH(other, i->host)
		if (other != i && other->observed && desktop_find(other, display))
			return false;
	return desktop_find(i, display) || connection_of_display(i, display);
}

static bool shows_unknown(struct instance *i)
{
	struct connection *c;
	LIST_FOREACH (c, &i->observed->connections, node)
		if (c->display && !desktop_find(i, c->display))
			return true;
	return false;
}

void desktops_catch_up(struct instance *i)
{
	static pid_t pids[DESKTOP_PIDS];
	i->observed->daemons_changed |= i->shared; /* its desktops are found through its connections */
	if (i->shared && !shows_unknown(i))
		return;
	size_t n = i->shared ? all_pids(i, pids, DESKTOP_PIDS) : daemon_pids(i, pids, DESKTOP_PIDS);
	uint64_t print = map_hash(pids, n * sizeof *pids);
	int display;
	bool vnc;
	i->observed->daemons_changed |= print != i->observed->daemons_hash;
	i->observed->daemons_hash = print;
	if (!i->shared && print == i->observed->pids_hash)
		return;
	i->observed->pids_hash = print;
	for (size_t k = 0; k < n; k++) {
		if (pids[k] == i->xrdp.pid || pids[k] == i->sesman.pid || !is_x_of(pids[k], &display, &vnc))
			continue;
		if (!desktop_is_of(i, display))
			continue;
		struct desktop *d = desktop_find(i, display);
		static pid_t copy[DESKTOP_PIDS];
		memcpy(copy, pids, n * sizeof *pids);
		if (d)
			desktop_gather(d, copy, n);
		else
			desktop_adopt(i, display, pids[k], vnc, copy, n);
		i->observed->pids_hash = 0; /* check again: some may have forked meanwhile */
	}
}
