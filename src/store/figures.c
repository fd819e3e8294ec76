#include "store/figures.h"

static const char *const KINDS[STORE_KIND_COUNT] = { "write", "get", "list" };
static const char *const RESULTS[] = { "ok", "missing", "exists", "stale", "failed" };

void store_figures_init(struct store_figures *m)
{
	struct metric_family *ops = metric_family("rdp_store_operations_total", METRIC_COUNTER, "op,result",
						  "Operations of the store, by kind and result; a list of writes is one operation.");
	struct metric_family *seconds = metric_family("rdp_store_operation_seconds", METRIC_HISTOGRAM, "op",
						      "Time from a request to the store until its result, in seconds.");
	for (int k = 0; k < STORE_KIND_COUNT; k++) {
		for (int r = 0; r <= STORE_FAILED; r++)
			m->results[k][r] = metric_with(ops, KINDS[k], RESULTS[r]);
		m->seconds[k] = metric_with(seconds, KINDS[k]);
	}
	m->depth = metric_series(metric_family("rdp_store_queue_depth", METRIC_GAUGE, NULL,
					       "Write operations in flight in the store."), NULL);
	m->batches = metric_series(metric_family("rdp_store_commits_total", METRIC_COUNTER, NULL,
						 "Commits of the store; one commit may contain several write operations."), NULL);
	m->coalesced = metric_series(metric_family("rdp_store_coalesced_reads_total", METRIC_COUNTER, NULL,
						"Reads that shared the result of an identical read in flight."), NULL);
	m->hits = metric_series(metric_family("rdp_store_cache_hits_total", METRIC_COUNTER, NULL,
					      "Reads of a document that the cache answered."), NULL);
	m->misses = metric_series(metric_family("rdp_store_cache_misses_total", METRIC_COUNTER, NULL,
						"Reads of a document that was not in the cache."), NULL);
	m->cache_bytes = metric_series(metric_family("rdp_store_cache_bytes", METRIC_GAUGE, NULL,
						     "Memory used by cached documents, in bytes."), NULL);
}
