/*
 * webhook: delivers the events of alerts to ALERT_WEBHOOK_URL, each at least once, in order for each alert. Floor F6, loop thread only, never
 * blocks.
 *
 * What is to be delivered is part of the stored alert (delivery.h), so it survives a restart. The process with the lease "alerts" delivers. It
 * claims an attempt in the store before it makes it. Failed attempts are repeated for a day, with growing waits. A receiver that is slow delays
 * only the WEBHOOK_AT_ONCE attempts that are in progress.
 */
#ifndef ALERT_WEBHOOK_H
#define ALERT_WEBHOOK_H

#include "roles/rdp-resource-monitor/alert/alerts.h"

#define WEBHOOK_AT_ONCE 8
#define WEBHOOK_QUEUE_MAX 10000	 /* alerts with pending deliveries; further events are dropped */

struct webhook *webhook_new(struct alerts *a);
void webhook_close(struct webhook *w); /* ends posts in progress; nothing is delivered any more */
void webhook_free(struct webhook *w);  /* after the objects were freed */
/* A delivery for a new event; NULL: no webhook is configured. */
json_t *webhook_delivery(struct webhook *w, int64_t now_ms);
/* The document of the alert may have another pending delivery now. */
void webhook_consider(struct webhook *w, struct alert *a, const json_t *doc);
void webhook_forget(struct webhook *w, struct alert *a);
/* Something may be due. */
void webhook_wake(struct webhook *w);

#endif
