/* cgroup_fs: which hierarchies this host has, where our groups lie in them, and their files. Floor F3; for cgroup.c alone. */
#ifndef HOST_CGROUP_FS_H
#define HOST_CGROUP_FS_H

#include <sys/types.h>

#include "host/cgroup.h"

#define CGROUP_HIERARCHIES 8
enum { CG_CPU = 1, CG_CPUACCT = 2, CG_MEMORY = 4, CG_PIDS = 8, CG_FREEZER = 16 };
struct hierarchy {
	char name[16]; /* "unified", "memory" …: of the first controller of ours it has */
	bool v2;
	unsigned has;
	char *root;  /* what of the hierarchy is mounted: "/" mostly */
	char *mount; /* where */
	char *own;   /* the directory of the group this process was in */
	char *base;  /* the directory below which instances get theirs */
	bool ready, refused;
};
struct cgroups {
	struct hierarchy h[CGROUP_HIERARCHIES];
	size_t n, identity;
};

/* The base directory is there (made on first use) and, on v2, controllers are handed down to it. */
bool hierarchy_base(struct hierarchy *h);
/* v2: let groups below `dir` have the controllers. */
void hierarchy_delegate(const struct hierarchy *h, const char *dir);
/* A directory of ours as /proc/PID/cgroup names it; borrowed from a static buffer or `dir`. */
const char *hierarchy_path(const struct hierarchy *h, const char *dir);

bool cg_write(const char *dir, const char *file, const char *text);
char *cg_read(const char *dir, const char *file); /* NULL when it cannot be read; at most 256 KiB */
bool cg_reads(const char *dir, const char *file, const char *text); /* holds just this and a newline */
int64_t cg_number(const char *dir, const char *file, const char *key); /* key NULL: the whole file; -1: not there */

#endif
