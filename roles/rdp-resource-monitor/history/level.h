/* level: how long figures are kept at which resolution, and in which documents. Floor F6; pure functions. */
#ifndef MONITOR_LEVEL_H
#define MONITOR_LEVEL_H

#include "lucid/store.h"
#include "roles/rdp-resource-monitor/sample.h"

enum level { LEVEL_RAW, LEVEL_MINUTES, LEVEL_HOURS, LEVELS };
struct level_info {
	const char *name;  /* in the API and in ids */
	int64_t step_ms;   /* of one point; raw: 0 */
	int64_t bucket_ms; /* of one document */
	int64_t keep_ms;
};
extern const struct level_info levels[LEVELS];

#define SERIES_MAX (SAMPLE_ID_MAX + 8)
void level_series(enum level l, enum sample_kind kind, const char *id, char dst[SERIES_MAX]);
static inline int64_t level_bucket(enum level l, int64_t time_ms)
{
	return time_ms - time_ms % levels[l].bucket_ms;
}
void level_id(const char *series, int64_t start_ms, char dst[STORE_ID_MAX]);
/* The members that every document has; the caller frees. */
json_t *level_doc(enum level l, const char *series, const char *node, int64_t start_ms, int64_t version);
/* Selects the documents of a series whose bucket overlaps [from_ms, to_ms), in order of time. The result borrows `series`. */
struct store_query level_query(enum level l, const char *series, int64_t from_ms, int64_t to_ms);

#endif
