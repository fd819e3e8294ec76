#include "roles/rdp-resource-monitor/server_gauges.h"

#include <math.h>

#define SERVER_GAUGES 4

/* The names are those of the specification. */
static const struct {
	enum resource resource;
	const char *name, *help;
} table[SERVER_GAUGES] = {
	{ RES_CPU, "rdp_cpu_usage_percent", "CPU usage of a server, in percent of all cores of its host." },
	{ RES_MEMORY_PERCENT, "rdp_memory_usage_percent", "Working set of a server, in percent of its limit, or of the host's memory if it has none." },
	{ RES_NET_IN, "rdp_network_in_kbps", "Data that a server receives from its clients, in 1,000 bits a second." },
	{ RES_NET_OUT, "rdp_network_out_kbps", "Data that a server sends to its clients, in 1,000 bits a second." },
};

struct server_gauges {
	struct metric_family *family[SERVER_GAUGES];
};

static void gauges_sample(const struct sample *sample, void *arg)
{
	struct server_gauges *g = arg;
	if (sample->kind != SAMPLE_SERVER)
		return;
	for (size_t n = 0; n < SERVER_GAUGES; n++) {
		double v = sample->value[table[n].resource];
		if (isnan(v))
			metric_forget(g->family[n], sample->id); /* rather than a figure of the past */
		else
			metric_set(metric_with(g->family[n], sample->id), v);
	}
}

static void gauges_gone(enum sample_kind kind, const char *id, void *arg)
{
	struct server_gauges *g = arg;
	for (size_t n = 0; kind == SAMPLE_SERVER && n < SERVER_GAUGES; n++)
		metric_forget(g->family[n], id);
}

struct server_gauges *server_gauges_new(struct sampler *s)
{
	struct server_gauges *g = XNEW(struct server_gauges);
	for (size_t n = 0; n < SERVER_GAUGES; n++)
		g->family[n] = metric_family(table[n].name, METRIC_GAUGE, "server_id", table[n].help);
	sampler_listen(s, &(struct sample_listener){ .on_sample = gauges_sample, .on_gone = gauges_gone, .arg = g });
	return g;
}

void server_gauges_free(struct server_gauges *g)
{
	free(g);
}
