#include "api/idempotency/idempotency.h"

#include "api/answer/error.h"
#include "api/audit/requests.h"
#include "api/idempotency/kept.h"
#include "api/idempotency/key.h"
#include "api/idempotency/key_sweep.h"
#include "api/request.h"
#include "bus/transport.h"
#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/log.h"
#include "lucid/map.h"
#include "lucid/store.h"

#define KEEP_MS (24 * 3600 * 1000LL)
#define KEYS_MAX 100000 /* stored keys of all callers; beyond it requests with a key are refused */
#define UNDER_WAY_MAX BUS_MAX_CALLS
#define AGAIN_S 1    /* Retry-After while the first request runs */
#define LATE_MS 5000 /* a claim without an answer counts as interrupted this long after its deadline */

struct idempotency {
	struct api *api;
	struct map *under_way;
	struct key_sweep *sweep; /* NULL: no store */
	bool stopped;
};

/* A request with a key. At api_free it outlives the request until the store has called back. */
struct keyed {
	struct idempotency *all; /* NULL: freed */
	struct request *q;	 /* NULL: answered */
	struct key_names names;
	int64_t version; /* of our claim; random, so that releasing it cannot delete the claim of another process */
	int64_t now_ms, found_version;
	bool in_store; /* the store will call back */
	struct call_args args;
	char *params[OP_MAX_PARAMS];
	struct kept answer;
};

static void keyed_free(struct keyed *k)
{
	if (k->q)
		k->q->keyed = NULL;
	if (k->all)
		map_remove(k->all->under_way, k->names.id);
	for (size_t i = 0; i < OP_MAX_PARAMS; i++)
		free(k->params[i]);
	json_decref(k->args.query);
	json_decref(k->args.body);
	kept_done(&k->answer);
	free(k);
}

/* The store has called back. False: the api was stopped or freed, and k is freed; api_free answers requests that are still open. */
static bool goes_on(struct keyed *k)
{
	k->in_store = false;
	if (k->all && !k->all->stopped)
		return true;
	keyed_free(k);
	return false;
}

/* Removes the request from the open ones; the caller must answer it. */
static struct request *take_request(struct keyed *k)
{
	struct request *q = TAKE_PTR(k->q);
	q->keyed = NULL;
	list_remove(&q->node);
	return q;
}

static void refuse_keyed(struct keyed *k, int err, unsigned retry_after_s, const char *message)
{
	struct request *q = take_request(k);
	keyed_free(k);
	reply_error(q, &(struct error_page){ .err = err, .message = message, .retry_after_s = retry_after_s });
}

static const char still_under_way[] =
    "the first request with this Idempotency-Key is still in progress; retry after the time given in Retry-After";
static const char another_request[] =
    "this Idempotency-Key was used for a different request; use a new key for each object to be created";

static void answer_keyed(struct keyed *k, bool again)
{
	kept_reply(&k->answer, take_request(k), again);
	keyed_free(k);
}

/* --- the record */

static json_t *claim_doc(const struct keyed *k)
{
	return json_pack("{s:s,s:I,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "id", k->names.id, "version", (json_int_t)k->version, "state", "claimed", "digest", k->names.digest,
			 "operation", k->args.op->name, "request_id", k->q->id, "process", bus_origin(k->all->api->env.bus), "claimed_at", (json_int_t)k->now_ms, "until",
			 (json_int_t)(k->now_ms + k->args.deadline_ms + LATE_MS), "expires_at", (json_int_t)(k->now_ms + KEEP_MS));
}

static json_t *answer_doc(const struct keyed *k)
{
	json_t *doc = claim_doc(k);
	doc_set_int(doc, "version", k->version + 1);
	doc_set_str(doc, "state", "answered");
	kept_write(&k->answer, doc);
	return doc;
}

/* --- the operation has answered */

/* True: the operation has certainly had no effect and will have none. */
static bool nothing_done(const struct reply *r)
{
	static const enum err before[] = { ERR_UNAVAILABLE, ERR_BUSY, ERR_NO_PORT, ERR_NO_XRDP };
	if (err_status(r->err) < 500)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(before); i++)
		if (r->err == before[i])
			return true;
	return false;
}

