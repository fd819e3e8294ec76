/* rates: figures of an object from two of the agent's documents. Floor F6; pure functions. */
#ifndef MONITOR_RATES_H
#define MONITOR_RATES_H

#include "lucid/doc.h"
#include "roles/rdp-resource-monitor/sample.h"

/* Counters as they were read; -1: unknown. */
struct counters {
	int64_t clock_us, cpu_us, in, out, io_read, io_write;
};
/* Of the host of a group. */
struct rates_host {
	int64_t cores, memory_bytes, clock_us;
};

/* Reads the host's document (the member `host` of xrdp.stats). prev: counters before, clock_us 0: none; replaced by the present ones. */
void rates_of_host(const json_t *host, struct counters *prev, double value[RES_COUNT]);
struct rates_host rates_host_of(const json_t *host);
/* Reads the document of an instance or of one of its desktops. */
void rates_of_group(const json_t *doc, const struct rates_host *h, struct counters *prev, double value[RES_COUNT]);

/* A value for a response: null if it is NAN. */
json_t *rates_value(double v, enum resource r);

#endif
