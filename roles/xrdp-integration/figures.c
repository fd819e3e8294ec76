#include "roles/xrdp-integration/figures.h"

#include "lucid/metrics.h"
#include "lucid/str.h"

struct figures {
	struct subscription *events;
	struct metric *starts, *failures, *start_time, *xrdp, *sesman;
};

static struct metric *one(const char *name, enum metric_type type, const char *help)
{
	return metric_series(metric_family(name, type, NULL, help), NULL);
}

/* One that was found again was not started; a failed one that is well again neither. */
static void on_started(struct figures *f, const json_t *data)
{
	int64_t ms = doc_int(data, "start_ms", -1);
	if (ms < 0)
		return;
	metric_add(f->starts, 1);
	metric_observe(f->start_time, (double)ms / 1000);
}

static void on_status(struct figures *f, const json_t *data)
{
	const char *process = doc_str(data, "process", "");
	if (*process && doc_int(data, "pid", 0) > 0)
		metric_add(str_eq(process, "xrdp") ? f->xrdp : f->sesman, 1);
}

static void on_event(const struct event *e, void *arg)
{
	struct figures *f = arg;
	if (str_eq(e->topic, "xrdp.instance.started"))
		on_started(f, e->data);
	else if (str_eq(e->topic, "xrdp.instance.status"))
		on_status(f, e->data);
	else if (str_eq(doc_str(e->data, "status", ""), "failed"))
		metric_add(f->failures, 1);
}

struct figures *figures_new(struct bus *b)
{
	struct figures *f = XNEW(struct figures);
	struct metric_family *again = metric_family("rdp_instance_restarts_total", METRIC_COUNTER, "process",
						    "Processes of instances that died and were started again.");
	f->starts = one("rdp_instance_starts_total", METRIC_COUNTER, "Instances of xrdp started.");
	f->failures = one("rdp_instance_failures_total", METRIC_COUNTER, "Instances of xrdp that failed.");
	f->start_time = one("rdp_instance_start_seconds", METRIC_HISTOGRAM, "From the request to an answering xrdp.");
	f->xrdp = metric_with(again, "xrdp");
	f->sesman = metric_with(again, "sesman");
	f->events = bus_subscribe(b, "xrdp.instance.*", on_event, f);
	return f;
}

void figures_free(struct figures *f)
{
	if (!f)
		return;
	bus_unsubscribe(f->events);
	free(f);
}
