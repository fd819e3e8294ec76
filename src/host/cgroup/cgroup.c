#include "host/cgroup/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/cgroup/cgroup_internal.h"
#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/str.h"

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

static bool group_is_empty(const struct cgroup *c)
{
	for (size_t n = 0; n < c->of->n; n++)
		if (c->dir[n])
			return false;
	return true;
}

void cgroup_delegate(struct cgroup *c)
{
	for (size_t n = 0; c && n < c->of->n; n++)
		if (c->dir[n] && c->of->h[n].v2)
			hierarchy_delegate(&c->of->h[n], c->dir[n]);
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
		utimensat(AT_FDCWD, dir, NULL, 0); /* cgroups_sweep measures idle time from here */
		if (g->h[n].v2)
			hierarchy_delegate(&g->h[n], dir);
		c->dir[n] = TAKE_PTR(dir);
	}
	if (!group_is_empty(c))
		return c;
	cgroup_free(c);
	return NULL;
}

static struct cgroup *sub_group(struct cgroup *parent, const char *name, bool make)
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
	if (!group_is_empty(c))
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
	return sub_group(parent, name, true);
}

struct cgroup *cgroup_sub_open(struct cgroup *parent, const char *name)
{
	return sub_group(parent, name, false);
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
	if (!group_is_empty(c))
		return c;
	cgroup_free(c);
	return NULL;
}

/* --- groups without an instance */

static bool group_is_unused(const struct cgroup *c, int64_t idle_ms)
{
	int64_t now = clock_wall_ms();
	for (size_t n = 0; n < c->of->n; n++) {
		struct stat st;
		if (!c->dir[n])
			continue;
		if (stat(c->dir[n], &st) < 0 || now - (int64_t)st.st_mtime * 1000 < idle_ms ||
		    cgroup_dir_has_pids(c->dir[n]))
			return false;
	}
	return true;
}

static bool group_sweep(struct cgroups *g, const char *name, int64_t idle_ms)
{
	struct cgroup *c = cgroup_reopen(g, NULL, name);
	/* if a process is added meanwhile, the kernel refuses to remove the group */
	bool gone = c && group_is_unused(c, idle_ms) && cgroup_remove(c);
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
				gone += group_sweep(g, e->d_name, idle_ms);
		if (d)
			closedir(d);
	}
	return gone;
}
