#include "roles/rdp-resource-monitor/history/range.h"

#include "lucid/clock.h"

#define SECOND ((int64_t)1000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define USUAL_POINTS 360

/* Steps that people read easily, in seconds. */
static const int64_t usual_steps[] = { 1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 2 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400 };

static int64_t usual_step(int64_t span_ms)
{
	size_t i = 0;
	while (i + 1 < ARRAY_LEN(usual_steps) && span_ms > usual_steps[i] * SECOND * USUAL_POINTS)
		i++;
	return usual_steps[i];
}

static bool range_time(const json_t *query, const char *name, int64_t otherwise, int64_t *ret)
{
	const char *text = doc_str(query, name, NULL);
	*ret = otherwise;
	return !text || clock_from_iso(text, ret);
}

/* The coarsest level that has all points asked for: what is older than a level keeps is in the next one only, and a long range at a large step
 * need not be read in detail. */
static enum level range_level(const struct range *r, int64_t now_ms)
{
	enum level l = LEVEL_RAW;
	while (l + 1 < LEVELS && (r->from_ms < now_ms - levels[l].keep_ms ||
				  (r->to_ms - r->from_ms > DAY && r->step_ms >= levels[l + 1].step_ms && r->step_ms % levels[l + 1].step_ms == 0)))
		l++;
	return l;
}

static bool range_times(struct range *r, int64_t now_ms, struct faults *faults)
{
	char from[CLOCK_ISO_SIZE], to[CLOCK_ISO_SIZE], now[CLOCK_ISO_SIZE];
	clock_iso(from, r->from_ms);
	clock_iso(to, r->to_ms);
	if (r->from_ms >= r->to_ms)
		faults_add(faults, "from", "%s is not before `to`, which is %s; swap them, or widen the range", from, to);
	else if (r->from_ms > now_ms)
		faults_add(faults, "from", "%s is in the future: it is %s; there are figures of the past only", from, clock_iso(now, now_ms));
	else if (r->to_ms - r->from_ms > levels[LEVEL_HOURS].keep_ms)
		faults_add(faults, "from", "the range of %lld days is too long: figures are kept for %lld days", (long long)((r->to_ms - r->from_ms) / DAY),
			   (long long)(levels[LEVEL_HOURS].keep_ms / DAY));
	else
		return true;
	return false;
}

static bool range_step(struct range *r, int64_t step_s, struct faults *faults)
{
	int64_t span_s = (r->to_ms - r->from_ms + SECOND - 1) / SECOND;
	int64_t least = (span_s + RANGE_POINTS_MAX - 1) / RANGE_POINTS_MAX;
	if (step_s < 1) {
		faults_add(faults, "step", "%lld is not a step; give the seconds between two points, at least 1", (long long)step_s);
		return false;
	}
	if (step_s < least) {
		faults_add(faults, "step", "a step of %lld s gives %lld points, and at most %d are answered; give a step of at least %lld s, or a shorter range",
			   (long long)step_s, (long long)((span_s + step_s - 1) / step_s), RANGE_POINTS_MAX, (long long)least);
		return false;
	}
	/* one point, whatever the step */
	r->step_ms = MIN(step_s, span_s) * SECOND;
	r->points = (size_t)((r->to_ms - r->from_ms + r->step_ms - 1) / r->step_ms);
	return true;
}

bool range_read(const json_t *query, int64_t now_ms, struct range *ret, struct faults *faults)
{
	*ret = (struct range){ 0 };
	if (!range_time(query, "to", now_ms, &ret->to_ms) || !range_time(query, "from", MAX(ret->to_ms - HOUR, 0), &ret->from_ms)) {
		faults_add(faults, "from", "not a time; write it as 2026-01-31T10:00:00Z");
		return false;
	}
	if (!range_times(ret, now_ms, faults))
		return false;
	ret->to_ms = MIN(ret->to_ms, now_ms + 1); /* what is to come is not there */
	int64_t step_s = doc_int(query, "step", usual_step(ret->to_ms - ret->from_ms));
	if (!range_step(ret, step_s, faults))
		return false;
	ret->level = range_level(ret, now_ms);
	return true;
}
