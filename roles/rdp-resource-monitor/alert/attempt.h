/*
 * attempt: one attempt to deliver an event of an alert: claim it in the store, post it, record the outcome. Floor F6, loop thread only, never
 * blocks. Not for: which alert is due (webhook.h).
 */
#ifndef ALERT_ATTEMPT_H
#define ALERT_ATTEMPT_H

#include "roles/rdp-resource-monitor/alert/alerts.h"

struct attempts;
struct attempt_events {
	void (*seen)(struct alert *a, const json_t *doc, void *arg); /* the document of the alert, as it is now */
	void (*ended)(void *arg);				     /* one more attempt may begin */
};
struct attempts *attempts_new(struct alerts *a, unsigned at_once, const struct attempt_events *events, void *arg);
/* Ends posts in progress without recording their outcome: they are due again at the time that the claim has set. */
void attempts_close(struct attempts *s);
void attempts_free(struct attempts *s); /* after the objects were freed */
/* The alert was deleted before the task of the attempt ran. */
void attempt_unrun(struct attempt *t);
/* False: too many are in progress. Sets a->busy until the end. */
bool attempt_begin(struct attempts *s, struct alert *a);
/* rdp_alert_deliveries_total, by outcome. */
struct metric_family *attempt_outcomes(void);

#endif
