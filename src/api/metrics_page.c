#include "api/metrics_page.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/access.h"
#include "api/answer/reply.h"
#include "api/request.h"
#include "lucid/str.h"
#include "sys/log.h"

struct gauges {
	struct metric *connections, *accepted, *refused, *capped, *lag, *lag_worst, *log_dropped;
	struct metric *cpu, *resident, *virtual, *fds, *max_fds, *threads, *start;
};

static struct metric *own_metric(const char *name, enum metric_type type, const char *help)
{
	return metric_series(metric_family(name, type, NULL, help), NULL);
}

/* The start time of this process in seconds since 1970: boot time plus field 22 of its stat. */
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
	g->connections = own_metric("rdp_http_connections", METRIC_GAUGE, "Open HTTP connections of clients.");
	g->accepted = own_metric("rdp_http_connections_accepted_total", METRIC_COUNTER, "HTTP connections accepted.");
	g->refused = own_metric("rdp_http_refused_total", METRIC_COUNTER, "HTTP requests refused before routing: malformed, too large or not complete in time.");
	g->capped = own_metric("rdp_http_connections_refused_total", METRIC_COUNTER, "HTTP connections refused: MAX_CONNECTIONS or MAX_CONNECTIONS_PER_ADDRESS reached, or no free file descriptor.");
	g->lag = own_metric("rdp_loop_lag_seconds", METRIC_GAUGE, "Delay of the event loop at its latest measurement, in seconds; measured every 500 ms.");
	g->lag_worst =
	    own_metric("rdp_loop_lag_worst_seconds", METRIC_GAUGE, "Greatest delay of the event loop since the previous scrape, in seconds.");
	g->log_dropped = own_metric("rdp_log_lines_dropped_total", METRIC_COUNTER, "Log lines dropped because the buffer or the disk was full.");
	g->cpu = own_metric("process_cpu_seconds_total", METRIC_COUNTER, "User and system CPU time of this process, in seconds.");
	g->resident = own_metric("process_resident_memory_bytes", METRIC_GAUGE, "Resident memory of this process, in bytes.");
	g->virtual = own_metric("process_virtual_memory_bytes", METRIC_GAUGE, "Virtual memory of this process, in bytes.");
	g->fds = own_metric("process_open_fds", METRIC_GAUGE, "Open file descriptors of this process.");
	g->max_fds = own_metric("process_max_fds", METRIC_GAUGE, "Maximum number of open file descriptors of this process.");
	g->threads = own_metric("process_threads", METRIC_GAUGE, "Threads of this process.");
	g->start = own_metric("process_start_time_seconds", METRIC_GAUGE, "Start time of this process, in seconds since 1970-01-01 UTC.");
	metric_set(g->start, process_start());
	metric_set(
	    metric_with(metric_family("build_info", METRIC_GAUGE, "version,compiler", "Always 1; the labels give the version and compiler of this program."),
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
	metric_set(g->fds, fds ? (double)(fds - 1) : 0); /* without the descriptor of this directory */
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
	if (q->listener->role && !q->api->metrics_public && access_check(q, OP_ADMIN, RATE_EXEMPT, false) < 0)
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
