/*
 * metrics: counters, gauges and histograms of the whole process. Floor F1, loop thread only; other threads keep counts of their own and
 * pass them to the loop. A family has a fixed list of label names. Callers create a series once and keep the pointer, so that counting
 * is one addition. The number of series in a family is bounded: further label values share one series, labelled "other".
 */
#ifndef LUCID_METRICS_H
#define LUCID_METRICS_H

#include "lucid/str.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
#define METRIC_MAX_LABELS 4

struct metric_family;
struct metric; /* one series */

/* Names and help are static. `labels` is a comma-separated list or NULL. The same name returns the same family. */
struct metric_family *metric_family(const char *name, enum metric_type type, const char *labels, const char *help);
/* The series with these label values (as many as the family has names), created at the first call. */
struct metric *metric_series(struct metric_family *f, const char *const *values);
#define metric_with(f, ...) metric_series(f, (const char *const[]){ __VA_ARGS__ })
void metric_forget(struct metric_family *f, const char *first_label_value); /* removes the series with this value of the first label */

void metric_add(struct metric *m, double v); /* counters, gauges */
void metric_set(struct metric *m, double v); /* gauges */
void metric_observe(struct metric *m, double seconds); /* histograms; buckets 0.1 ms to 10 s */
/* The same; the id becomes the exemplar of its bucket, which OpenMetrics shows: the latest request of about that duration. An id that is longer than
 * ID_REQUEST_MAX is not kept. */
void metric_observe_request(struct metric *m, double seconds, const char *request_id);
/* Appends all metrics in Prometheus text format 0.0.4, or OpenMetrics 1.0. */
void metrics_page(struct strbuf *out, bool openmetrics);
/* Calls fn for every family, in no particular order; `labels` as in metric_family. */
void metrics_families(void (*fn)(const char *name, enum metric_type type, const char *labels, const char *help, void *arg), void *arg);
void metrics_reset(void); /* removes everything; for tests and after a fork */

#endif
