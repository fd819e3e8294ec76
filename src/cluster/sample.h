/* sample: load of this host, for placement. Floor F5; reads /proc, does not block. */
#ifndef CLUSTER_SAMPLE_H
#define CLUSTER_SAMPLE_H

#include "lucid/base.h"

struct sample {
	int64_t cores, memory_mb;
	int cpu_percent;    /* since the previous sample; 0 in the first */
	int memory_percent; /* in use: not MemAvailable */
	int64_t busy, all;  /* counters of /proc/stat at the last sample */
};
/* Updates the sample, which begins as {0}. A value that cannot be read keeps its previous value. */
void sample_take(struct sample *s);

#endif
