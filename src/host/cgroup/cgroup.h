/*
 * cgroup: control groups of instances on v2, v1 and hybrid hosts (v1 controllers beside a v2 tree without any). Floor F3,
 * supervisor only; small synchronous writes to cgroupfs, no waiting.
 *
 * An instance has a group of the same name, BASE/{server_id}, in every writable hierarchy. groups.h lists the groups below it and their
 * limits. A limit applies to the whole subtree. If no hierarchy is writable, cgroup_make returns NULL; every function takes NULL.
 */
#ifndef HOST_CGROUP_CGROUP_H
#define HOST_CGROUP_CGROUP_H

#include <sys/types.h>

#include "host/cgroup/hierarchies.h"
#include "lucid/doc.h"

struct cgroup; /* one group, in all hierarchies */

struct cgroup *cgroup_make(struct cgroups *g, const char *name);	       /* also if it exists */
bool cgroup_there(const struct cgroup *c); /* it still exists; true for NULL */
struct cgroup *cgroup_sub(struct cgroup *parent, const char *name);	       /* creates it; "daemons", "desktop-12" */
struct cgroup *cgroup_sub_open(struct cgroup *parent, const char *name);       /* NULL if it does not exist */
void cgroup_delegate(struct cgroup *c); /* v2: enables its controllers for the groups below it */
void cgroup_free(struct cgroup *c);					       /* the groups stay */

/* To a record, and back from it: what still exists, or NULL. A directory that the record lacks, because it was written before the group was
 * made, is found by name. */
json_t *cgroup_record(const struct cgroup *c);
struct cgroup *cgroup_reopen(struct cgroups *g, const json_t *record, const char *name);

/* Removes groups without an instance: named by a UUID, without a process in any hierarchy, not made within `idle_ms` (another supervisor
 * may be about to use a newer one), and not `kept`. Returns how many were removed. */
size_t cgroups_sweep(struct cgroups *g, int64_t idle_ms, bool (*kept)(const char *name, void *arg), void *arg);

struct cgroup_limits {
	int64_t cpu_percent, memory_mb, tasks; /* 0: none */
};
struct cgroup_enforced {
	bool cpu, memory, tasks; /* requested, written, and read back with the same value */
};
void cgroup_limit(struct cgroup *c, const struct cgroup_limits *l, struct cgroup_enforced *ret);

/* Moves a process with all its threads into the group; safe between fork and exec. 0 if that worked in at least one hierarchy, or -errno.
 * */
int cgroup_attach(struct cgroup *c, pid_t pid);

/* The group's path in the hierarchy that identifies processes (v2 if there is one), in the form of /proc/PID/cgroup. */
const char *cgroup_path(const struct cgroup *c);

/* The processes of the group and of all groups below it: stores at most `max`, returns their number. */
size_t cgroup_pids(const struct cgroup *c, pid_t *dst, size_t max);
bool cgroup_populated(const struct cgroup *c); /* zombies do not count */
/* Sends SIGKILL to all its processes, with cgroup.kill, or else while they are frozen, so that forks do not escape. Returns how many there
 * were. */
size_t cgroup_kill(struct cgroup *c);
bool cgroup_remove(struct cgroup *c); /* with all groups below; false while it has processes */

/* cgroup_usage.c. -1: not known. */
struct cgroup_usage {
	int64_t cpu_us;
	int64_t memory_bytes; /* the working set: memory in use without the file cache that the kernel can drop at once (inactive_file) */
	int64_t tasks;
	int64_t io_read_bytes, io_write_bytes; /* of block devices */
};
void cgroup_usage(const struct cgroup *c, struct cgroup_usage *ret);
/* The share of the last 10 s, in percent, in which a process waited for the resource: "cpu", "memory" or "io" (PSI). -1: not known, as on
 * v1 and on kernels without PSI. */
double cgroup_pressure(const struct cgroup *c, const char *resource);

#endif
