#include "roles/rdp-resource-monitor/history/point.h"

#include <math.h>

void point_from(struct point *p, int64_t time_ms, const double value[RES_COUNT])
{
	p->time_ms = time_ms;
	p->n = 1;
	for (int r = 0; r < RES_COUNT; r++)
		p->of[r] = (struct reading){ value[r], value[r], value[r] };
}

void tally_add(struct tally *t, const struct reading *r, uint32_t n)
{
	if (isnan(r->mean) || !n)
		return;
	t->lo = t->n ? fmin(t->lo, r->lo) : r->lo;
	t->hi = t->n ? fmax(t->hi, r->hi) : r->hi;
	t->sum += r->mean * n;
	t->n += n;
}

struct reading tally_reading(const struct tally *t)
{
	if (!t->n)
		return (struct reading){ NAN, NAN, NAN };
	return (struct reading){ t->sum / t->n, t->lo, t->hi };
}

static void slot_take(struct slot *s, struct point *ret)
{
	ret->time_ms = s->begin_ms;
	ret->n = s->n;
	for (int r = 0; r < RES_COUNT; r++)
		ret->of[r] = tally_reading(&s->of[r]);
	*s = (struct slot){ 0 };
}

bool slot_add(struct slot *s, int64_t length_ms, const struct point *p, struct point *ret)
{
	int64_t begin = p->time_ms - p->time_ms % length_ms;
	bool complete = s->n && begin > s->begin_ms;
	if (s->n && begin < s->begin_ms)
		return false;
	if (complete)
		slot_take(s, ret);
	s->begin_ms = begin;
	s->n += p->n;
	for (int r = 0; r < RES_COUNT; r++)
		tally_add(&s->of[r], &p->of[r], p->n);
	return complete;
}

bool slot_close(struct slot *s, int64_t length_ms, int64_t now_ms, struct point *ret)
{
	if (!s->n || s->begin_ms + length_ms > now_ms)
		return false;
	slot_take(s, ret);
	return true;
}
