/* figures: metrics of the store's front. Floor F3, of this room alone, loop thread only. */
#ifndef STORE_FIGURES_H
#define STORE_FIGURES_H

#include "lucid/metrics.h"
#include "store/driver.h"

struct store_figures {
	struct metric *results[STORE_KIND_COUNT][STORE_FAILED + 1], *seconds[STORE_KIND_COUNT];
	struct metric *depth, *batches, *coalesced, *hits, *misses, *cache_bytes;
};
void store_figures_init(struct store_figures *m);

#endif
