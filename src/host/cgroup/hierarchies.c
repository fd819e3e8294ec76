#include "host/cgroup/hierarchies.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/cgroup/cgroup_fs.h"
#include "host/cgroup/cgroup_internal.h"
#include "lucid/str.h"
#include "sys/files.h"

#define OURS "lucid-rdp"

static const struct {
	const char *name;
	unsigned bit;
} controllers[] = {
	{ "cpu", CG_CPU },   { "cpuacct", CG_CPUACCT }, { "memory", CG_MEMORY },
	{ "pids", CG_PIDS }, { "freezer", CG_FREEZER },
	{ "blkio", CG_IO },  { "io", CG_IO }, /* its names on v1 and v2 */
};

/* Which of the controllers used here are in a list separated by `sep`; *ret_first is the name of the first. */
static unsigned controllers_in(const char *list, char sep, const char **ret_first)
{
	unsigned has = 0;
	for (size_t n = 0; n < ARRAY_LEN(controllers); n++) {
		size_t len = strlen(controllers[n].name);
		for (const char *p = list; p && *p; p = strchr(p, sep), p = p ? p + 1 : NULL) {
			if (strncmp(p, controllers[n].name, len) != 0 ||
			    (p[len] != sep && p[len] != '\0' && p[len] != '\n'))
				continue;
			if (!has && ret_first)
				*ret_first = controllers[n].name;
			has |= controllers[n].bit;
		}
	}
	return has;
}

/* The group of a process in a hierarchy, from the text of /proc/PID/cgroup ("4:memory:/a/b" a line). */
static bool group_in(const struct hierarchy *h, const char *text, char *dst, size_t size)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		const char *list = strchr(line, ':');
		const char *path = list ? strchr(list + 1, ':') : NULL;
		if (!path)
			continue;
		bool is_v2 = path == list + 1 && line[0] == '0';
		char names[128];
		snprintf(names, sizeof names, "%.*s", (int)(path - list - 1), list + 1);
		if (h->v2 ? !is_v2 : is_v2 || !(controllers_in(names, ',', NULL) & h->has))
			continue;
		size_t len = strcspn(path + 1, "\n");
		if (len >= size)
			return false;
		memcpy(dst, path + 1, len);
		dst[len] = '\0';
		return true;
	}
	return false;
}

/* Below our own group if we may divide that; at the top of the hierarchy if a system manager owns the tree, because it does not expect
 * foreign groups inside its services. */
static char *base_of(struct hierarchy *h, const char *own)
{
	const char *below = own;
	if (!str_eq(h->root, "/") && str_starts(own, h->root))
		below += strlen(h->root);
	bool managed = strstr(below, ".slice") || strstr(below, ".service") || strstr(below, ".scope");
	if (str_eq(below, "/") || managed)
		below = "";
	h->own = xasprintf("%s%s", h->mount, below);
	return xasprintf("%s%s/" OURS, h->mount, below);
}

static void add_mount(struct cgroups *g, char *line, const char *self)
{
	/* 31 23 0:26 ROOT MOUNT options [optional …] - TYPE SOURCE OPTIONS */
	char *save = NULL, *word[6] = { 0 };
	char *tail = strstr(line, " - cgroup");
	if (!tail || g->n == CGROUP_HIERARCHIES)
		return;
	*tail = '\0';
	tail += 3;
	for (int n = 0; n < 5; n++)
		word[n] = strtok_r(n ? NULL : line, " ", &save);
	if (!word[4])
		return;
	struct hierarchy *h = &g->h[g->n];
	*h = (struct hierarchy){ .v2 = str_starts(tail, "cgroup2 ") };
	const char *first = "unified";
	char *options = strrchr(tail, ' ');
	if (h->v2) {
		_cleanup_(xfreep) char *have = cg_read(word[4], "cgroup.controllers");
		h->has = have ? controllers_in(have, ' ', NULL) : 0;
	} else {
		h->has = options ? controllers_in(options + 1, ',', &first) : 0;
		if (!h->has)
			return;
	}
	snprintf(h->name, sizeof h->name, "%s", first);
	char own[4096];
	if (!group_in(h, self, own, sizeof own))
		return;
	for (size_t n = 0; n < g->n; n++)
		if (str_eq(g->h[n].name, h->name))
			return;
	h->root = xstrdup(word[3]);
	h->mount = xstrdup(word[4]);
	h->base = base_of(h, own);
	if (h->v2)
		g->identity = g->n;
	g->n++;
}

