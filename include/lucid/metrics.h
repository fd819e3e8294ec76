/*
 * metrics: counters, gauges and histograms of the whole process. Floor F1, loop thread only (other threads count for
 * themselves and hand over). A family has a fixed list of label names; a series is made once and its pointer kept, so that
 * counting is one addition. Series per family are bounded: past the cap they all share one series, labelled "other".
 */
#ifndef LUCID_METRICS_H
#define LUCID_METRICS_H

#include "lucid/str.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
#define METRIC_MAX_LABELS 4

struct metric_family;
struct metric; /* one series */

/* Names and help are static. `labels` is a comma-separated list or NULL. Asking again for a name gives the same family. */
struct metric_family *metric_family(const char *name, enum metric_type type, const char *labels, const char *help);
/* The series with these label values (as many as the family has names), made when it is new. */
struct metric *metric_series(struct metric_family *f, const char *const *values);
#define metric_with(f, ...) metric_series(f, (const char *const[]){ __VA_ARGS__ })
void metric_forget(struct metric_family *f, const char *first_label_value); /* drop the series whose first label is that */

void metric_add(struct metric *m, double v); /* counters, gauges */
void metric_set(struct metric *m, double v); /* gauges */
void metric_observe(struct metric *m, double seconds); /* histograms; buckets 0.1 ms to 10 s */
/* The page: text format 0.0.4, or OpenMetrics 1.0. */
void metrics_page(struct strbuf *out, bool openmetrics);
/* Every family there is, in no order; `labels` as it was given. */
void metrics_families(void (*fn)(const char *name, enum metric_type type, const char *labels, const char *help, void *arg), void *arg);
void metrics_reset(void); /* drop everything; for tests and after a fork */

#endif
