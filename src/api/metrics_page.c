#include "api/core.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lucid/metrics.h"
#include "sys/log.h"

/* /metrics: the page of the registry, with the figures of this process taken when it is asked for. */

struct gauges {
	struct metric *connections, *accepted, *refused, *capped, *lag, *lag_worst, *log_dropped;
	struct metric *cpu, *resident, *virtual, *fds, *max_fds, *threads, *start;
};

static struct metric *one(const char *name, enum metric_type type, const char *help)
{
	return metric_series(metric_family(name, type, NULL, help), NULL);
}

/* When this process was started, in seconds since 1970: boot time and field 22 of its stat. */
static double process_start(void)
{
	char line[1024];
	unsigned long long ticks = 0, boot = 0;
	FILE *f = fopen("/proc/self/stat", "re");
	if (f) {
		size_t n = fread(line, 1, sizeof line - 1, f);
		line[n] = 0;
		char *p = strrchr(line, ')');
		if (p)
			sscanf(p + 1,
			       "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
			       &ticks);
		fclose(f);
	}
	f = fopen("/proc/stat", "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "btime %llu", &boot) == 1)
			break;
	if (f)
		fclose(f);
	return (double)boot + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

struct gauges *gauges_new(void)
{
	struct gauges *g = XNEW(struct gauges);
	g->connections = one("rdp_http_connections", METRIC_GAUGE, "Open client connections.");
	g->accepted = one("rdp_http_connections_accepted_total", METRIC_COUNTER, "Client connections accepted.");
	g->refused = one("rdp_http_refused_total", METRIC_COUNTER, "Requests refused before they were parsed.");
	g->capped = one("rdp_http_connections_refused_total", METRIC_COUNTER, "Connections refused over the cap.");
	g->lag = one("rdp_loop_lag_seconds", METRIC_GAUGE, "How late the loop was at its last beat.");
	g->lag_worst =
	    one("rdp_loop_lag_worst_seconds", METRIC_GAUGE, "How late it was at worst since the last scrape.");
	g->log_dropped = one("rdp_log_lines_dropped_total", METRIC_COUNTER, "Log lines that found no room or a full disk.");
	g->cpu = one("process_cpu_seconds_total", METRIC_COUNTER, "User and system CPU time spent.");
	g->resident = one("process_resident_memory_bytes", METRIC_GAUGE, "Resident memory.");
	g->virtual = one("process_virtual_memory_bytes", METRIC_GAUGE, "Virtual memory.");
	g->fds = one("process_open_fds", METRIC_GAUGE, "Open file descriptors.");
	g->max_fds = one("process_max_fds", METRIC_GAUGE, "Limit of open file descriptors.");
	g->threads = one("process_threads", METRIC_GAUGE, "Threads.");
	g->start = one("process_start_time_seconds", METRIC_GAUGE, "Start, in seconds since 1970.");
	metric_set(g->start, process_start());
	metric_set(
	    metric_with(metric_family("build_info", METRIC_GAUGE, "version,compiler", "Of this program; always 1."),
			LUCID_VERSION, __VERSION__),
	    1);
	return g;
}

void gauges_free(struct gauges *g)
{
	free(g);
}

static void take_memory(struct gauges *g)
{
	unsigned long long size, resident;
	FILE *f = fopen("/proc/self/statm", "re");
	if (!f)
		return;
	double page = (double)sysconf(_SC_PAGESIZE);
	if (fscanf(f, "%llu %llu", &size, &resident) == 2) {
		metric_set(g->virtual, (double)size * page);
		metric_set(g->resident, (double)resident * page);
	}
	fclose(f);
}

static size_t count_entries(const char *path)
{
	size_t n = 0;
	DIR *d = opendir(path);
	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static void take_process(struct gauges *g)
{
	struct rusage u;
	struct rlimit limit;
	if (getrusage(RUSAGE_SELF, &u) == 0)
		metric_set(g->cpu, (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
				       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		metric_set(g->max_fds, (double)limit.rlim_cur);
	size_t fds = count_entries("/proc/self/fd");
	metric_set(g->fds, fds ? (double)(fds - 1) : 0); /* without the one that counted them */
	metric_set(g->threads, (double)count_entries("/proc/self/task"));
	take_memory(g);
}

static void take_server(struct api *a)
{
	struct gauges *g = a->gauges;
	uint64_t accepted, refused, capped;
	int64_t worst_us;
	http_server_counts(a->server, &accepted, &refused, &capped);
	metric_set(g->connections, (double)http_server_connections(a->server));
	metric_set(g->accepted, (double)accepted);
	metric_set(g->refused, (double)refused);
	metric_set(g->capped, (double)capped);
	metric_set(g->lag, (double)loop_lag_us(a->env.loop, &worst_us) / 1e6);
	metric_set(g->lag_worst, (double)worst_us / 1e6);
	metric_set(g->log_dropped, (double)log_dropped());
}

void metrics_page_page(struct request *q)
{
	if (q->listener->role && !q->api->metrics_public && access_check(q, OP_ADMIN, RATE_EXEMPT) < 0)
		return;
	const char *accept = http_req_header(q->http, "Accept", NULL);
	bool open = accept && strstr(accept, "application/openmetrics-text");
	struct strbuf b = { 0 };
	take_process(q->api->gauges);
	take_server(q->api);
	metrics_page(&b, open);
	reply_text(q, 200,
		   open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
			: "text/plain; version=0.0.4; charset=utf-8",
		   b.s ? b.s : "", b.len);
	strbuf_done(&b);
}
