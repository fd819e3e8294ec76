#include "api/core.h"
#include "api/key_sweep.h"
#include "bus/transport.h"

#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/log.h"
#include "lucid/map.h"
#include "lucid/store.h"

/*
 * Idempotency-Key, for requests that create. Claim first, then do, then record, then answer:
 *
 *   INSERT "caller:sha256(key)" → the operation → REPLACE with its answer → the client has it
 *
 * The same key with the same body then gets the recorded answer. While the first request runs, a second one gets 409 with
 * Retry-After. An answer that says that nothing was done (4xx, or 503 before anything began) gives the key back; one that
 * leaves it open (500, 502, 504, a lost connection) is recorded like a success: trying again could do it twice.
 *
 * A crash between claim and record leaves a claim without an answer. Nobody can tell then whether the object was made, so a
 * second request is refused with 409 and a sentence that says so: it never makes a second object, and the client finds the
 * first, if there is one, by looking. What was acknowledged has been recorded before.
 *
 * That sentence sends the client to look, so it is said only when nothing of the first request can happen any more: when its
 * time is over. At once where the claim is of a process before this one, which had the store alone and ran the operation itself:
 * all that it ever wrote is there. On a store that others share not even a process that is known to be dead is trusted so far:
 * what it sent may be on its way to the database, and another process may go on with what it asked for.
 *
 * The digest is taken over the operation, its path parameters and the body as a document: neither blanks nor the order of
 * keys nor the query make another request of it.
 */

#define KEEP_MS (24 * 3600 * 1000LL)
#define KEY_MAX 128
#define KEYS_MAX 100000 /* kept at one time, of all callers; past that a key is refused, a request without goes on */
#define UNDER_WAY_MAX BUS_MAX_CALLS
#define AGAIN_S 1    /* Retry-After while the first request runs */
#define LATE_MS 5000 /* beyond its deadline a claim without an answer belongs to nobody */

struct idempotency {
	struct api *api;
	struct map *under_way;
	struct key_sweep *sweep; /* NULL: there is no store */
	bool stopped;
};

/* What a key stands for: a digest of it, for every id to be of one form, behind the caller's name; and what was asked. */
struct key_names {
	char id[STORE_ID_MAX + 1], digest[ID_DIGEST_SIZE];
};

/* One request with a key. It outlives its request where the store still owes an answer when the api goes. */
struct keyed {
	struct idempotency *all; /* NULL: the api is gone */
	struct request *q;	 /* NULL: answered */
	struct key_names names;
	int64_t version; /* of our claim, chosen by chance: what takes it back takes no other */
	int64_t now_ms, found_version;
	bool in_store; /* which will call back */
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
	blob_unref(k->answer.body);
	free(k->answer.location);
	free(k->answer.type);
	free(k);
}

/* The store has called back; false: nobody waits any more, and k is gone. Who is still to be answered is by api_free. */
static bool goes_on(struct keyed *k)
{
	k->in_store = false;
	if (k->all && !k->all->stopped)
		return true;
	keyed_free(k);
	return false;
}

/* The request, taken out of the open ones, to be answered. */
static struct request *take_request(struct keyed *k)
{
	struct request *q = TAKE_PTR(k->q);
	q->keyed = NULL;
	list_remove(&q->node);
	return q;
}

static void refuse(struct keyed *k, int err, unsigned retry_after_s, const char *message)
{
	struct request *q = take_request(k);
	keyed_free(k);
	reply_error(q, &(struct error_page){ .err = err, .message = message, .retry_after_s = retry_after_s });
}

static const char still_under_way[] =
    "the first request with this Idempotency-Key is still under way; send it again as Retry-After says";
static const char another_request[] =
    "this Idempotency-Key was used for another request; choose a new key for each thing to be created";

static void answer(struct keyed *k, bool again)
{
	reply_kept(take_request(k), &k->answer, again);
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
	const struct kept *a = &k->answer;
	doc_set_int(doc, "version", k->version + 1);
	doc_set_str(doc, "state", "answered");
	doc_set_int(doc, "status", a->status);
	doc_set_int(doc, "object_version", a->version);
	doc_set_int(doc, "retry_after", a->retry_after_s);
	doc_set_str(doc, "location", a->location);
	doc_set_str(doc, "type", a->type);
	doc_set_str(doc, "body", a->body ? a->body->data : NULL);
	return doc;
}

static void answer_read(struct kept *ret, const json_t *doc)
{
	const char *location = doc_str(doc, "location", NULL), *type = doc_str(doc, "type", NULL), *body = doc_str(doc, "body", NULL);
	*ret = (struct kept){ .status = (int)doc_int(doc, "status", 500),
			      .version = doc_int(doc, "object_version", 0),
			      .retry_after_s = (unsigned)doc_int(doc, "retry_after", 0),
			      .location = location ? xstrdup(location) : NULL,
			      .type = type ? xstrdup(type) : NULL,
			      .body = body ? blob_new(body, strlen(body)) : NULL };
}

/* --- the operation has answered */

/* The answer is certain: nothing was done, and nothing will be. */
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
	struct kept *a = &k->answer;
	audit_request(k->q, r->err, r->err ? NULL : r->location); /* an echo of it is not */
	if (r->err) {
		reply_keep_error(k->q, a, &(struct error_page){ .err = r->err, .message = r->message, .details = r->details,
								.retry_after_s = r->retry_after_s });
		return;
	}
	a->status = r->status;
	a->version = r->version;
	a->location = r->location ? xstrdup(r->location) : NULL;
	a->type = r->type ? xstrdup(r->type) : NULL;
	a->body = r->blob ? blob_ref(r->blob) : r->doc ? doc_blob(r->doc) : NULL;
}

