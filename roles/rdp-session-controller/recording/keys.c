#include "roles/rdp-session-controller/recording/keys.h"

#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/recording/start.h"

/* The keys of recordings, wrapped with what is derived from MASTER_KEY. */

void recording_keys_wipe(struct recordings *r)
{
	for (size_t i = 0; i < r->n_masters; i++)
		record_master_done(&r->masters[i]);
	r->n_masters = 0;
}

void recording_keys_load(struct recordings *r, const struct config *config)
{
	const char *current = config_str(config, "MASTER_KEY");
	recording_keys_wipe(r);
	if (!record_master_init(&r->masters[0], current, strlen(current)))
		return;
	r->n_masters = 1;
	for (const char *const *old = config_list(config, "MASTER_KEYS_OLD"); old && *old && r->n_masters < ARRAY_LEN(r->masters); old++)
		r->n_masters += record_master_init(&r->masters[r->n_masters], *old, strlen(*old));
}

static int hex_value(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

static bool from_hex(const char *text, uint8_t *ret, size_t n)
{
	if (strlen(text) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool recording_wrapped(const json_t *doc, struct record_wrapped *ret)
{
	return str_copy(ret->kek_id, sizeof ret->kek_id, doc_str(doc, "key_id", "")) &&
	       from_hex(doc_str(doc, RECORDING_KEY_FIELD, ""), ret->data, sizeof ret->data);
}

void recording_key_set(const struct recordings *r, json_t *doc, const uint8_t key[RECORD_KEY_BYTES])
{
	uint8_t id[RECORD_ID_BYTES] = { 0 };
	struct record_wrapped wrapped;
	char hex[2 * RECORD_WRAPPED_BYTES + 1];
	record_id_parse(doc_str(doc, "recording_id", ""), id);
	record_key_wrap(&r->masters[0], id, key, &wrapped);
	str_hex(hex, wrapped.data, sizeof wrapped.data);
	hex[sizeof hex - 1] = 0;
	doc_set_str(doc, "key_id", wrapped.kek_id);
	doc_set_str(doc, RECORDING_KEY_FIELD, hex);
}

bool recording_key(const struct recordings *r, const json_t *doc, uint8_t ret[RECORD_KEY_BYTES], const char **ret_why)
{
	struct record_wrapped wrapped;
	uint8_t id[RECORD_ID_BYTES];
	if (!record_id_parse(doc_str(doc, "recording_id", ""), id) || !recording_wrapped(doc, &wrapped)) {
		*ret_why = "has no key in the store";
		return false;
	}
	*ret_why = r->n_masters ? "was encrypted under another MASTER_KEY; add that to MASTER_KEYS_OLD" : "cannot be decrypted, because MASTER_KEY is not usable";
	for (size_t i = 0; i < r->n_masters; i++) {
		enum record_unwrap got = record_key_unwrap(&r->masters[i], id, &wrapped, ret);
		if (got == RECORD_UNWRAPPED)
			return true;
		if (got == RECORD_KEY_MODIFIED)
			*ret_why = "cannot be decrypted: its key was changed, or belongs to another recording";
	}
	return false;
}

/* --- a new MASTER_KEY */

/* The manifest is written first. If that is interrupted, the manifest has the key under the new MASTER_KEY and the document under the old one: both
 * can be opened, and the next pass does it again. */

static void rewrap_next(struct recordings *all);

struct rewrapping {
	struct recording_task *t;
	json_t *next; /* the document with the key wrapped anew */
};

static void rewrap_end(struct rewrapping *w, bool done)
{
	struct recordings *all = recording_all(task_recording(w->t));
	struct recording *r = task_recording(w->t);
	if (done && !r->o.gone) {
		json_t *data = json_object();
		doc_set_str(data, "recording_id", r->o.id);
		object_publish(&r->o, "rewrapped", data);
	}
	r->rewrapping = false;
	r->rewrap_failed = !done;
	object_task_end(&w->t->on);
	json_decref(w->next);
	free(w);
	all->rewrapping = false;
	if (done)
		rewrap_next(all);
}

static void rewrap_durable(int err, void *arg)
{
	rewrap_end(arg, !err);
}

static void rewrapped_manifest_written(const struct reply *reply, void *arg)
{
	struct rewrapping *w = arg;
	struct recording *r = task_recording(w->t);
	static const char *const members[] = { "key_id", RECORDING_KEY_FIELD };
	bool missing = reply->err && !agent_silent(reply) && err_status(reply->err) == 404; /* only the document is left */
	if ((reply->err && !missing) || r->o.gone) {
		log_warn(SERVICE, "the key of recording %s is still wrapped with the previous MASTER_KEY: %s", r->o.id, reply->err ? reply->message : "it was deleted");
		rewrap_end(w, false);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		object_touch(&r->o, members[i], json_incref(json_object_get(w->next, members[i])));
	recording_reread(r);
	object_wait(&r->o, rewrap_durable, w);
}

static void run_rewrap(struct object_task *on)
{
	struct recording_task *t = recording_task_of(on);
	struct recording *r = task_recording(t);
	struct recordings *all = recording_all(r);
	struct rewrapping *w = XNEW(struct rewrapping);
	uint8_t key[RECORD_KEY_BYTES];
	const char *why = "";
	w->t = t;
	t->arg = w;
	if (!recording_key(all, r->o.doc, key, &why)) {
		log_warn(SERVICE, "recording %s %s", r->o.id, why);
		rewrap_end(w, false);
		return;
	}
	w->next = json_copy(r->o.doc);
	recording_key_set(all, w->next, key);
	mem_wipe(key, sizeof key);
	_cleanup_(xfreep) char *manifest = recording_manifest_text(all, w->next);
	_cleanup_(doc_unrefp) json_t *body = json_object();
	doc_set_str(body, "text", manifest);
	agent_ask(all->c, &(struct agent_args){ .op = all->ops.write, .node = recording_node(r), .params = { r->o.id, RECORD_MANIFEST }, .body = body },
		  rewrapped_manifest_written, w);
}

static bool can_unwrap(const struct recordings *all, const struct recording *r)
{
	for (size_t i = 0; i < all->n_masters; i++)
		if (str_eq(all->masters[i].kek_id, r->key_id))
			return true;
	return false;
}

void recordings_check_keys(struct recordings *all)
{
	struct map_pos pos = { 0 };
	const struct recording *r, *first = NULL;
	size_t n = 0;
	while ((r = (const struct recording *)objects_next(all->objects, &pos))) {
		if (r->o.unborn || r->o.gone || !*r->key_id || can_unwrap(all, r))
			continue;
		first = first ? first : r;
		n++;
	}
	if (n)
		log_warn(SERVICE, "%zu recordings cannot be read: recording %s was encrypted under another MASTER_KEY (id %s); add that to MASTER_KEYS_OLD", n,
			 first->o.id, first->key_id);
}

/* A running one waits: its agent keeps the manifest that it was started with. */
static bool needs_rewrap(const struct recordings *all, const struct recording *r)
{
	return !r->o.unborn && !r->o.gone && !recording_open(r) && !r->deleting && !r->rewrap_failed && *r->key_id && !str_eq(r->key_id, all->masters[0].kek_id) && can_unwrap(all, r) &&
	       recording_leads(r) && !agent_unreachable(all->c, recording_node(r));
}

static void rewrap_next(struct recordings *all)
{
	struct map_pos pos = { 0 };
	struct recording *r;
	if (all->rewrapping || !all->n_masters || objects_draining(all->objects))
		return;
	while ((r = (struct recording *)objects_next(all->objects, &pos))) {
		if (!needs_rewrap(all, r))
			continue;
		all->rewrapping = r->rewrapping = true;
		object_queue(&r->o, &recording_task_new(all, NULL, run_rewrap)->on);
		return;
	}
}

void recordings_rewrap(struct recordings *all)
{
	struct map_pos pos = { 0 };
	struct recording *r;
	if (all->rewrapping)
		return;
	while ((r = (struct recording *)objects_next(all->objects, &pos)))
		r->rewrap_failed = false;
	rewrap_next(all);
}

void recording_rewrap_unrun(struct recording_task *t)
{
	struct recordings *all = object_ctx(t->on.object);
	if (t->on.run == run_rewrap && !t->arg)
		all->rewrapping = false;
}
