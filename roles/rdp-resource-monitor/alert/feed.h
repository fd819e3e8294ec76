/* feed: judges the samples of nodes and servers. Floor F6, loop thread only, never blocks. */
#ifndef ALERT_FEED_H
#define ALERT_FEED_H

#include "roles/rdp-resource-monitor/alert/alert.h"

struct sampler; /* sample.h */

/* From now on, each sample is judged. Both must exist until the sampler is stopped. */
void alert_feed(struct alerts *a, struct sampler *s);

#endif
