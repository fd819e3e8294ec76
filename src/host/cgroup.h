/*
 * cgroup: control groups of instances on v2, v1 and hybrid hosts (v1 controllers beside a v2 tree without any). Floor F3,
 * supervisor only; small synchronous writes to cgroupfs, no waiting.
 *
 * An instance has one group of the same name in every hierarchy that can be written: BASE/{server_id}; below it the leaf
 * "daemons" for xrdp and sesman and one leaf per desktop. Limits are set on the instance's group and hold for all below.
 * Where nothing can be written cgroup_make answers NULL, and every function takes NULL.
 */
#ifndef HOST_CGROUP_H
#define HOST_CGROUP_H

#include <sys/types.h>

#include "lucid/doc.h"

struct cgroups; /* the host's hierarchies */
struct cgroup;	/* one group, in all of them */

struct cgroups *cgroups_new(void); /* looks at /proc/self/mountinfo and /proc/self/cgroup */
void cgroups_free(struct cgroups *g);
const char *cgroups_mode(const struct cgroups *g); /* "v2", "v1", "hybrid", "none" */

struct cgroup *cgroup_make(struct cgroups *g, const char *name);	       /* also when it is there already */
bool cgroup_there(const struct cgroup *c); /* nobody has removed it since; true for NULL */
struct cgroup *cgroup_sub(struct cgroup *parent, const char *name);	       /* made; "daemons", "desktop-12" */
struct cgroup *cgroup_sub_open(struct cgroup *parent, const char *name);       /* NULL when it is not there */
void cgroup_free(struct cgroup *c);					       /* forgets; the groups stay */

/* As text in a record, and back (whatever of it still exists; NULL if nothing does). What the record does not say, for it
 * was written before the group was made, is looked for by name. */
json_t *cgroup_record(const struct cgroup *c);
struct cgroup *cgroup_reopen(struct cgroups *g, const json_t *record, const char *name);

/* Remove groups of instances that nobody has: named by a UUID, without a process in any hierarchy, not made or taken up again
 * for `idle_ms` (so none that another supervisor is just filling), and not `kept`. The number removed. */
size_t cgroups_sweep(struct cgroups *g, int64_t idle_ms, bool (*kept)(const char *name, void *arg), void *arg);

struct cgroup_limits {
	int64_t cpu_percent, memory_mb, tasks; /* 0: none */
};
struct cgroup_enforced {
	bool cpu, memory, tasks; /* asked for, written, and read back the same */
};
void cgroup_limit(struct cgroup *c, const struct cgroup_limits *l, struct cgroup_enforced *ret);

/* Move a process (all its threads) in; safe between fork and exec. 0 when it is in at least one hierarchy, or -errno. */
int cgroup_attach(struct cgroup *c, pid_t pid);

/* The group's path in the hierarchy that tells processes apart (v2 where there is one), as /proc/PID/cgroup shows it. */
const char *cgroup_path(const struct cgroup *c);
/* The same of a process: false when gone. */
bool cgroup_path_of(const struct cgroups *g, pid_t pid, char *dst, size_t size);

/* Processes of the group and all below it; at most max are stored, the number there are is returned. */
size_t cgroup_pids(const struct cgroup *c, pid_t *dst, size_t max);
bool cgroup_populated(const struct cgroup *c); /* zombies do not count */
/* SIGKILL to all of it, once, forks caught (cgroup.kill, else frozen first). Returns how many were hit. */
size_t cgroup_kill(struct cgroup *c);
bool cgroup_remove(struct cgroup *c); /* with all below; false while something lives there */

struct cgroup_usage {
	int64_t cpu_us, memory_bytes, tasks; /* -1: not known */
};
void cgroup_usage(const struct cgroup *c, struct cgroup_usage *ret);

#endif