static void take_answer(struct keyed *k, const struct reply *r)
{
	audit_request(k->q, r->err, r->err ? NULL : r->location); /* a replay of the response is not audited */
	kept_from(&k->answer, k->q, r);
}

static void on_settled(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	struct keyed *k = arg;
	if (!goes_on(k))
		return;
	if (result != STORE_OK) /* a retry gets 409: the outcome is unknown */
		log_warn("api", "the response for an Idempotency-Key of %s could not be stored; a retry with this key will be refused", k->q->caller.sub);
	answer_keyed(k, false);
}

static void on_called(const struct reply *r, void *arg)
{
	struct keyed *k = arg;
	k->q->call = 0;
	take_answer(k, r);
	if (r->err && nothing_done(r)) {
		struct store_op back = { STORE_DELETE, COL_IDEMPOTENCY, k->names.id, k->version, NULL };
		key_sweep_count(k->all->sweep, -1);
		k->in_store = true;
		store_write(k->all->api->env.store, &back, 1, on_settled, k);
		return;
	}
	_cleanup_(doc_unrefp) json_t *doc = answer_doc(k);
	struct store_op record = { STORE_REPLACE, COL_IDEMPOTENCY, k->names.id, k->version, doc };
	k->in_store = true;
	store_write(k->all->api->env.store, &record, 1, on_settled, k);
}

/* --- the claim */

static void on_found(enum store_result result, const struct store_doc *found, int err, void *arg);

static void on_taken_back(UNUSED enum store_result result, UNUSED size_t index, UNUSED int err, UNUSED void *arg)
{
	/* if the store failed, the claim stays until it expires */
}

static void on_claimed(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct keyed *k = arg;
	if (!goes_on(k))
		return;
	struct store *store = k->all->api->env.store;
	if (result == STORE_OK) {
		key_sweep_count(k->all->sweep, !k->found_version);
		k->q->call = bus_call(k->all->api->env.bus, &k->args, on_called, k);
	} else if (result == STORE_EXISTS) {
		k->in_store = true;
		store_get(store, COL_IDEMPOTENCY, k->names.id, on_found, k);
	} else if (result == STORE_FAILED) {
		struct store_op back = { STORE_DELETE, COL_IDEMPOTENCY, k->names.id, k->version, NULL };
		if (err == -ERR_DEADLINE || err == -ERR_UNCERTAIN) /* the claim may still be written, before this deletion */
			store_write(store, &back, 1, on_taken_back, NULL);
		const char *why = "";
		store_healthy(store, &why);
		_cleanup_(xfreep) char *text = xasprintf("the store could not record the Idempotency-Key%s%s; nothing was created; retry after the time given in "
							 "Retry-After", *why ? ": " : "", why);
		refuse_keyed(k, err == -ERR_BUSY ? ERR_BUSY : ERR_UNAVAILABLE, 0, text);
	} else {
		refuse_keyed(k, ERR_CONFLICT, AGAIN_S, still_under_way); /* another request has replaced the expired claim */
	}
}

static void claim_key(struct keyed *k)
{
	_cleanup_(doc_unrefp) json_t *doc = claim_doc(k);
	struct store_op op = { k->found_version ? STORE_REPLACE : STORE_INSERT, COL_IDEMPOTENCY, k->names.id, k->found_version, doc };
	k->in_store = true;
	store_write(k->all->api->env.store, &op, 1, on_claimed, k);
}

/* Whether the request that made this claim may still be in progress and create its object. */
static bool may_go_on(const struct keyed *k, const json_t *claim)
{
	const struct api_env *env = &k->all->api->env;
	const char *process = doc_str(claim, "process", NULL);
	bool alone = !*config_str(env->config, "MONGODB_URL") && bus_is_local(env->bus, k->args.op->role);
	bool ended = alone && process && !str_eq(process, bus_origin(env->bus));
	return !ended && doc_int(claim, "until", 0) > k->now_ms;
}

