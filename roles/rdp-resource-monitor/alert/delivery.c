#include "roles/rdp-resource-monitor/alert/delivery.h"

#include "lucid/backoff.h"
#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/str.h"

static const char *const state_names[DELIVERY_STATES] = { "pending", "delivered", "given_up", "dropped" };
static const struct {
	const char *topic, *member, *time;
} events[DELIVERY_EVENTS] = {
	[DELIVERY_RAISED] = { "resource.alert.raised", "raised_delivery", "raised_at" },
	[DELIVERY_CLEARED] = { "resource.alert.cleared", "cleared_delivery", "cleared_at" },
};

const char *delivery_state_name(enum delivery_state s)
{
	return state_names[s];
}

const char *delivery_topic(enum delivery_event e)
{
	return events[e].topic;
}

const char *delivery_member(enum delivery_event e)
{
	return events[e].member;
}

static int64_t delivery_time(const json_t *doc, const char *key)
{
	int64_t ms = 0;
	clock_from_iso(doc_str(doc, key, ""), &ms);
	return ms;
}

json_t *delivery_new(enum delivery_state s, int64_t now_ms)
{
	char id[ID_UUID_SIZE];
	json_t *d = json_object();
	id_uuid(id);
	doc_set_str(d, "event_id", id);
	doc_set_str(d, "state", state_names[s]);
	doc_set_int(d, "attempts", 0);
	doc_set_time(d, "queued_at", now_ms);
	doc_set_time(d, "next_attempt_at", s == DELIVERY_PENDING ? now_ms : 0);
	doc_set_str(d, "delivered_at", NULL);
	doc_set_str(d, "error", NULL);
	return d;
}

bool delivery_next(const json_t *alert, enum delivery_event *ret, int64_t *ret_due_ms)
{
	for (enum delivery_event e = 0; e < DELIVERY_EVENTS; e++) {
		const json_t *d = json_object_get(alert, events[e].member);
		if (!str_eq(doc_str(d, "state", ""), state_names[DELIVERY_PENDING]))
			continue;
		*ret = e;
		*ret_due_ms = delivery_time(d, "next_attempt_at");
		return true;
	}
	return false;
}

const char *delivery_mark(const json_t *alert)
{
	enum delivery_event e;
	int64_t due_ms;
	return delivery_next(alert, &e, &due_ms) ? state_names[DELIVERY_PENDING] : NULL;
}

int64_t delivery_wait_ms(int64_t attempts)
{
	return backoff_ms(DELIVERY_FIRST_MS, DELIVERY_MOST_MS, (unsigned)attempts);
}

json_t *delivery_claimed(const json_t *delivery, int64_t now_ms)
{
	json_t *d = json_copy((json_t *)(uintptr_t)delivery);
	doc_set_int(d, "attempts", doc_int(d, "attempts", 0) + 1);
	doc_set_time(d, "next_attempt_at", now_ms + DELIVERY_ATTEMPT_MS);
	return d;
}

static json_t *delivery_over(const json_t *delivery, enum delivery_state s, const char *error)
{
	json_t *d = json_copy((json_t *)(uintptr_t)delivery);
	doc_set_str(d, "state", state_names[s]);
	doc_set_str(d, "next_attempt_at", NULL);
	doc_set_str(d, "error", error);
	return d;
}

json_t *delivery_succeeded(const json_t *delivery, int64_t now_ms)
{
	json_t *d = delivery_over(delivery, DELIVERY_DELIVERED, NULL);
	doc_set_time(d, "delivered_at", now_ms);
	return d;
}

json_t *delivery_failed(const json_t *delivery, int64_t now_ms, const char *error)
{
	int64_t next = now_ms + delivery_wait_ms(doc_int(delivery, "attempts", 0));
	if (next - delivery_time(delivery, "queued_at") > DELIVERY_LIFE_MS)
		return delivery_over(delivery, DELIVERY_GIVEN_UP, error);
	json_t *d = json_copy((json_t *)(uintptr_t)delivery);
	doc_set_time(d, "next_attempt_at", next);
	doc_set_str(d, "error", error);
	return d;
}

json_t *delivery_data(const json_t *alert, enum delivery_event e)
{
	static const char *const raised[] = { "alert_id", "kind", "node", "server_id", "server_name", "user_id", "metric", "threshold", "value", "raised_at" };
	static const char *const cleared[] = { "cleared_at", "cleared_value" };
	json_t *data = json_object();
	for (size_t i = 0; i < ARRAY_LEN(raised); i++)
		json_object_set(data, raised[i], json_object_get(alert, raised[i]));
	doc_set_str(data, "status", e == DELIVERY_CLEARED ? "cleared" : "raised");
	for (size_t i = 0; e == DELIVERY_CLEARED && i < ARRAY_LEN(cleared); i++)
		json_object_set(data, cleared[i], json_object_get(alert, cleared[i]));
	if (e == DELIVERY_CLEARED)
		json_object_set(data, "reason", json_object_get(alert, "status_reason"));
	return data;
}

json_t *delivery_body(const json_t *alert, enum delivery_event e)
{
	json_t *body = json_object();
	doc_set_str(body, "id", doc_str(json_object_get(alert, events[e].member), "event_id", ""));
	doc_set_str(body, "type", events[e].topic);
	doc_set_str(body, "timestamp", doc_str(alert, events[e].time, NULL));
	doc_set(body, "data", delivery_data(alert, e));
	return body;
}
