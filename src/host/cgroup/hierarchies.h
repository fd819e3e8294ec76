/* hierarchies: which hierarchies of control groups this host has, and where the groups of instances lie in them. Floor F3, supervisor only;
 * small reads and writes of cgroupfs and /proc, no waiting. */
#ifndef HOST_CGROUP_HIERARCHIES_H
#define HOST_CGROUP_HIERARCHIES_H

#include <sys/types.h>

#include "lucid/base.h"

struct cgroups; /* the host's hierarchies */

struct cgroups *cgroups_new(void); /* reads /proc/self/mountinfo and /proc/self/cgroup */
void cgroups_free(struct cgroups *g);
const char *cgroups_mode(const struct cgroups *g); /* "v2", "v1", "hybrid", "none" */

/* The path of a process's group in the hierarchy that tells processes apart (v2 if there is one); false if the process is gone. */
bool cgroup_path_of(const struct cgroups *g, pid_t pid, char *dst, size_t size);

#endif