static void on_found(enum store_result result, const struct store_doc *found, UNUSED int err, void *arg)
{
	struct keyed *k = arg;
	if (!goes_on(k))
		return;
	if (result == STORE_FAILED) {
		refuse_keyed(k, ERR_UNAVAILABLE, 0, "the store could not be read for the Idempotency-Key; nothing was created; retry after the time given in Retry-After");
		return;
	}
	_cleanup_(doc_unrefp) json_t *doc =
	    result == STORE_OK ? doc_parse(found->text->data, found->text->len, NULL, 0) : NULL;
	if (!doc) { /* released just now */
		refuse_keyed(k, ERR_CONFLICT, AGAIN_S, still_under_way);
	} else if (doc_int(doc, "expires_at", 0) <= k->now_ms) {
		/* replace the expired claim; the version is random as before, but must be greater than the old one */
		k->found_version = found->version;
		k->version = found->version + 1 + (k->version & 0xffffffff);
		claim_key(k);
	} else if (!str_eq(doc_str(doc, "digest", ""), k->names.digest)) {
		refuse_keyed(k, ERR_CONFLICT, 0, another_request);
	} else if (str_eq(doc_str(doc, "state", ""), "answered")) {
		kept_read(&k->answer, doc);
		answer_keyed(k, true);
	} else if (may_go_on(k, doc)) {
		refuse_keyed(k, ERR_CONFLICT, AGAIN_S, still_under_way); /* or interrupted, which is known only after `until` */
	} else {
		refuse_keyed(k, ERR_CONFLICT, 0,
		       "the first request with this Idempotency-Key was interrupted, and its outcome is unknown; look "
		       "for the object, and if it does not exist, retry with a new key");
	}
}

/* --- the request */

static struct keyed *keyed_new(struct request *q, const struct key_names *names, const struct call_args *args)
{
	struct keyed *k = XNEW(struct keyed);
	k->all = q->api->idempotency;
	k->q = q;
	k->names = *names;
	k->args = *args;
	for (size_t i = 0; i < OP_MAX_PARAMS; i++)
		k->args.params[i] = k->params[i] = args->params[i] ? xstrdup(args->params[i]) : NULL;
	json_incref(k->args.query);
	json_incref(k->args.body);
	k->now_ms = clock_wall_ms();
	id_random(&k->version, sizeof k->version);
	k->version = (k->version & 0xfffffffffffff) | 1;
	q->keyed = k;
	list_append(&q->api->open, &q->node);
	return k;
}

bool idempotency_begin(struct request *q, const struct call_args *args)
{
	bool again = false;
	const char *key = args->op->flags & OP_CREATES ? http_req_header(q->http, "Idempotency-Key", &again) : NULL;
	if (!key)
		return false;
	struct idempotency *all = q->api->idempotency;
	struct key_names names;
	const char *fault = key_fault(key, again);
	if (fault) {
		reply_error_text(q, ERR_MALFORMED, fault);
		return true;
	}
	key_name(&names, q->caller.sub, key, args);
	const struct keyed *first = map_get(all->under_way, names.id);
	if (first) {
		bool same = str_eq(first->names.digest, names.digest);
		reply_error(q, &(struct error_page){ .err = ERR_CONFLICT, .message = same ? still_under_way : another_request,
						     .retry_after_s = same ? AGAIN_S : 0 });
	} else if (!q->api->env.store || key_sweep_kept(all->sweep) >= KEYS_MAX || map_count(all->under_way) >= UNDER_WAY_MAX) {
		reply_error_text(q, ERR_BUSY, "too many Idempotency-Keys are stored; retry later, or without a key");
	} else {
		struct keyed *k = keyed_new(q, &names, args);
		map_put(all->under_way, names.id, k, NULL);
		claim_key(k);
	}
	return true;
}

void idempotency_forget(struct request *q)
{
	struct keyed *k = TAKE_PTR(q->keyed);
	if (!k)
		return;
	k->q = NULL;
	map_remove(k->all->under_way, k->names.id);
	k->all = NULL;
	if (!k->in_store)
		keyed_free(k);
}

void idempotency_stop(struct idempotency *all)
{
	all->stopped = true;
	key_sweep_stop(all->sweep);
}

struct idempotency *idempotency_new(struct api *a)
{
	struct idempotency *all = XNEW(struct idempotency);
	all->api = a;
	all->under_way = map_new(UNDER_WAY_MAX);
	all->sweep = a->env.store ? key_sweep_new(a->env.loop, a->env.store) : NULL;
	return all;
}

void idempotency_free(struct idempotency *all)
{
	map_free(all->under_way, NULL); /* empty: every request was forgotten */
	key_sweep_free(all->sweep);
	free(all);
}
