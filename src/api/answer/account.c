#include "api/answer/account.h"

#include "api/request.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "sys/log.h"

struct account {
	struct metric_family *requests, *seconds;
};

/* The metrics of an endpoint and method, looked up once. */
struct series {
	struct metric *seconds;
	struct {
		int status;
		struct metric *count;
	} by_status[12];
};

struct account *account_new(void)
{
	struct account *a = XNEW(struct account);
	a->requests =
	    metric_family("rdp_requests_total", METRIC_COUNTER, "service,endpoint,method,status", "Completed HTTP requests, by route template, method and status.");
	a->seconds = metric_family("rdp_request_duration_seconds", METRIC_HISTOGRAM, "service,endpoint,method",
				   "Time from the end of an HTTP request's head until its response, in seconds.");
	return a;
}

void account_free(struct account *a)
{
	free(a);
}

static struct series *series_of(struct request *q)
{
	struct endpoint *e = q->endpoint;
	struct series *s = e->series[q->method];
	if (!s) {
		s = e->series[q->method] = XNEW(struct series);
		s->seconds = metric_with(q->api->account->seconds, e->service, e->path, http_method_name(q->method));
	}
	return s;
}

static struct metric *counter_of(struct request *q, struct series *s, int status)
{
	size_t i = 0;
	for (; i < ARRAY_LEN(s->by_status) && s->by_status[i].count; i++)
		if (s->by_status[i].status == status)
			return s->by_status[i].count;
	char text[21];
	text[str_fmt_u64(text, (uint64_t)status)] = 0;
	struct metric *m = metric_with(q->api->account->requests, q->endpoint->service, q->endpoint->path,
				       http_method_name(q->method), text);
	if (i < ARRAY_LEN(s->by_status)) {
		s->by_status[i].status = status;
		s->by_status[i].count = m;
	}
	return m;
}

/* Requests of monitoring systems, which would flood the access log. */
static bool is_probe(const char *path)
{
	return str_starts(path, "/health") || str_eq(path, "/metrics");
}

void account_request(struct request *q, int status, size_t bytes)
{
	int64_t took_us = clock_mono_us() - http_req_started_us(q->http);
	struct series *s = series_of(q);
	metric_observe_request(s->seconds, (double)took_us / 1e6, q->id);
	metric_add(counter_of(q, s, status), 1);
	log_access(&(struct log_access){
	    .service = q->endpoint->service,
	    .method = http_method_name(q->method),
	    .endpoint = q->endpoint->path,
	    .request_id = q->id,
	    .principal = q->caller.sub[0] ? q->caller.sub : "-",
	    .client = q->caller.address,
	    .status = status,
	    .bytes = q->method == HTTP_HEAD || status == 304 ? 0 : bytes,
	    .duration_us = took_us,
	    .quiet = is_probe(q->endpoint->path),
	});
}
