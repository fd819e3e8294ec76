#include <stdio.h>
#include <unistd.h>

#include "host/kernel/proc.h"
#include "host/observe/host_figures.h"
#include "host/observe/observe.h"
#include "host/observe/observed.h"
#include "lucid/clock.h"

/* What instances and their desktops use: of their control groups where there are some, else of their processes. */

static json_t *known(int64_t v)
{
	return v >= 0 ? json_integer(v) : NULL;
}

static double group_pressure(const void *of, const char *resource)
{
	return cgroup_pressure(of, resource);
}

/* One process: its processor time, and its memory without pages that it shares with others (libraries, shared memory). */
static void process_usage(pid_t pid, struct cgroup_usage *u)
{
	char path[40], text[1024];
	unsigned long long user, system;
	long long resident, shared;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	const char *end = proc_read_file(path, text, sizeof text) > 0 ? strrchr(text, ')') : NULL;
	if (!end || sscanf(end, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		return;
	u->tasks++;
	u->cpu_us += (int64_t)(user + system) * (1000000 / sysconf(_SC_CLK_TCK));
	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	if (proc_read_file(path, text, sizeof text) > 0 && sscanf(text, "%*d %lld %lld", &resident, &shared) == 2)
		u->memory_bytes += (resident - shared) * sysconf(_SC_PAGESIZE);
}

static void processes_usage(const pid_t *pids, size_t n, struct cgroup_usage *u)
{
	*u = (struct cgroup_usage){ 0, 0, 0, -1, -1 };
	for (size_t k = 0; k < n; k++)
		process_usage(pids[k], u);
}

static void desktop_usage(const struct desktop *d, struct cgroup_usage *u)
{
	if (d->cgroup) {
		cgroup_usage(d->cgroup, u);
		return;
	}
	_cleanup_(xfreep) pid_t *pids = xcalloc(DESKTOP_PIDS, sizeof *pids);
	processes_usage(pids, MIN(desktop_pids(d, pids, DESKTOP_PIDS), (size_t)DESKTOP_PIDS), u);
}

static void instance_usage(const struct instance *i, struct cgroup_usage *u)
{
	if (i->cgroup) {
		cgroup_usage(i->cgroup, u);
		return;
	}
	_cleanup_(xfreep) pid_t *pids = xcalloc(DESKTOP_PIDS, sizeof *pids);
	processes_usage(pids, MIN(daemon_pids(i, pids, DESKTOP_PIDS), (size_t)DESKTOP_PIDS), u);
}

static void set_usage(json_t *doc, const struct cgroup_usage *u, const struct cgroup *group)
{
	doc_set(doc, "cpu_usec", known(u->cpu_us));
	doc_set(doc, "memory_bytes", known(u->memory_bytes));
	doc_set(doc, "tasks", known(u->tasks));
	doc_set(doc, "io_read_bytes", known(u->io_read_bytes));
	doc_set(doc, "io_write_bytes", known(u->io_write_bytes));
	figures_pressure(doc, group_pressure, group);
}

static json_t *desktop_figures(struct instance *i, const struct desktop *d)
{
	json_t *doc = json_object();
	struct cgroup_usage u;
	struct connection *c;
	uint64_t in = 0, out = 0;
	desktop_usage(d, &u);
	LIST_FOREACH (c, &i->observed->connections, node)
		if (c->display == d->display) {
			in += c->bytes_in;
			out += c->bytes_out;
		}
	doc_set_int(doc, "display", d->display);
	doc_set_str(doc, "username", *d->user ? d->user : NULL);
	doc_set_time(doc, "started_at", d->started_ms);
	set_usage(doc, &u, d->cgroup);
	doc_set_int(doc, "bytes_in", (int64_t)in);
	doc_set_int(doc, "bytes_out", (int64_t)out);
	return doc;
}

static json_t *desktops_figures(struct instance *i)
{
	json_t *list = json_array();
	struct desktop *d;
	LIST_FOREACH (d, &i->observed->desktops, node)
		json_array_append_new(list, desktop_figures(i, d));
	return list;
}

static json_t *session_counts(struct instance *i)
{
	json_t *counts = json_object();
	struct instance_sessions n;
	i->host->hooks.sessions(i, &n);
	doc_set_int(counts, "active", (int64_t)n.active);
	doc_set_int(counts, "disconnected", (int64_t)n.disconnected);
	doc_set_int(counts, "orphaned", (int64_t)n.orphaned);
	return counts;
}

static json_t *instance_figures(struct instance *i)
{
	json_t *doc = json_object();
	struct cgroup_usage u;
	struct connection *c;
	uint64_t in = i->observed->closed_in, out = i->observed->closed_out;
	int64_t limit_mb = doc_int(doc_get(i->spec, "limits"), "memory_mb", 0);
	instance_usage(i, &u);
	LIST_FOREACH (c, &i->observed->connections, node) {
		in += c->bytes_in;
		out += c->bytes_out;
	}
	doc_set_str(doc, "server_id", i->id);
	set_usage(doc, &u, i->cgroup);
	doc_set(doc, "memory_limit_bytes", limit_mb ? json_integer(limit_mb * 1048576) : NULL);
	doc_set_int(doc, "bytes_in", (int64_t)in);
	doc_set_int(doc, "bytes_out", (int64_t)out);
	doc_set(doc, "sessions", session_counts(i));
	doc_set(doc, "desktops", desktops_figures(i));
	return doc;
}

void host_stats(struct host *h, UNUSED const json_t *in, host_done done, void *arg)
{
	json_t *out = json_object(), *list = json_array();
	struct instance *i;
	connections_sweep(h);
	INSTANCE_FOREACH (i, h)
		if (i->observed)
			json_array_append_new(list, instance_figures(i));
	doc_set(out, "host", host_figures(h));
	doc_set(out, "instances", list);
	host_answer(h, done, arg, 0, NULL, out);
}

void host_instance_stats(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct instance *i = instance_of_request(h, in, done, arg);
	if (!i)
		return;
	connections_sweep(h);
	host_answer(h, done, arg, 0, NULL, instance_figures(i));
}
