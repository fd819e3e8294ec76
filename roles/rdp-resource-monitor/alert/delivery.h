/*
 * delivery: one event of an alert on its way to the webhook, as a member of the stored alert. Floor F6, any thread, pure: documents in,
 * documents out.
 *
 *   {"event_id", "state", "attempts", "queued_at", "next_attempt_at", "delivered_at", "error"}
 *
 * An attempt is claimed before it is made: delivery_claimed counts it and makes the next one due after DELIVERY_ATTEMPT_MS. So a process that dies
 * during an attempt leaves a delivery that is due again, and no process makes an attempt that another one has claimed.
 */
#ifndef ALERT_DELIVERY_H
#define ALERT_DELIVERY_H

#include "lucid/doc.h"

#define DELIVERY_ATTEMPT_MS 10000	    /* from the claim to the complete response */
#define DELIVERY_FIRST_MS 2000		    /* wait after the first failed attempt; doubles each time */
#define DELIVERY_MOST_MS (3600 * 1000)	    /* up to this */
#define DELIVERY_LIFE_MS (24 * 3600 * 1000) /* no attempt begins later than this after the event */

enum delivery_state { DELIVERY_PENDING, DELIVERY_DELIVERED, DELIVERY_GIVEN_UP, DELIVERY_DROPPED, DELIVERY_STATES };
const char *delivery_state_name(enum delivery_state s);

/* The two events of an alert, in the order in which they are delivered. */
enum delivery_event { DELIVERY_RAISED, DELIVERY_CLEARED, DELIVERY_EVENTS };
const char *delivery_topic(enum delivery_event e);  /* "resource.alert.raised" */
const char *delivery_member(enum delivery_event e); /* "raised_delivery": its member in the alert */

json_t *delivery_new(enum delivery_state s, int64_t now_ms);
/* The event of the alert that is to be delivered next; false: none is pending. ret_due_ms: when (wall clock). */
bool delivery_next(const json_t *alert, enum delivery_event *ret, int64_t *ret_due_ms);
/* For the member "delivery" of an alert, by which a query finds those with a pending one: "pending", or NULL. */
const char *delivery_mark(const json_t *alert);
/* How long to wait after this many attempts. */
int64_t delivery_wait_ms(int64_t attempts);

/* New documents for the member, from the one before. */
json_t *delivery_claimed(const json_t *delivery, int64_t now_ms);
json_t *delivery_succeeded(const json_t *delivery, int64_t now_ms);
/* Pending, or given up if the next attempt would begin after DELIVERY_LIFE_MS. */
json_t *delivery_failed(const json_t *delivery, int64_t now_ms, const char *error);

/* What is posted, {id, type, timestamp, data}. It does not depend on what has become of the alert since. */
json_t *delivery_body(const json_t *alert, enum delivery_event e);
/* `data` of the event. */
json_t *delivery_data(const json_t *alert, enum delivery_event e);

#endif