static void on_settled(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	struct keyed *k = arg;
	if (!goes_on(k))
		return;
	if (result != STORE_OK) /* a second request will be told that nobody knows */
		log_warn("api", "the answer to an Idempotency-Key of %s could not be recorded", k->q->caller.sub);
	answer(k, false);
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
	/* it stands only if the store is away, and then expires */
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
		if (err == -ERR_DEADLINE || err == -ERR_UNCERTAIN) /* it may yet be written, ahead of this */
			store_write(store, &back, 1, on_taken_back, NULL);
		refuse(k, err == -ERR_BUSY ? ERR_BUSY : ERR_UNAVAILABLE, 0,
		       "the store did not take the Idempotency-Key, and nothing was done; try again as Retry-After says");
	} else {
		refuse(k, ERR_CONFLICT, AGAIN_S, still_under_way); /* an expired one that another request took at the same moment */
	}
}

static void claim(struct keyed *k)
{
	_cleanup_(doc_unrefp) json_t *doc = claim_doc(k);
	struct store_op op = { k->found_version ? STORE_REPLACE : STORE_INSERT, COL_IDEMPOTENCY, k->names.id, k->found_version, doc };
	k->in_store = true;
	store_write(k->all->api->env.store, &op, 1, on_claimed, k);
}

/* Whether the request that made this claim may still be under way, and its object come to be. */
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
		refuse(k, ERR_UNAVAILABLE, 0, "the store could not be asked about the Idempotency-Key; try again as Retry-After says");
		return;
	}
	_cleanup_(doc_unrefp) json_t *doc =
	    result == STORE_OK ? doc_parse(found->text->data, found->text->len, NULL, 0) : NULL;
	if (!doc) { /* given back this moment */
		refuse(k, ERR_CONFLICT, AGAIN_S, still_under_way);
	} else if (doc_int(doc, "expires_at", 0) <= k->now_ms) {
		/* still by chance, but above the one that it replaces, as every version must be */
		k->found_version = found->version;
		k->version = found->version + 1 + (k->version & 0xffffffff);
		claim(k);
	} else if (!str_eq(doc_str(doc, "digest", ""), k->names.digest)) {
		refuse(k, ERR_CONFLICT, 0, another_request);
	} else if (str_eq(doc_str(doc, "state", ""), "answered")) {
		answer_read(&k->answer, doc);
		answer(k, true);
	} else if (may_go_on(k, doc)) {
		refuse(k, ERR_CONFLICT, AGAIN_S, still_under_way); /* by another process; or it was cut off, which shows when its time is over */
	} else {
		refuse(k, ERR_CONFLICT, 0,
		       "the first request with this Idempotency-Key was cut off, and nobody knows whether it created anything; look "
		       "for the object, and if it is not there send the request with a new key");
	}
}

/* --- a request comes */

/* NULL when good; blanks within are let through, as any printable character is. */
static const char *key_fault(const char *key, bool again)
{
	size_t n = strlen(key);
	if (again)
		return "send one Idempotency-Key, not several";
	for (size_t i = 0; i < n; i++)
		if (key[i] < 0x20 || key[i] > 0x7e)
			n = 0;
	return n && n <= KEY_MAX ? NULL : "Idempotency-Key must be 1 to 128 printable ASCII characters; a UUID does well";
}

static void digest_request(char ret[ID_DIGEST_SIZE], const struct call_args *args)
{
	struct strbuf b = { 0 };
	_cleanup_(xfreep) char *body = args->body ? json_dumps(args->body, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
	strbuf_puts(&b, args->op->name);
	for (size_t i = 0; i < OP_MAX_PARAMS; i++)
		strbuf_printf(&b, "\n%s", args->params[i] ? args->params[i] : "");
	strbuf_printf(&b, "\n%s", body ? body : "");
	id_digest(ret, b.s, b.len);
	strbuf_done(&b);
}

static void name_key(struct key_names *ret, const struct request *q, const char *key, const struct call_args *args)
{
	char digest[ID_DIGEST_SIZE];
	size_t n = strlen(q->caller.sub);
	_Static_assert(CALLER_NAME_MAX + 1 + ID_DIGEST_SIZE <= sizeof ret->id, "a name and a digest must fit an id");
	id_digest(digest, key, strlen(key));
	memcpy(ret->id, q->caller.sub, n);
	ret->id[n] = ':';
	memcpy(ret->id + n + 1, digest, sizeof digest);
	digest_request(ret->digest, args);
}

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
	name_key(&names, q, key, args);
	const struct keyed *first = map_get(all->under_way, names.id);
	if (first) {
		bool same = str_eq(first->names.digest, names.digest);
		reply_error(q, &(struct error_page){ .err = ERR_CONFLICT, .message = same ? still_under_way : another_request,
						     .retry_after_s = same ? AGAIN_S : 0 });
	} else if (!q->api->env.store || key_sweep_kept(all->sweep) >= KEYS_MAX || map_count(all->under_way) >= UNDER_WAY_MAX) {
		reply_error_text(q, ERR_BUSY, "no more Idempotency-Keys can be kept now; try again later, or without one");
	} else {
		struct keyed *k = keyed_new(q, &names, args);
		map_put(all->under_way, names.id, k, NULL);
		claim(k);
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
