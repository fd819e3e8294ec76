#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "host/kernel/proc.h"
#include "host/observe/observe.h"
#include "host/observe/observed.h"
#include "lucid/clock.h"
#include "lucid/str.h"

/* Processor usage is measured between two samples, at least this far apart. */
#define SAMPLE_MS 900

/* Ticks of all cores: busy, and in total, with idle time and waits for disks. */
static bool read_cpu(uint64_t *ret_busy, uint64_t *ret_total)
{
	char text[512];
	unsigned long long v[8];
	FILE *f = fopen("/proc/stat", "re");
	if (!f)
		return false;
	bool ok = fgets(text, sizeof text, f) && sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1],
							&v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) == 8;
	fclose(f);
	if (!ok)
		return false;
	*ret_total = 0;
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		*ret_total += v[i];
	*ret_busy = *ret_total - v[3] - v[4];
	return true;
}

void stats_sample(struct observer *s)
{
	int64_t now = clock_mono_ms();
	uint64_t busy, total;
	if (s->cpu_sampled_ms && now - s->cpu_sampled_ms < SAMPLE_MS)
		return;
	if (!read_cpu(&busy, &total))
		return;
	s->cpu_busy = s->last_busy;
	s->cpu_total = s->last_total;
	s->last_busy = busy;
	s->last_total = total;
	s->cpu_sampled_ms = now;
}

static json_t *cpu_percent(struct observer *s)
{
	uint64_t total = s->last_total - s->cpu_total, busy = s->last_busy - s->cpu_busy;
	return s->last_total && total ? json_real((double)(busy * 1000 / total) / 10) : NULL;
}

static void disk_figures(json_t *doc, const char *dir)
{
	struct statvfs v;
	json_t *disk = json_object();
	if (dir && statvfs(dir, &v) == 0) {
		doc_set_int(disk, "total_bytes", (int64_t)(v.f_blocks * v.f_frsize));
		doc_set_int(disk, "used_bytes", (int64_t)((v.f_blocks - v.f_bfree) * v.f_frsize));
		doc_set_int(disk, "free_bytes", (int64_t)(v.f_bavail * v.f_frsize));
	}
	doc_set(doc, "disk", disk);
}

static json_t *host_figures(struct host *h)
{
	json_t *doc = json_object(), *load = json_array();
	char text[8192];
	double avg[3] = { 0 };
	stats_sample(h->observer);
	doc_set_int(doc, "cores", h->cores);
	doc_set(doc, "cpu_percent", cpu_percent(h->observer));
	int64_t hz = sysconf(_SC_CLK_TCK);
	doc_set_int(doc, "cpu_usec", (int64_t)h->observer->last_busy * (1000000 / hz));
	if (getloadavg(avg, 3) == 3)
		for (size_t i = 0; i < 3; i++)
			json_array_append_new(load, json_real(avg[i]));
	doc_set(doc, "load", load);
	if (proc_read_file("/proc/meminfo", text, sizeof text) > 0) {
		int64_t total = proc_keyed_number(text, "MemTotal:") * 1024;
		int64_t available = proc_keyed_number(text, "MemAvailable:") * 1024;
		doc_set_int(doc, "memory_total_bytes", total);
		doc_set_int(doc, "memory_available_bytes", available);
		doc_set_int(doc, "memory_used_bytes", total - available);
		doc_set(doc, "memory_percent", total > 0 ? json_real((double)((total - available) * 1000 / total) / 10) : NULL);
	}
	disk_figures(doc, h->set.data_dir);
	if (proc_read_file("/proc/uptime", text, sizeof text) > 0)
		doc_set_int(doc, "uptime_seconds", atoll(text));
	return doc;
}

static json_t *known(int64_t v)
{
	return v >= 0 ? json_integer(v) : NULL;
}

static json_t *instance_figures(struct instance *i)
{
	json_t *doc = json_object(), *counts = json_object();
	struct cgroup_usage u = { -1, -1, -1 };
	struct instance_sessions n;
	struct connection *c;
	uint64_t in = i->observed->closed_in, out = i->observed->closed_out;
	if (i->cgroup)
		cgroup_usage(i->cgroup, &u);
	LIST_FOREACH (c, &i->observed->connections, node) {
		in += c->bytes_in;
		out += c->bytes_out;
	}
	i->host->hooks.sessions(i, &n);
	doc_set_int(counts, "active", (int64_t)n.active);
	doc_set_int(counts, "disconnected", (int64_t)n.disconnected);
	doc_set_int(counts, "orphaned", (int64_t)n.orphaned);
	doc_set_str(doc, "server_id", i->id);
	doc_set(doc, "cpu_usec", known(u.cpu_us));
	doc_set(doc, "memory_bytes", known(u.memory_bytes));
	doc_set(doc, "tasks", known(u.tasks));
	doc_set_int(doc, "bytes_in", (int64_t)in);
	doc_set_int(doc, "bytes_out", (int64_t)out);
	doc_set(doc, "sessions", counts);
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
