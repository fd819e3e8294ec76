#include "cluster/sample.h"

#include <stdio.h>
#include <unistd.h>

static void take_cpu(struct sample *s)
{
	char line[256] = "";
	FILE *f = fopen("/proc/stat", "re");
	long long v[8] = { 0 };
	if (f && fgets(line, sizeof line, f) &&
	    sscanf(line, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7) >= 5) {
		int64_t all = 0, idle = v[3] + v[4];
		for (size_t i = 0; i < ARRAY_LEN(v); i++)
			all += v[i];
		if (s->all && all > s->all)
			s->cpu_percent = (int)(100 * (all - idle - s->busy) / (all - s->all));
		s->all = all;
		s->busy = all - idle;
	}
	if (f)
		fclose(f);
}

static void take_memory(struct sample *s)
{
	char line[256];
	long long total = 0, available = 0;
	FILE *f = fopen("/proc/meminfo", "re");
	if (!f)
		return;
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "MemTotal: %lld", &total) != 1)
			(void)!sscanf(line, "MemAvailable: %lld", &available);
	fclose(f);
	if (total > 0)
		s->memory_percent = (int)(100 * (total - available) / total);
}

void sample_take(struct sample *s)
{
	s->cores = sysconf(_SC_NPROCESSORS_ONLN);
	s->memory_mb = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / (1024 * 1024);
	take_cpu(s);
	take_memory(s);
}
