/* cgroup_internal: a group and the hierarchies it lies in. Floor F3; for the files of this folder alone. */
#ifndef HOST_CGROUP_CGROUP_INTERNAL_H
#define HOST_CGROUP_CGROUP_INTERNAL_H

#include "lucid/base.h"

#define CGROUP_HIERARCHIES 8
enum { CG_CPU = 1, CG_CPUACCT = 2, CG_MEMORY = 4, CG_PIDS = 8, CG_FREEZER = 16, CG_IO = 32 };
struct hierarchy {
	char name[16]; /* "unified", or the first of the controllers used here, such as "memory" */
	bool v2;
	unsigned has;
	char *root;  /* the part of the hierarchy that is mounted; usually "/" */
	char *mount; /* mount point */
	char *own;   /* directory of the group that this process started in */
	char *base;  /* directory of the groups of instances */
	bool ready, refused;
};
struct cgroups {
	struct hierarchy h[CGROUP_HIERARCHIES];
	size_t n, identity;
};

struct cgroup {
	struct cgroups *of;
	char *dir[CGROUP_HIERARCHIES]; /* by hierarchy; NULL where there is none */
};

/* hierarchies.c */
/* Creates the base directory on first use and, on v2, enables the controllers for it. False: not possible. */
bool hierarchy_base(struct hierarchy *h);
/* v2: enables the controllers for the groups below `dir`. */
void hierarchy_delegate(const struct hierarchy *h, const char *dir);
/* The name of a directory in /proc/PID/cgroup; in a static buffer. */
const char *hierarchy_path(const struct hierarchy *h, const char *dir);

/* cgroup_procs.c */
bool cgroup_dir_has_pids(const char *dir); /* in the group or in one below it */

#endif
