/* alerts: the state that the parts of alert/ share. Floor F6, loop thread only, never blocks. */
#ifndef ALERT_ALERTS_H
#define ALERT_ALERTS_H

#include "lucid/object.h"
#include "roles/contract/contract.h"
#include "roles/rdp-resource-monitor/alert/alert.h"
#include "roles/rdp-resource-monitor/alert/threshold_store.h"

#define SERVICE ROLE_RESOURCES
#define ALERTS_MAX 100000 /* records */
#define ALERTS_KEPT 50000 /* beyond that, the oldest cleared ones are purged early */
#define ALERT_KEY_MAX 160

enum alert_state { ALERT_RAISED, ALERT_ACKNOWLEDGED, ALERT_CLEARED, ALERT_STATES };

struct webhook; /* webhook.h */
struct attempt; /* attempt.h */
struct alerts {
	struct role_env env;
	struct objects *objects;
	struct map *latest; /* "METRIC SUBJECT" → its latest struct alert */
	struct map *judges; /* the same → struct judged */
	struct threshold_store *thresholds;
	struct webhook *webhook;
	const struct op *server; /* rdp.servers.get */
	struct loop_timer *purge;
	bool scanning; /* scan.c */
	struct subscription *deleted; /* server.deleted */
	struct subscription *cleared; /* by other processes */
};

/* The record of an alert. */
struct alert {
	struct object o;
	char key[ALERT_KEY_MAX];
	int64_t raised_ms, cleared_ms; /* wall clock; cleared_ms 0: open, or the document has not been read since another process cleared it */
	bool clearing;
	/* webhook.c */
	struct list node; /* in its queue */
	bool queued, busy; /* busy: an attempt is in progress here */
	int64_t due_ms;	   /* wall clock; 0: nothing is to be delivered */
};

struct alert_task {
	struct object_task on;
	/* raise.c: how it is cleared */
	const char *reason;
	double value;
	/* attempt.c; NULL once the attempt goes on without the task */
	struct attempt *attempt;
};

extern const struct object_kind alert_kind; /* kind.c */

static inline struct alerts *alert_alerts(const struct alert *a)
{
	return object_ctx(&a->o);
}
static inline bool alert_is_open(const struct alert *a)
{
	return a && !a->o.gone && a->o.state != ALERT_CLEARED;
}
static inline bool alerts_lead(const struct alerts *a) /* this process delivers and purges */
{
	return object_group_leads(objects_group(a->objects, ""));
}
void alert_key(char dst[ALERT_KEY_MAX], const struct alert_subject *s, enum alert_metric metric);
const char *alert_server(const struct alert *a); /* id of its server; NULL: it is about a node */
const char *alert_node(const struct alert *a);	 /* name of its node; NULL: it is about a server */
/* Reads the document again: another process has changed it. */
void alert_look(struct alert *a);

/* clear.c. reason: "below_threshold" … (static); value: NAN if it is not because of a value. */
void alert_clear(struct alert *a, const char *reason, double value);
void alerts_server_deleted(const struct event *e, void *alerts);

/* alerts_api.c */
void alerts_serve(struct alerts *a);

/* scan.c: finds what is to be delivered of alerts that other processes raised or cleared. Their events may not arrive here. */
void alerts_scan(struct objects *set);

/* purge.c */
void alerts_purge(void *alerts); /* runs the timer a->purge */

#endif
