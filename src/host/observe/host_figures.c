#include "host/observe/host_figures.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "host/kernel/pressure.h"
#include "host/kernel/proc.h"
#include "host/kernel/sensors.h"
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

/* statvfs on a directory of the supervisor itself, which it writes to anyway. */
static json_t *disk_figures(const char *dir)
{
	struct statvfs v;
	json_t *disk = json_object();
	if (dir && statvfs(dir, &v) == 0) {
		doc_set_int(disk, "total_bytes", (int64_t)(v.f_blocks * v.f_frsize));
		doc_set_int(disk, "used_bytes", (int64_t)((v.f_blocks - v.f_bfree) * v.f_frsize));
		doc_set_int(disk, "free_bytes", (int64_t)(v.f_bavail * v.f_frsize));
	}
	return disk;
}

static void host_disks(json_t *doc, const struct host_settings *set)
{
	json_t *disks = json_object();
	doc_set(doc, "disk", disk_figures(set->data_dir)); /* kept for clients of earlier versions */
	doc_set(disks, "data", disk_figures(set->data_dir));
	doc_set(disks, "log", disk_figures(set->log_dir));
	doc_set(disks, "runtime", disk_figures(set->runtime_dir));
	doc_set(doc, "disks", disks);
}

static void host_memory(json_t *doc)
{
	char text[8192];
	if (proc_read_file("/proc/meminfo", text, sizeof text) <= 0)
		return;
	int64_t total = proc_keyed_number(text, "MemTotal:") * 1024;
	int64_t available = proc_keyed_number(text, "MemAvailable:") * 1024;
	doc_set_int(doc, "memory_total_bytes", total);
	doc_set_int(doc, "memory_available_bytes", available);
	doc_set_int(doc, "memory_used_bytes", total - available);
	doc_set(doc, "memory_percent", total > 0 ? json_real((double)((total - available) * 1000 / total) / 10) : NULL);
}

void figures_pressure(json_t *doc, double (*read)(const void *of, const char *resource), const void *of)
{
	static const char *const resources[] = { "cpu", "memory", "io" };
	json_t *pressure = json_object();
	for (size_t n = 0; n < ARRAY_LEN(resources); n++) {
		double pct = read(of, resources[n]);
		doc_set(pressure, resources[n], pct < 0 ? NULL : json_real(pct));
	}
	doc_set(doc, "pressure", pressure);
}

static double host_pressure(UNUSED const void *of, const char *resource)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/pressure/%s", resource);
	return pressure_read(path);
}

static void host_sensors(json_t *doc)
{
	struct sensors s;
	int64_t in, out;
	json_t *network = NULL;
	sensors_read("/sys", &s);
	doc_set(doc, "temperature_celsius", s.has_temperature ? json_real(s.celsius) : NULL);
	doc_set(doc, "throttled", s.throttled < 0 ? NULL : json_boolean(s.throttled));
	doc_set(doc, "throttle_events", s.throttle_events < 0 ? NULL : json_integer(s.throttle_events));
	if (sensors_network("/sys", "/proc", &in, &out)) {
		network = json_object();
		doc_set_int(network, "bytes_in", in);
		doc_set_int(network, "bytes_out", out);
	}
	doc_set(doc, "network", network);
}

json_t *host_figures(struct host *h)
{
	json_t *doc = json_object(), *load = json_array();
	char text[128];
	double avg[3] = { 0 };
	uint64_t busy, ticks;
	stats_sample(h->observer);
	doc_set_int(doc, "cores", h->cores);
	doc_set(doc, "cpu_percent", cpu_percent(h->observer));
	/* read now, to belong to clock_usec; the last sample may be almost a second old */
	if (read_cpu(&busy, &ticks))
		doc_set_int(doc, "cpu_usec", (int64_t)busy * (1000000 / sysconf(_SC_CLK_TCK)));
	doc_set_int(doc, "clock_usec", clock_mono_us());
	if (getloadavg(avg, 3) == 3)
		for (size_t i = 0; i < 3; i++)
			json_array_append_new(load, json_real(avg[i]));
	doc_set(doc, "load", load);
	figures_pressure(doc, host_pressure, NULL);
	host_memory(doc);
	host_disks(doc, &h->set);
	host_sensors(doc);
	if (proc_read_file("/proc/uptime", text, sizeof text) > 0)
		doc_set_int(doc, "uptime_seconds", atoll(text));
	return doc;
}
