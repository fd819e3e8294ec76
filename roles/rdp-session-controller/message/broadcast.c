#include "roles/rdp-session-controller/message/broadcast.h"

#include "lucid/str.h"
#include "roles/rdp-session-controller/message/pace.h"
#include "roles/rdp-session-controller/message/tell.h"
#include "roles/rdp-session-controller/operations/query.h"

#define AT_ONCE_ON_HOST 8 /* a host refuses more than 64 messages that are about to be shown, whoever sends them */
#define AT_ONCE 128
#define LAST_START_MS 20000 /* a message that begins with less time than this may end after the answer */

struct broadcast {
	struct controller *c;
	struct call *call;
	json_t *docs, *results; /* of the matching sessions, in the order of the list */
	struct pace *pace;
	size_t shown;
};

/* One message of it. */
struct word {
	struct broadcast *b;
	size_t item;
};

static void broadcast_free(struct broadcast *b)
{
	struct objects *set = b->c->objects;
	json_decref(b->docs);
	json_decref(b->results);
	if (b->pace)
		pace_free(b->pace);
	free(b);
	objects_release(set);
}

static void broadcast_done(struct broadcast *b)
{
	json_t *out = json_object();
	doc_set_bool(out, "dry_run", doc_bool(call_query(b->call), "dry_run", false));
	doc_set_int(out, "matched", (int64_t)json_array_size(b->results));
	doc_set_int(out, "shown", (int64_t)b->shown);
	doc_set(out, "results", json_incref(b->results));
	call_ok(b->call, out);
	broadcast_free(b);
}

static void set_outcome(struct broadcast *b, size_t item, const char *outcome, const char *message)
{
	json_t *result = json_array_get(b->results, item);
	doc_set_str(result, "outcome", outcome);
	doc_set_str(result, "message", message);
}

static const char *outcome_of_error(int err)
{
	switch (err) {
	case 0:
		return "shown";
	case ERR_SESSION_STATE:
		return "no_desktop";
	case ERR_RATE_LIMITED:
		return "rate_limited";
	case ERR_UNCERTAIN:
	case ERR_DEADLINE:
		return "uncertain";
	default:
		return "failed";
	}
}

static void broadcast_go(struct broadcast *b);

static void word_told(int err, const char *why, UNUSED const struct reply *r, void *arg)
{
	_cleanup_(xfreep) struct word *w = arg;
	struct broadcast *b = w->b;
	set_outcome(b, w->item, outcome_of_error(err), err ? why : NULL);
	b->shown += !err;
	pace_end(b->pace, w->item);
	broadcast_go(b);
}

/* Sends as many as may be under way. The last of them answers the call. */
static void broadcast_go(struct broadcast *b)
{
	size_t item;
	bool late = call_time_left_ms(b->call) < LAST_START_MS;
	while (late && pace_give_up(b->pace, &item))
		set_outcome(b, item, "failed", "not sent: the time of this request was over; broadcast again with a filter that leaves out those who have seen it");
	while (pace_begin(b->pace, &item)) {
		struct word *w = XNEW(struct word);
		*w = (struct word){ b, item };
		session_tell(b->c, b->call, json_array_get(b->docs, item), word_told, w);
	}
	if (pace_idle(b->pace))
		broadcast_done(b);
}

static void broadcast_found(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, int err, void *arg)
{
	struct broadcast *b = arg;
	bool dry = doc_bool(call_query(b->call), "dry_run", false);
	char why[TELL_WHY_SIZE];
	if (result != STORE_OK) {
		objects_fail_call(b->c->objects, b->call, err, ERR_INTERNAL);
		broadcast_free(b);
		return;
	}
	b->pace = pace_new(AT_ONCE_ON_HOST, AT_ONCE, n);
	for (size_t i = 0; i < n; i++) {
		json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		int refused = session_untellable(b->c, doc, why);
		json_array_append_new(b->docs, doc ? doc : json_null());
		json_array_append_new(b->results, sessions_outcome(doc, "would_show"));
		if (refused)
			set_outcome(b, i, outcome_of_error(refused), why);
		else if (!dry)
			pace_add(b->pace, doc_str(doc, "node", ""), i);
	}
	broadcast_go(b);
}

void op_sessions_broadcast(struct call *call, void *ctx)
{
	struct controller *c = ctx;
	struct store_query q;
	if (!objects_ready(c->objects, call, op_sessions_broadcast))
		return;
	struct broadcast *b = XNEW(struct broadcast);
	*b = (struct broadcast){ .c = c, .call = call, .docs = json_array(), .results = json_array() };
	objects_hold(c->objects);
	sessions_query_live(call, &q);
	store_list(c->env.store, COL_SESSIONS, &q, broadcast_found, b);
}
