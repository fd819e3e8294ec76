#include "roles/rdp-resource-monitor/history/pack.h"

#include <math.h>

#include "lucid/str.h"

#define DIGIT_BITS 5
#define DIGIT_MORE 32
/* Larger figures are cut. Sums of two fit into 64 bits. */
#define NUMBER_MAX ((int64_t)1 << 52)
#define POINTS_MAX 100000 /* in one document */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* --- numbers */

static void put_number(struct strbuf *b, uint64_t v)
{
	do {
		unsigned digit = v & (DIGIT_MORE - 1);
		v >>= DIGIT_BITS;
		strbuf_putc(b, letters[digit | (v ? DIGIT_MORE : 0)]);
	} while (v);
}

static int letter_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static bool take_number(const char **at, uint64_t *ret)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
		int digit = letter_value(**at);
		if (digit < 0)
			return false;
		(*at)++;
		v |= (uint64_t)(digit & (DIGIT_MORE - 1)) << shift;
		if (!(digit & DIGIT_MORE)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* Differences have a sign: 0, -1, 1, -2 … become 0, 1, 2, 3. */
static uint64_t fold_sign(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static int64_t unfold_sign(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static int64_t scaled(double v, int resource)
{
	double x = v * resources[resource].scale;
	return x > (double)NUMBER_MAX ? NUMBER_MAX : x < -(double)NUMBER_MAX ? -NUMBER_MAX : llround(x);
}

/* --- writing */

struct pack_column {
	struct strbuf mean, lo, hi;
	int64_t last;
	bool known; /* in at least one point */
};

struct pack {
	int64_t start_ms, last_s; /* seconds since start_ms */
	bool rolled;
	size_t n;
	struct strbuf time, count;
	struct pack_column of[RES_COUNT];
};

struct pack *pack_new(int64_t start_ms, bool rolled)
{
	struct pack *p = XNEW(struct pack);
	p->start_ms = start_ms;
	p->rolled = rolled;
	return p;
}

void pack_free(struct pack *p)
{
	if (!p)
		return;
	strbuf_done(&p->time);
	strbuf_done(&p->count);
	for (int r = 0; r < RES_COUNT; r++) {
		strbuf_done(&p->of[r].mean);
		strbuf_done(&p->of[r].lo);
		strbuf_done(&p->of[r].hi);
	}
	free(p);
}

int64_t pack_last_ms(const struct pack *p)
{
	return p->n ? p->start_ms + p->last_s * 1000 : -1;
}

size_t pack_count(const struct pack *p)
{
	return p->n;
}

/* The points before the first known one. */
static void column_begin(struct pack_column *c, size_t before)
{
	for (size_t i = 0; i < before; i++)
		put_number(&c->mean, 0);
	c->known = true;
}

static void column_add(struct pack *p, int r, const struct reading *v)
{
	struct pack_column *c = &p->of[r];
	if (!c->known && isnan(v->mean))
		return;
	if (!c->known)
		column_begin(c, p->n);
	if (isnan(v->mean)) {
		put_number(&c->mean, 0);
		return;
	}
	int64_t mean = scaled(v->mean, r);
	put_number(&c->mean, fold_sign(mean - c->last) + 1);
	c->last = mean;
	if (!p->rolled)
		return;
	put_number(&c->lo, (uint64_t)MAX(mean - scaled(v->lo, r), 0));
	put_number(&c->hi, (uint64_t)MAX(scaled(v->hi, r) - mean, 0));
}

bool pack_add(struct pack *p, const struct point *point)
{
	int64_t s = (point->time_ms - p->start_ms) / 1000;
	if (point->time_ms < p->start_ms || (p->n && s <= p->last_s) || p->n == POINTS_MAX)
		return false;
	put_number(&p->time, (uint64_t)(s - p->last_s));
	p->last_s = s;
	if (p->rolled)
		put_number(&p->count, point->n);
	for (int r = 0; r < RES_COUNT; r++)
		column_add(p, r, &point->of[r]);
	p->n++;
	return true;
}

static void set_column(json_t *doc, const char *name, const struct strbuf *b)
{
	doc_set(doc, name, json_stringn(b->s ? b->s : "", b->len));
}

void pack_write(const struct pack *p, json_t *doc)
{
	json_t *mean = json_object(), *lo = json_object(), *hi = json_object();
	doc_set_int(doc, "n", (int64_t)p->n);
	set_column(doc, "t", &p->time);
	if (p->rolled)
		set_column(doc, "c", &p->count);
	for (int r = 0; r < RES_COUNT; r++) {
		if (!p->of[r].known)
			continue;
		set_column(mean, resources[r].name, &p->of[r].mean);
		set_column(lo, resources[r].name, &p->of[r].lo);
		set_column(hi, resources[r].name, &p->of[r].hi);
	}
	doc_set(doc, "m", mean);
	if (p->rolled) {
		doc_set(doc, "lo", lo);
		doc_set(doc, "hi", hi);
	} else {
		json_decref(lo);
		json_decref(hi);
	}
}

/* --- reading */

struct column_cursor {
	const char *mean, *lo, *hi; /* NULL: no such column */
	int64_t last;
};

static const char *column_text(const json_t *doc, const char *part, const char *name)
{
	return doc_str(json_object_get(doc, part), name, NULL);
}

static bool cursor_next(struct column_cursor *c, int r, struct reading *ret)
{
	uint64_t v, lo = 0, hi = 0;
	*ret = (struct reading){ NAN, NAN, NAN };
	if (!c->mean)
		return true;
	if (!take_number(&c->mean, &v))
		return false;
	if (!v)
		return true;
	c->last += unfold_sign(v - 1);
	if (c->last > NUMBER_MAX || c->last < -NUMBER_MAX)
		return false;
	if (c->lo && (!take_number(&c->lo, &lo) || !take_number(&c->hi, &hi)))
		return false;
	*ret = (struct reading){ (double)c->last / resources[r].scale, ((double)c->last - (double)lo) / resources[r].scale,
				 ((double)c->last + (double)hi) / resources[r].scale };
	return true;
}

bool pack_each(const json_t *doc, unsigned wanted, void (*fn)(const struct point *p, void *arg), void *arg)
{
	struct column_cursor of[RES_COUNT] = { 0 };
	const char *time = doc_str(doc, "t", ""), *count = doc_str(doc, "c", NULL);
	struct point p = { .time_ms = doc_int(doc, "start", 0) };
	int64_t n = doc_int(doc, "n", 0);
	for (int r = 0; r < RES_COUNT; r++) {
		if (!(wanted & 1u << r))
			continue;
		of[r].mean = column_text(doc, "m", resources[r].name);
		of[r].lo = column_text(doc, "lo", resources[r].name);
		of[r].hi = column_text(doc, "hi", resources[r].name);
		if (!of[r].hi)
			of[r].lo = NULL;
	}
	for (int64_t i = 0; i < n && i < POINTS_MAX; i++) {
		uint64_t step, samples = 1;
		if (!take_number(&time, &step) || step > UINT32_MAX || (count && !take_number(&count, &samples)))
			return false;
		p.time_ms += (int64_t)step * 1000;
		p.n = (uint32_t)MIN(samples, (uint64_t)UINT32_MAX);
		for (int r = 0; r < RES_COUNT; r++)
			if (!cursor_next(&of[r], r, &p.of[r]))
				return false;
		fn(&p, arg);
	}
	return true;
}

static void pack_take(const struct point *p, void *arg)
{
	pack_add(arg, p);
}

struct pack *pack_read(const json_t *doc, bool rolled)
{
	struct pack *p = pack_new(doc_int(doc, "start", 0), rolled);
	pack_each(doc, PACK_ALL, pack_take, p);
	return p;
}
