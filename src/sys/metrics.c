#include "lucid/metrics.h"

#include <math.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/list.h"

#define MAX_SERIES 4096

static const double bounds[] = { 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
				 0.1,	 0.25,	  0.5,	  1,	 2.5,	 5,	10 };
#define NBUCKETS ARRAY_LEN(bounds)

struct exemplar {
	double value;
	int64_t wall_ms;
	char request_id[ID_REQUEST_MAX + 1];
};

struct metric {
	struct list node;
	char *labels[METRIC_MAX_LABELS];
	double value; /* sum, for a histogram */
	uint64_t count;
	uint64_t *buckets;
	struct exemplar **exemplars; /* of each bucket, the last one has no bound; NULL: none yet */
};

struct metric_family {
	struct list node, series;
	const char *name, *help;
	enum metric_type type;
	char names[METRIC_MAX_LABELS][32];
	size_t nlabels, nseries;
};

static struct list families = { &families, &families };

struct metric_family *metric_family(const char *name, enum metric_type type, const char *labels, const char *help)
{
	struct metric_family *f;
	LIST_FOREACH(f, &families, node)
		if (str_eq(f->name, name))
			return f;
	f = XNEW(struct metric_family);
	f->name = name;
	f->help = help;
	f->type = type;
	list_init(&f->series);
	while (labels && *labels && f->nlabels < METRIC_MAX_LABELS) {
		size_t n = strcspn(labels, ",");
		snprintf(f->names[f->nlabels++], sizeof f->names[0], "%.*s", (int)n, labels);
		labels += n + (labels[n] == ',');
	}
	list_append(&families, &f->node);
	return f;
}

static struct metric *series_find(struct metric_family *f, const char *const *values)
{
	struct metric *m;
	LIST_FOREACH(m, &f->series, node) {
		size_t i = 0;
		while (i < f->nlabels && str_eq(m->labels[i], values[i]))
			i++;
		if (i == f->nlabels)
			return m;
	}
	return NULL;
}

struct metric *metric_series(struct metric_family *f, const char *const *values)
{
	static const char *const other[METRIC_MAX_LABELS] = { "other", "other", "other", "other" };
	struct metric *m = series_find(f, values);
	if (!m && f->nseries >= MAX_SERIES) {
		values = other;
		m = series_find(f, values);
	}
	if (m)
		return m;
	m = XNEW(struct metric);
	for (size_t i = 0; i < f->nlabels; i++)
		m->labels[i] = xstrdup(values[i]);
	if (f->type == METRIC_HISTOGRAM)
		m->buckets = xcalloc(NBUCKETS, sizeof *m->buckets);
	list_append(&f->series, &m->node);
	f->nseries++;
	return m;
}

static void series_free(struct metric_family *f, struct metric *m)
{
	list_remove(&m->node);
	f->nseries--;
	for (size_t i = 0; i < METRIC_MAX_LABELS; i++)
		free(m->labels[i]);
	for (size_t i = 0; m->exemplars && i <= NBUCKETS; i++)
		free(m->exemplars[i]);
	free(m->exemplars);
	free(m->buckets);
	free(m);
}

void metric_forget(struct metric_family *f, const char *first)
{
	struct metric *m, *tmp;
	LIST_FOREACH_SAFE(m, tmp, &f->series, node)
		if (str_eq(m->labels[0], first))
			series_free(f, m);
}

void metric_add(struct metric *m, double v)
{
	m->value += v;
}

void metric_set(struct metric *m, double v)
{
	m->value = v;
}

/* Returns the index of the bucket; NBUCKETS: it is above all bounds. */
static size_t observe(struct metric *m, double seconds)
{
	m->value += seconds;
	m->count++;
	for (size_t i = 0; i < NBUCKETS; i++)
		if (seconds <= bounds[i]) {
			m->buckets[i]++; /* the page adds them up to cumulative counts */
			return i;
		}
	return NBUCKETS;
}

void metric_observe(struct metric *m, double seconds)
{
	observe(m, seconds);
}

void metric_observe_request(struct metric *m, double seconds, const char *request_id)
{
	size_t i = observe(m, seconds), n = strlen(request_id);
	if (!n || n > ID_REQUEST_MAX)
		return;
	if (!m->exemplars)
		m->exemplars = xcalloc(NBUCKETS + 1, sizeof *m->exemplars);
	if (!m->exemplars[i])
		m->exemplars[i] = XNEW(struct exemplar);
	struct exemplar *e = m->exemplars[i];
	e->value = seconds;
	e->wall_ms = clock_wall_ms();
	memcpy(e->request_id, request_id, n + 1);
}

static void add_value(struct strbuf *out, double v)
{
	if (fabs(v) < 1e15 && v == (double)(int64_t)v)
		strbuf_printf(out, " %lld", (long long)v);
	else
		strbuf_printf(out, " %.15g", v);
}

