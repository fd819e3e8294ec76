/*
 * alert: thresholds, alerts and their webhook, the part of rdp-resource-monitor that the rest of the role sees. Floor F6, loop thread only, never
 * blocks.
 *
 *   alert_judge()   values ──► judge.c ──► raise.c: one stored alert (kind.c) ──► events, webhook.c: deliveries
 *   alerts_api.c    lists, acknowledgement          threshold_store.c: thresholds          purge.c: old alerts
 *
 * Any number of monitors may share a store. Each judges the values that it has. An alert is inserted under an id that follows from the one before
 * it, so that of two monitors that raise it at once only one succeeds. The monitor with the lease "alerts" delivers and purges.
 */
#ifndef ALERT_ALERT_H
#define ALERT_ALERT_H

#include "lucid/role.h"
#include "roles/rdp-resource-monitor/alert/thresholds.h"

struct alerts;

enum alert_kind { ALERT_NODE, ALERT_SERVER };
struct alert_subject {
	enum alert_kind kind;
	const char *node;      /* name of the node, or of that of the server */
	const char *server_id; /* NULL for a node */
};

/* Serves resources.alerts.* and resources.thresholds.*. */
struct alerts *alerts_new(const struct role_env *env);
void alerts_start(struct alerts *a); /* the store is open */
/* Starts nothing new; done is called when nothing is in progress. */
void alerts_drain(struct alerts *a, void (*done)(void *arg), void *arg);
void alerts_free(struct alerts *a);

/* One more value of a metric, in percent; NAN: unknown. mono_ms: when it was measured. Ignored until the alerts have been read from the store. */
void alert_judge(struct alerts *a, const struct alert_subject *s, enum alert_metric metric, double value, int64_t mono_ms);
/* There will be no values for a while: the subject is not measured here any more. Its alerts stay open. */
void alert_unmeasured(struct alerts *a, const struct alert_subject *s);

#endif
