#include "roles/rdp-resource-monitor/history/level.h"

#include <stdio.h>

#define MINUTE ((int64_t)60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* Buckets are small where they are written often (raw: with every sample) and large where they are read in number. A year is 13 documents. */
const struct level_info levels[LEVELS] = {
	[LEVEL_RAW] = { "raw", 0, 15 * MINUTE, DAY },
	[LEVEL_MINUTES] = { "5m", 5 * MINUTE, DAY, 30 * DAY },
	[LEVEL_HOURS] = { "1h", HOUR, 30 * DAY, 366 * DAY },
};

void level_series(enum level l, enum sample_kind kind, const char *id, char dst[SERIES_MAX])
{
	snprintf(dst, SERIES_MAX, "%c:%s/%s", "nsd"[kind], id, levels[l].name);
}

void level_id(const char *series, int64_t start_ms, char dst[STORE_ID_MAX])
{
	snprintf(dst, STORE_ID_MAX, "%s/%lld", series, (long long)(start_ms / 1000));
}

json_t *level_doc(enum level l, const char *series, const char *node, int64_t start_ms, int64_t version)
{
	json_t *doc = json_object();
	char id[STORE_ID_MAX];
	level_id(series, start_ms, id);
	doc_set_str(doc, "id", id);
	doc_set_int(doc, "version", version);
	doc_set_str(doc, "series", series);
	doc_set_str(doc, "node", node);
	doc_set_int(doc, "start", start_ms);
	doc_set_int(doc, "expires_at", start_ms + levels[l].bucket_ms + levels[l].keep_ms);
	return doc;
}

struct store_query level_query(enum level l, const char *series, int64_t from_ms, int64_t to_ms)
{
	return (struct store_query){
		.filters = { { .path = "series", .cmp = STORE_EQ, .text = series },
			     { .path = "start", .cmp = STORE_GE, .number = level_bucket(l, MAX(from_ms, 0)) },
			     { .path = "start", .cmp = STORE_LT, .number = to_ms } },
		.nfilters = 3,
		.sort = { .path = "start" },
		.limit = STORE_MAX_PAGE,
	};
}