static void add_number(struct strbuf *out, double v)
{
	add_value(out, v);
	strbuf_putc(out, '\n');
}

static void add_quoted(struct strbuf *out, const char *text)
{
	strbuf_putc(out, '"');
	for (const char *s = text; *s; s++)
		if (*s == '\\' || *s == '"')
			strbuf_printf(out, "\\%c", *s);
		else if (*s == '\n')
			strbuf_puts(out, "\\n");
		else
			strbuf_putc(out, *s);
	strbuf_putc(out, '"');
}

static void add_labels(struct strbuf *out, const struct metric_family *f, const struct metric *m, const char *le)
{
	if (!f->nlabels && !le)
		return;
	const char *sep = "{";
	for (size_t i = 0; i < f->nlabels; i++, sep = ",") {
		strbuf_printf(out, "%s%s=", sep, f->names[i]);
		add_quoted(out, m->labels[i]);
	}
	if (le)
		strbuf_printf(out, "%sle=\"%s\"", sep, le);
	strbuf_putc(out, '}');
}

static void add_exemplar(struct strbuf *out, const struct exemplar *e)
{
	strbuf_puts(out, " # {request_id=");
	add_quoted(out, e->request_id);
	strbuf_putc(out, '}');
	add_value(out, e->value);
	strbuf_printf(out, " %lld.%03d", (long long)(e->wall_ms / 1000), (int)(e->wall_ms % 1000));
}

static void add_histogram(struct strbuf *out, const struct metric_family *f, const struct metric *m, bool openmetrics)
{
	uint64_t sum = 0;
	char le[32];
	for (size_t i = 0; i <= NBUCKETS; i++) {
		if (i < NBUCKETS)
			snprintf(le, sizeof le, "%g", bounds[i]);
		else
			strcpy(le, "+Inf");
		sum = i < NBUCKETS ? sum + m->buckets[i] : m->count;
		strbuf_printf(out, "%s_bucket", f->name);
		add_labels(out, f, m, le);
		add_value(out, (double)sum);
		if (openmetrics && m->exemplars && m->exemplars[i])
			add_exemplar(out, m->exemplars[i]);
		strbuf_putc(out, '\n');
	}
	strbuf_printf(out, "%s_sum", f->name);
	add_labels(out, f, m, NULL);
	add_number(out, m->value);
	strbuf_printf(out, "%s_count", f->name);
	add_labels(out, f, m, NULL);
	add_number(out, (double)m->count);
}

/* Of the names that end in a unit. */
static void add_unit(struct strbuf *out, const char *name, int n)
{
	static const char *const units[] = { "seconds", "bytes", "celsius" };
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		int len = (int)strlen(units[i]);
		if (n > len && name[n - len - 1] == '_' && !strncmp(name + n - len, units[i], (size_t)len))
			strbuf_printf(out, "# UNIT %.*s %s\n", n, name, units[i]);
	}
}

static void add_family(struct strbuf *out, const struct metric_family *f, bool openmetrics)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };
	struct metric *m;
	/* in OpenMetrics, the name of a counter family lacks the suffix _total of its samples */
	int n = (int)strlen(f->name);
	if (openmetrics && f->type == METRIC_COUNTER && str_ends(f->name, "_total"))
		n -= 6;
	strbuf_printf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", n, f->name, f->help, n, f->name, types[f->type]);
	if (openmetrics)
		add_unit(out, f->name, n);
	LIST_FOREACH(m, &f->series, node) {
		if (f->type == METRIC_HISTOGRAM) {
			add_histogram(out, f, m, openmetrics);
			continue;
		}
		strbuf_puts(out, f->name);
		add_labels(out, f, m, NULL);
		add_number(out, m->value);
	}
}

void metrics_page(struct strbuf *out, bool openmetrics)
{
	struct metric_family *f;
	LIST_FOREACH(f, &families, node)
		if (f->nseries)
			add_family(out, f, openmetrics);
	if (openmetrics)
		strbuf_puts(out, "# EOF\n");
}

void metrics_families(void (*fn)(const char *name, enum metric_type type, const char *labels, const char *help, void *arg), void *arg)
{
	struct metric_family *f;
	LIST_FOREACH(f, &families, node) {
		char labels[METRIC_MAX_LABELS * sizeof f->names[0]] = "";
		for (size_t i = 0, n = 0; i < f->nlabels; i++)
			n += (size_t)snprintf(labels + n, sizeof labels - n, "%s%s", n ? "," : "", f->names[i]);
		fn(f->name, f->type, labels, f->help, arg);
	}
}

void metrics_reset(void)
{
	struct metric_family *f, *ftmp;
	struct metric *m, *mtmp;
	LIST_FOREACH_SAFE(f, ftmp, &families, node) {
		LIST_FOREACH_SAFE(m, mtmp, &f->series, node)
			series_free(f, m);
		list_remove(&f->node);
		free(f);
	}
}
