#include <stdio.h>

#include "host/cgroup/cgroup.h"
#include "host/cgroup/cgroup_fs.h"
#include "host/cgroup/cgroup_internal.h"
#include "host/kernel/pressure.h"

/* What a group uses: a few small reads, however many processes it has. */

static int64_t cpu_us(const struct hierarchy *h, const char *dir)
{
	if (h->v2)
		return cg_number(dir, "cpu.stat", "usage_usec");
	int64_t ns = cg_number(dir, "cpuacct.usage", NULL);
	return ns < 0 ? -1 : ns / 1000;
}

static int64_t working_set(const struct hierarchy *h, const char *dir)
{
	int64_t used = cg_number(dir, h->v2 ? "memory.current" : "memory.usage_in_bytes", NULL);
	int64_t cache = cg_number(dir, "memory.stat", h->v2 ? "inactive_file" : "total_inactive_file");
	/* the two files are not read at the same moment */
	return used < 0 || cache < 0 ? used : MAX(used - cache, 0);
}

/* v2, a line for each device: "8:0 rbytes=4096 wbytes=0 …". */
static void io_v2(const char *text, int64_t *ret_read, int64_t *ret_write)
{
	static const char *const key[] = { "rbytes=", "wbytes=" };
	int64_t *const sum[] = { ret_read, ret_write };
	for (size_t n = 0; n < ARRAY_LEN(key); n++) {
		*sum[n] = 0;
		for (const char *p = strstr(text, key[n]); p; p = strstr(p, key[n])) {
			p += strlen(key[n]);
			*sum[n] += strtoll(p, NULL, 10);
		}
	}
}

/* v1, lines for each device: "8:0 Read 4096". */
static void io_v1(const char *text, int64_t *ret_read, int64_t *ret_write)
{
	*ret_read = *ret_write = 0;
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		long long bytes;
		char what[16];
		if (sscanf(line, "%*s %15s %lld", what, &bytes) != 2)
			continue;
		if (strcmp(what, "Read") == 0)
			*ret_read += bytes;
		else if (strcmp(what, "Write") == 0)
			*ret_write += bytes;
	}
}

static void io_bytes(const struct hierarchy *h, const char *dir, struct cgroup_usage *u)
{
	_cleanup_(xfreep) char *text = cg_read(dir, h->v2 ? "io.stat" : "blkio.throttle.io_service_bytes_recursive");
	if (text)
		(h->v2 ? io_v2 : io_v1)(text, &u->io_read_bytes, &u->io_write_bytes);
}

void cgroup_usage(const struct cgroup *c, struct cgroup_usage *ret)
{
	*ret = (struct cgroup_usage){ -1, -1, -1, -1, -1 };
	for (size_t n = 0; c && n < c->of->n; n++) {
		const struct hierarchy *h = &c->of->h[n];
		const char *dir = c->dir[n];
		if (!dir)
			continue;
		/* v2 counts processor time without any controller */
		if (h->has & CG_CPUACCT || (h->v2 && ret->cpu_us < 0))
			ret->cpu_us = cpu_us(h, dir);
		if (h->has & CG_MEMORY)
			ret->memory_bytes = working_set(h, dir);
		if (h->has & CG_PIDS)
			ret->tasks = cg_number(dir, "pids.current", NULL);
		if (h->has & CG_IO)
			io_bytes(h, dir, ret);
	}
}

double cgroup_pressure(const struct cgroup *c, const char *resource)
{
	char path[4096];
	for (size_t n = 0; c && n < c->of->n; n++) {
		if (!c->dir[n] || !c->of->h[n].v2)
			continue;
		snprintf(path, sizeof path, "%s/%s.pressure", c->dir[n], resource);
		return pressure_read(path);
	}
	return -1;
}
