/* range: the range of time and the step of a request for history. Floor F6; pure functions. */
#ifndef MONITOR_RANGE_H
#define MONITOR_RANGE_H

#include "lucid/doc.h"
#include "roles/rdp-resource-monitor/history/level.h"

#define RANGE_POINTS_MAX 2000
struct range {
	int64_t from_ms, to_ms, step_ms;
	size_t points;
	enum level level; /* where reading begins */
};
/* Reads `from`, `to` and `step` of a query; absent: the last hour, now, and a step that gives at most 360 points. False: the range makes no
 * sense; faults then has the field and a sentence. */
bool range_read(const json_t *query, int64_t now_ms, struct range *ret, struct faults *faults);

#endif
