#include "roles/rdp-resource-monitor/rates.h"

#include <math.h>

#include "lucid/str.h"

const struct resource_info resources[RES_COUNT] = {
#define RESOURCE(id, name, unit, scale, help) [RES_##id] = { name, unit, help, scale },
#include "roles/contract/resources_sampled.def"
#undef RESOURCE
};

/* Two reads closer than this give no rate: the kernel's counters have a resolution of some milliseconds. */
#define RATE_MIN_US 200000

int resource_find(const char *name)
{
	for (int r = 0; r < RES_COUNT; r++)
		if (str_eq(resources[r].name, name))
			return r;
	return -1;
}

static double number_of(const json_t *doc, const char *path)
{
	const json_t *v = doc_get(doc, path);
	return json_is_number(v) ? json_number_value(v) : NAN;
}

static void unknown(double value[RES_COUNT])
{
	for (int r = 0; r < RES_COUNT; r++)
		value[r] = NAN;
}

/* Per second. A counter that went back was restarted: what it counted before is unknown. */
static double rate(int64_t now, int64_t before, int64_t elapsed_us)
{
	return now < 0 || before < 0 || now < before ? NAN : (double)(now - before) * 1e6 / (double)elapsed_us;
}

static void set_rates(const struct counters *now, struct counters *prev, int64_t cores, double value[RES_COUNT])
{
	int64_t elapsed = now->clock_us - prev->clock_us;
	bool first = prev->clock_us <= 0 || elapsed < 0; /* the host's clock starts again with the host */
	if (!first && elapsed < RATE_MIN_US)
		return; /* keeps the counters before, so that the next sample has a rate */
	if (!first) {
		double cpu = rate(now->cpu_us, prev->cpu_us, elapsed) / 1e6 * 100;
		value[RES_CPU_CORE] = cpu;
		value[RES_CPU] = cores > 0 ? cpu / (double)cores : NAN;
		value[RES_NET_IN] = rate(now->in, prev->in, elapsed) * 8 / 1000;
		value[RES_NET_OUT] = rate(now->out, prev->out, elapsed) * 8 / 1000;
		value[RES_IO_READ] = rate(now->io_read, prev->io_read, elapsed);
		value[RES_IO_WRITE] = rate(now->io_write, prev->io_write, elapsed);
	}
	*prev = *now;
}

static void set_pressure(const json_t *doc, double value[RES_COUNT])
{
	value[RES_PRESSURE_CPU] = number_of(doc, "pressure.cpu");
	value[RES_PRESSURE_MEMORY] = number_of(doc, "pressure.memory");
	value[RES_PRESSURE_IO] = number_of(doc, "pressure.io");
}

static double fullest_disk(const json_t *host)
{
	static const char *const disks[] = { "data", "log", "runtime" };
	const json_t *all = json_object_get(host, "disks");
	double most = NAN;
	for (size_t n = 0; n < ARRAY_LEN(disks); n++) {
		const json_t *d = json_object_get(all, disks[n]);
		int64_t used = doc_int(d, "used_bytes", 0), usable = used + doc_int(d, "free_bytes", 0);
		if (usable > 0)
			most = fmax(most, (double)used * 100 / (double)usable); /* as df: without what is reserved for root */
	}
	return most;
}

struct rates_host rates_host_of(const json_t *host)
{
	return (struct rates_host){ doc_int(host, "cores", 0), doc_int(host, "memory_total_bytes", 0), doc_int(host, "clock_usec", 0) };
}

void rates_of_host(const json_t *host, struct counters *prev, double value[RES_COUNT])
{
	struct rates_host h = rates_host_of(host);
	const json_t *network = json_object_get(host, "network");
	const struct counters now = { h.clock_us, doc_int(host, "cpu_usec", -1), doc_int(network, "bytes_in", -1),
				      doc_int(network, "bytes_out", -1), -1, -1 };
	unknown(value);
	set_rates(&now, prev, h.cores, value);
	/* the kernel counts in ticks, so that a busy host may seem to have used a little more than there is */
	value[RES_CPU] = isnan(value[RES_CPU]) ? NAN : fmin(value[RES_CPU], 100);
	value[RES_CPU_CORE] = value[RES_CPU] * (double)h.cores;
	/* the agent measures it over the last second; it stands in until there are two samples */
	if (isnan(value[RES_CPU])) {
		value[RES_CPU] = number_of(host, "cpu_percent");
		value[RES_CPU_CORE] = value[RES_CPU] * (double)h.cores;
	}
	value[RES_MEMORY] = number_of(host, "memory_used_bytes");
	value[RES_MEMORY_PERCENT] = number_of(host, "memory_percent");
	const json_t *load = json_array_get(json_object_get(host, "load"), 0);
	value[RES_LOAD] = json_is_number(load) ? json_number_value(load) : NAN;
	value[RES_DISK] = fullest_disk(host);
	value[RES_TEMPERATURE] = number_of(host, "temperature_celsius");
	set_pressure(host, value);
}

static double desktops_of(const json_t *doc)
{
	const json_t *n = json_object_get(doc, "sessions");
	return n ? (double)(doc_int(n, "active", 0) + doc_int(n, "disconnected", 0) + doc_int(n, "orphaned", 0)) : NAN;
}

void rates_of_group(const json_t *doc, const struct rates_host *h, struct counters *prev, double value[RES_COUNT])
{
	const struct counters now = { h->clock_us, doc_int(doc, "cpu_usec", -1), doc_int(doc, "bytes_in", -1),
				      doc_int(doc, "bytes_out", -1), doc_int(doc, "io_read_bytes", -1), doc_int(doc, "io_write_bytes", -1) };
	int64_t limit = doc_int(doc, "memory_limit_bytes", 0);
	int64_t whole = limit > 0 ? MIN(limit, MAX(h->memory_bytes, 1)) : h->memory_bytes;
	unknown(value);
	set_rates(&now, prev, h->cores, value);
	value[RES_MEMORY] = number_of(doc, "memory_bytes");
	value[RES_MEMORY_PERCENT] = whole > 0 ? value[RES_MEMORY] * 100 / (double)whole : NAN;
	value[RES_TASKS] = number_of(doc, "tasks");
	value[RES_SESSIONS] = desktops_of(doc);
	set_pressure(doc, value);
}

json_t *rates_value(double v, enum resource r)
{
	if (isnan(v))
		return NULL;
	if (r == RES_MEMORY || r == RES_IO_READ || r == RES_IO_WRITE)
		return json_integer((json_int_t)llround(v));
	return json_real(round(v * 1000) / 1000);
}
