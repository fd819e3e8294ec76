/* metrics_page: /metrics: all registered metrics; those of the process itself are measured for each request. Floor F5, loop thread only,
 * never blocks. */
#ifndef API_METRICS_PAGE_H
#define API_METRICS_PAGE_H

struct request;
struct gauges;
struct gauges *gauges_new(void);
void gauges_free(struct gauges *g);
/* Requires a token unless METRICS_PUBLIC is set. */
void metrics_page_page(struct request *q);

#endif
