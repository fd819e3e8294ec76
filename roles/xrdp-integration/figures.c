#include "roles/xrdp-integration/figures.h"

#include "lucid/metrics.h"
#include "lucid/str.h"

struct figures {
	struct subscription *events, *connections, *logins, *displays;
	struct metric *starts, *failures, *start_time, *xrdp, *sesman, *logged_in, *taken;
	struct metric_family *refused, *failed;
};

static struct metric *one(const char *name, enum metric_type type, const char *help)
{
	return metric_series(metric_family(name, type, NULL, help), NULL);
}

/* An adopted or recovered instance was not started; its event has no start_ms. */
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

static void on_xrdp_event(const struct event *e, void *arg)
{
	struct figures *f = arg;
	if (str_eq(e->topic, "xrdp.instance.started"))
		on_started(f, e->data);
	else if (str_eq(e->topic, "xrdp.instance.status"))
		on_status(f, e->data);
	else if (str_eq(doc_str(e->data, "status", ""), "failed"))
		metric_add(f->failures, 1);
}

static void on_refused(const struct event *e, void *arg)
{
	struct figures *f = arg;
	json_t *n;
	const char *reason;
	json_object_foreach (json_object_get(e->data, "reasons"), reason, n)
		metric_add(metric_with(f->refused, reason), (double)json_integer_value(n));
}

static void on_login(const struct event *e, void *arg)
{
	struct figures *f = arg;
	if (str_eq(e->topic, "xrdp.login.succeeded"))
		metric_add(f->logged_in, 1);
	else
		metric_add(metric_with(f->failed, doc_str(e->data, "reason", "")), 1);
}

static void on_display(UNUSED const struct event *e, void *arg)
{
	struct figures *f = arg;
	metric_add(f->taken, 1);
}

struct figures *figures_new(struct bus *b)
{
	struct figures *f = XNEW(struct figures);
	struct metric_family *again = metric_family("rdp_instance_restarts_total", METRIC_COUNTER, "process",
						    "Restarts of an instance's xrdp or sesman after it died, by process.");
	f->starts = one("rdp_instance_starts_total", METRIC_COUNTER, "Instances started on this host; adopted instances are not counted.");
	f->failures = one("rdp_instance_failures_total", METRIC_COUNTER, "Instances of this host that entered the status failed.");
	f->start_time = one("rdp_instance_start_seconds", METRIC_HISTOGRAM, "Time from the request to start an instance until its xrdp listens, in seconds.");
	f->xrdp = metric_with(again, "xrdp");
	f->sesman = metric_with(again, "sesman");
	f->refused = metric_family("rdp_connections_refused_total", METRIC_COUNTER, "reason",
				   "RDP connections closed because of a limit, LOGIN_TIMEOUT or a blocked address, by reason.");
	f->connections = bus_subscribe(b, "xrdp.connections.*", on_refused, f);
	f->logged_in = one("rdp_logins_total", METRIC_COUNTER, "RDP logins that reached a desktop.");
	f->failed = metric_family("rdp_login_failures_total", METRIC_COUNTER, "reason", "RDP logins that failed, by reason.");
	f->logins = bus_subscribe(b, "xrdp.login.*", on_login, f);
	f->taken = one("rdp_displays_taken_total", METRIC_COUNTER,
		       "Displays skipped because a process outside the instance holds their abstract X socket name.");
	f->displays = bus_subscribe(b, "xrdp.display.*", on_display, f);
	f->events = bus_subscribe(b, "xrdp.instance.*", on_xrdp_event, f);
	return f;
}

void figures_free(struct figures *f)
{
	if (!f)
		return;
	bus_unsubscribe(f->events);
	bus_unsubscribe(f->connections);
	bus_unsubscribe(f->logins);
	bus_unsubscribe(f->displays);
	free(f);
}
