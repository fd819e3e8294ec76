/* server_gauges: the Prometheus series of each server, while this process has the lease of its node. Of several monitors, one exports a server, so that
 * sums over all scraped monitors count it once. Floor F6, loop thread only. */
#ifndef MONITOR_SERVER_GAUGES_H
#define MONITOR_SERVER_GAUGES_H

#include "roles/rdp-resource-monitor/sample.h"

struct server_gauges;
struct server_gauges *server_gauges_new(struct sampler *s); /* listens to its samples; freed after the sampler */
void server_gauges_free(struct server_gauges *g);	      /* takes NULL */

#endif