struct cgroups *cgroups_new(void)
{
	struct cgroups *g = XNEW(struct cgroups);
	_cleanup_(xfreep) char *mounts = file_read("/proc/self/mountinfo", CG_LIST_MAX, NULL), *self = file_read("/proc/self/cgroup", CG_LIST_MAX, NULL);
	char *save = NULL;
	for (char *line = mounts ? strtok_r(mounts, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
		add_mount(g, line, self ? self : "");
	return g;
}

void cgroups_free(struct cgroups *g)
{
	if (!g)
		return;
	for (size_t n = 0; n < g->n; n++) {
		/* succeeds if no group is left below */
		if (g->h[n].ready)
			rmdir(g->h[n].base);
		free(g->h[n].root);
		free(g->h[n].mount);
		free(g->h[n].own);
		free(g->h[n].base);
	}
	free(g);
}

const char *cgroups_mode(const struct cgroups *g)
{
	bool v2 = false, v1 = false, writable = false;
	for (size_t n = 0; n < g->n; n++) {
		(g->h[n].v2 ? &v2 : &v1)[0] = true;
		writable |= access(g->h[n].mount, W_OK) == 0;
	}
	if (!writable)
		return "none";
	return v2 && v1 ? "hybrid" : v2 ? "v2" : "v1";
}

/* --- v2: a group has a controller only if every group above enables it */

static bool hand_down(const struct hierarchy *h, const char *dir)
{
	bool ok = true;
	for (size_t n = 0; n < ARRAY_LEN(controllers); n++) {
		char text[20];
		if (!(h->has & controllers[n].bit))
			continue;
		snprintf(text, sizeof text, "+%s", controllers[n].name);
		if (!cg_write(dir, "cgroup.subtree_control", text) && errno == EBUSY)
			ok = false;
	}
	return ok;
}

/* A group with processes cannot enable controllers for its children, so the processes of our own group move to a leaf. */
static void make_room(const char *dir)
{
	_cleanup_(xfreep) char *leaf = xasprintf("%s/" OURS "-daemon", dir), *pids = cg_read(dir, "cgroup.procs");
	char *save = NULL;
	if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
		return;
	for (char *p = pids ? strtok_r(pids, "\n", &save) : NULL; p; p = strtok_r(NULL, "\n", &save))
		cg_write(leaf, "cgroup.procs", p);
}

void hierarchy_delegate(const struct hierarchy *h, const char *dir)
{
	hand_down(h, dir);
}

bool hierarchy_base(struct hierarchy *h)
{
	if (h->refused)
		return false;
	/* another supervisor may have removed the base with its last group */
	if (h->ready && access(h->base, F_OK) == 0)
		return true;
	h->refused = mkdir(h->base, 0755) < 0 && errno != EEXIST;
	h->ready = !h->refused;
	if (!h->ready || !h->v2 || !h->has)
		return h->ready;
	if (!hand_down(h, h->own)) {
		make_room(h->own);
		hand_down(h, h->own);
	}
	hand_down(h, h->base);
	/* only the controllers that reached the base can be enforced */
	_cleanup_(xfreep) char *have = cg_read(h->base, "cgroup.controllers");
	h->has = have ? controllers_in(have, ' ', NULL) : 0;
	return true;
}

const char *hierarchy_path(const struct hierarchy *h, const char *dir)
{
	static char path[4096];
	snprintf(path, sizeof path, "%s%s", str_eq(h->root, "/") ? "" : h->root, dir + strlen(h->mount));
	return path;
}

bool cgroup_path_of(const struct cgroups *g, pid_t pid, char *dst, size_t size)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	_cleanup_(xfreep) char *text = file_read(path, CG_LIST_MAX, NULL);
	return text && g->n && group_in(&g->h[g->identity], text, dst, size);
}
