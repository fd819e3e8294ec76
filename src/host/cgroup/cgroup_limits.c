#include <stdio.h>

#include "host/cgroup/cgroup.h"
#include "host/cgroup/cgroup_fs.h"
#include "host/cgroup/cgroup_internal.h"

/* The limits of a group. */

static bool limit_cpu(const struct hierarchy *h, const char *dir, int64_t pct)
{
	char want[64];
	if (h->v2) {
		if (pct)
			snprintf(want, sizeof want, "%lld 100000", (long long)pct * 1000);
		return cg_write(dir, "cpu.max", pct ? want : "max") && pct && cg_reads(dir, "cpu.max", want);
	}
	snprintf(want, sizeof want, "%lld", pct ? (long long)pct * 1000 : -1LL);
	cg_write(dir, "cpu.cfs_period_us", "100000");
	return cg_write(dir, "cpu.cfs_quota_us", want) && pct && cg_reads(dir, "cpu.cfs_quota_us", want);
}

static bool limit_memory(const struct hierarchy *h, const char *dir, int64_t mb)
{
	char want[64];
	snprintf(want, sizeof want, "%lld", (long long)mb * 1048576);
	if (h->v2) {
		/* otherwise the group would continue in swap */
		cg_write(dir, "memory.swap.max", mb ? "0" : "max");
		return cg_write(dir, "memory.max", mb ? want : "max") && mb && cg_reads(dir, "memory.max", want);
	}
	/* the limit on memory+swap may not be below that on memory: it is lifted first and set last */
	cg_write(dir, "memory.memsw.limit_in_bytes", "-1");
	bool ok = cg_write(dir, "memory.limit_in_bytes", mb ? want : "-1");
	if (mb)
		cg_write(dir, "memory.memsw.limit_in_bytes", want);
	return ok && mb && cg_reads(dir, "memory.limit_in_bytes", want);
}

static bool limit_tasks(const char *dir, int64_t tasks)
{
	char want[32];
	snprintf(want, sizeof want, "%lld", (long long)tasks);
	return cg_write(dir, "pids.max", tasks ? want : "max") && tasks && cg_reads(dir, "pids.max", want);
}

void cgroup_limit(struct cgroup *c, const struct cgroup_limits *l, struct cgroup_enforced *ret)
{
	*ret = (struct cgroup_enforced){ 0 };
	for (size_t n = 0; c && n < c->of->n; n++) {
		const struct hierarchy *h = &c->of->h[n];
		const char *dir = c->dir[n];
		if (!dir)
			continue;
		if (h->has & CG_CPU)
			ret->cpu |= limit_cpu(h, dir, l->cpu_percent);
		if (h->has & CG_MEMORY)
			ret->memory |= limit_memory(h, dir, l->memory_mb);
		if (h->has & CG_PIDS)
			ret->tasks |= limit_tasks(dir, l->tasks);
	}
}
