/* sample: how busy this host is, for placement. Floor F5; reads /proc, does not block. */
#ifndef CLUSTER_SAMPLE_H
#define CLUSTER_SAMPLE_H

#include "lucid/base.h"

struct sample {
	int64_t cores, memory_mb;
	int cpu_percent;    /* since the sample before; 0 in the first */
	int memory_percent; /* of it that is not available */
	int64_t busy, all;  /* the counters it stands on */
};
/* Bring it up to now; begin with {0}. What cannot be read stays as it was. */
void sample_take(struct sample *s);

#endif
