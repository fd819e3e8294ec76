#include "roles/rdp-session-controller/recording/settle.h"

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/recording/chunks.h"
#include "roles/rdp-session-controller/recording/config.h"
#include "roles/rdp-session-controller/recording/start.h"

#define ROWS_PAGE 500

struct settling {
	struct recordings *all;
	char id[ID_UUID_SIZE];
	char *state, *reason; /* NULL: only the rows */
	json_t *entries;      /* that the host lists beyond the stored rows */
	size_t at;
	bool missing; /* the host has no such recording */
	json_t *row;  /* being written */
	struct recording_task *task;
	/* the seal */
	struct strbuf index;
	int64_t next;
	char root[2 * RECORD_HASH_BYTES + 1];
};

bool recording_unsettled(const struct recording *r)
{
	return !r->o.gone && !r->o.unborn && !recording_open(r) && !r->sealed && !r->deleting && r->chunks > 0;
}

static void settling_end(struct settling *s)
{
	struct recordings *all = s->all;
	struct recording *r = (struct recording *)objects_record(all->objects, s->id);
	if (r) {
		r->settling = false;
		if (r->settle_again)
			stored_recordings_look_soon(all);
		r->settle_again = false;
	}
	if (s->task)
		object_task_end(&s->task->on);
	free(s->state);
	free(s->reason);
	json_decref(s->entries);
	json_decref(s->row);
	strbuf_done(&s->index);
	free(s);
	objects_release(all->objects);
}

static struct recording *settling_recording(const struct settling *s)
{
	return task_recording(s->task);
}

/* --- the acknowledgement */

static void acknowledged(UNUSED const struct reply *r, void *arg)
{
	objects_release(arg); /* if it was lost, the next listing shows the recording again */
}

void recording_acknowledge(struct recording *r)
{
	struct recordings *all = recording_all(r);
	objects_hold(all->objects);
	agent_ask(all->c, &(struct agent_args){ .op = all->ops.stop, .node = recording_node(r), .params = { r->o.id } }, acknowledged, all->objects);
}

/* --- the seal: over the rows as they were stored when the chunks were closed, not over what the host lists now */

static void seal_durable(int err, void *arg)
{
	struct settling *s = arg;
	struct recording *r = settling_recording(s);
	if (!err && !r->o.gone) {
		json_t *data = json_object();
		doc_set_str(data, "recording_id", r->o.id);
		doc_set_str(data, "session_id", doc_str(r->o.doc, "session_id", NULL));
		doc_set_str(data, "hash", s->root);
		object_publish(&r->o, "sealed", data);
		recording_acknowledge(r);
	}
	settling_end(s);
}

static void seal_written(const struct reply *reply, void *arg)
{
	struct settling *s = arg;
	struct recording *r = settling_recording(s);
	if (reply->err || r->o.gone) {
		if (reply->err)
			log_warn(SERVICE, "the seal of recording %s could not be written: %s; retrying", s->id, reply->message);
		settling_end(s);
		return;
	}
	object_touch(&r->o, "merkle_root", json_string(s->root));
	char now[CLOCK_ISO_SIZE];
	object_touch(&r->o, "sealed_at", json_string(clock_iso(now, clock_wall_ms())));
	r->sealed = true;
	object_wait(&r->o, seal_durable, s);
}

static void write_seal(struct settling *s)
{
	struct recording *r = settling_recording(s);
	struct recordings *all = s->all;
	_cleanup_(xfreep) char *manifest = recording_manifest_text(all, r->o.doc);
	struct record_manifest m = { 0 };
	struct record_seal seal = { 0 };
	char why[RECORD_WHY_SIZE] = "MASTER_KEY is not usable";
	_cleanup_(xfreep) char *text = NULL;
	if (manifest && record_manifest_parse(manifest, strlen(manifest), &m, why)) {
		seal.recording = m.recording;
		seal.ended_ms = r->ended_ms ? r->ended_ms : clock_wall_ms();
		str_copy(seal.state, sizeof seal.state, r->o.state == RECORDING_COMPLETE ? "complete" : "truncated");
		str_copy(why, sizeof why, "the hashes of its chunks are not one chain");
		if (record_seal_add_up(&seal, (const uint8_t *)s->index.s, s->index.len))
			text = record_seal_text(&seal, &all->masters[0]);
		str_hex(s->root, seal.root, sizeof seal.root);
	}
	record_manifest_done(&m);
	if (!text) {
		log_error(SERVICE, "recording %s cannot be sealed: %s", s->id, why);
		settling_end(s);
		return;
	}
	_cleanup_(doc_unrefp) json_t *body = json_object();
	doc_set_str(body, "text", text);
	agent_ask(all->c, &(struct agent_args){ .op = all->ops.write, .node = recording_node(r), .params = { r->o.id, RECORD_SEAL }, .body = body }, seal_written, s);
}

static void seal_page(struct settling *s);

static void seal_rows_read(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, UNUSED int err, void *arg)
{
	struct settling *s = arg;
	for (size_t i = 0; result == STORE_OK && i < n; i++) {
		_cleanup_(doc_unrefp) json_t *row = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		struct record_index_entry e;
		uint8_t bytes[RECORD_ENTRY_BYTES];
		if (!record_entry_from_doc(row, &e))
			continue; /* the chain then has a gap, and there is no seal */
		record_entry_put(bytes, &e);
		strbuf_add(&s->index, bytes, sizeof bytes);
		s->next = (int64_t)e.seq + 1;
	}
	if (result != STORE_OK || settling_recording(s)->o.gone)
		settling_end(s);
	else if (n == ROWS_PAGE)
		seal_page(s);
	else
		write_seal(s);
}

static void seal_page(struct settling *s)
{
	struct store_query q = { .filters = { { .path = "recording_id", .cmp = STORE_EQ, .text = s->id }, { .path = "seq", .cmp = STORE_GE, .number = s->next } },
				 .nfilters = 2, .sort = { "seq", false }, .limit = ROWS_PAGE };
	store_list(s->all->c->env.store, COL_RECORDING_CHUNKS, &q, seal_rows_read, s);
}

/* --- the final state */

static void end_durable(int err, void *arg)
{
	struct settling *s = arg;
	struct recording *r = settling_recording(s);
	if (err || r->o.gone || recording_open(r) || s->missing) {
		settling_end(s);
	} else if (recording_unsettled(r)) {
		seal_page(s);
	} else {
		recording_acknowledge(r);
		settling_end(s);
	}
}

static void settle_state(struct settling *s)
{
	struct recording *r = settling_recording(s);
	if (s->state)
		recording_end_as(r, s->missing ? "failed" : s->state, s->reason);
	object_wait(&r->o, end_durable, s);
}

/* --- rows */

static void settle_row(struct settling *s);

static void settled_row_stored(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	struct settling *s = arg;
	struct recording *r = settling_recording(s);
	if (r->o.gone || (result != STORE_OK && result != STORE_EXISTS)) {
		settling_end(s);
		return;
	}
	recording_count_chunk(r, s->row);
	if (result == STORE_OK)
		recording_publish_chunk(r, s->row);
	s->at++;
	settle_row(s);
}

/* Entries that are stored already, or that do not follow the stored ones, are skipped. */
static void settle_row(struct settling *s)
{
	struct recording *r = settling_recording(s);
	char id[CHUNK_ID_SIZE];
	json_decref(s->row);
	s->row = NULL;
	for (; s->at < json_array_size(s->entries); s->at++) {
		json_t *row = chunk_row(r->o.id, json_array_get(s->entries, s->at));
		int64_t seq = row ? doc_int(row, "seq", -1) : -1;
		if (seq == doc_int(r->o.doc, "chunks", 0)) {
			s->row = row;
			struct store_op op = { STORE_INSERT, COL_RECORDING_CHUNKS, chunk_id(id, r->o.id, seq), 0, row };
			store_write(s->all->c->env.store, &op, 1, settled_row_stored, s);
			return;
		}
		json_decref(row);
	}
	settle_state(s);
}

static void run_settle(struct object_task *on)
{
	struct recording_task *t = recording_task_of(on);
	struct settling *s = TAKE_PTR(t->arg);
	s->task = t;
	if (task_recording(t)->deleting || objects_draining(on->object->set))
		settling_end(s);
	else
		settle_row(s);
}

/* The recording was deleted before its task ran. */
void recording_settle_unrun(struct recording_task *t)
{
	struct settling *s = t->on.run == run_settle ? TAKE_PTR(t->arg) : NULL;
	if (s)
		settling_end(s);
}

static void settle_files_listed(const struct reply *reply, void *arg)
{
	struct settling *s = arg;
	struct recording *r = (struct recording *)objects_find(s->all->objects, s->id);
	json_t *entry;
	size_t i;
	s->missing = reply->err && !agent_silent(reply) && err_status(reply->err) == 404;
	if (!r || (reply->err && !s->missing) || (s->missing && !s->state)) {
		settling_end(s);
		return;
	}
	json_array_foreach(reply->err ? NULL : json_object_get(reply->doc, "index"), i, entry)
	{
		json_array_append(s->entries, entry);
		s->next = doc_int(entry, "seq", s->next) + 1;
	}
	if (!reply->err && doc_bool(reply->doc, "more", false) && json_array_size(json_object_get(reply->doc, "index"))) {
		recording_files_ask(r, s->next, NULL, settle_files_listed, s);
		return;
	}
	s->next = 0;
	struct recording_task *t = recording_task_new(s->all, NULL, run_settle);
	t->arg = s;
	object_queue(&r->o, &t->on);
}

void recording_settle(struct recording *r, const char *state, const char *reason)
{
	struct recordings *all = recording_all(r);
	if (r->settling || r->o.gone || r->deleting) {
		r->settle_again = r->settling;
		return;
	}
	struct settling *s = XNEW(struct settling);
	*s = (struct settling){ .all = all, .state = state ? xstrdup(state) : NULL, .reason = reason ? xstrdup(reason) : NULL, .entries = json_array() };
	memcpy(s->id, r->o.id, sizeof s->id);
	r->settling = true;
	objects_hold(all->objects);
	recording_files_ask(r, r->chunks, NULL, settle_files_listed, s);
}

void settle_place(struct recording_place *p)
{
	struct map_pos pos = { 0 };
	struct recording *r;
	while ((r = (struct recording *)objects_next(p->g.set, &pos)))
		if ((struct recording_place *)r->o.group == p && recording_unsettled(r))
			recording_settle(r, NULL, NULL);
}

/* --- a recording without a document: it was lost with a store that was restored from a backup, or the start was not stored */

struct adopting {
	struct recordings *all;
	char *node;
	json_t *item, *doc;
};

static void adopting_end(struct adopting *a)
{
	struct objects *set = a->all->objects;
	free(a->node);
	json_decref(a->item);
	json_decref(a->doc);
	free(a);
	objects_release(set);
}

static void adopted(enum store_result result, UNUSED size_t index, UNUSED int err, void *arg)
{
	struct adopting *a = arg;
	if (result == STORE_OK && objects_add(a->all->objects, a->doc)) {
		log_info(SERVICE, "recording %s was found on host %s and taken over", doc_str(a->doc, "recording_id", ""), a->node);
		stored_recordings_look_soon(a->all);
	}
	adopting_end(a);
}

static json_t *adopted_doc(const struct recordings *all, const char *node, const struct record_manifest *m)
{
	static const char *const members[][2] = { { "session_id", "session_id" }, { "server_id", "server_id" }, { "user_id", "user" }, { "username", "account" },
						  { "display", "display" }, { "desktop_started_at", "desktop_started_at" }, { "started_at", "started_at" },
						  { "created_at", "started_at" }, { "started_by", "started_by" }, { "config", "config" } };
	static const char *const unknown[] = { "state_reason", "first_picture_at", "ended_at", "width", "height", "head", "cipher", "merkle_root", "sealed_at", "verified",
					       "stopped_by" };
	static const char *const zero[] = { "duration_ms", "chunks", "frames", "bytes", "raw_bytes" };
	json_t *doc = json_object();
	char hex[2 * RECORD_WRAPPED_BYTES + 1] = "";
	doc_set_str(doc, "recording_id", doc_str(m->recording, "recording_id", ""));
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		json_object_set(doc, members[i][0], json_object_get(m->recording, members[i][1]));
	doc_set_str(doc, "node", node);
	doc_set_str(doc, "state", "recording");
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		doc_set(doc, unknown[i], NULL);
	for (size_t i = 0; i < ARRAY_LEN(zero); i++)
		doc_set_int(doc, zero[i], 0);
	doc_set(doc, "storage_config", recording_storage(all->c->env.config, NULL));
	doc_set_bool(doc, "deleting", false);
	str_hex(hex, m->key.data, sizeof m->key.data);
	doc_set_str(doc, "key_id", m->key.kek_id);
	doc_set_str(doc, RECORDING_KEY_FIELD, hex);
	doc_set_int(doc, "version", 1);
	doc_set_time(doc, "updated_at", clock_wall_ms());
	doc_set(doc, "visible_to", json_array());
	if (doc_str(doc, "user_id", NULL))
		json_array_append(json_object_get(doc, "visible_to"), json_object_get(doc, "user_id"));
	return doc;
}

static bool signed_here(const struct recordings *all, const struct record_manifest *m)
{
	for (size_t i = 0; i < all->n_masters; i++)
		if (!memcmp(all->masters[i].public_key, m->public_key, sizeof m->public_key))
			return true;
	return false;
}

static void adopt_files_listed(const struct reply *reply, void *arg)
{
	struct adopting *a = arg;
	const char *text = reply->err ? NULL : doc_str(reply->doc, "manifest", NULL), *id = doc_str(a->item, "recording_id", "");
	struct record_manifest m = { 0 };
	char why[RECORD_WHY_SIZE];
	bool ours = text && record_manifest_parse(text, strlen(text), &m, why) && m.encrypted && signed_here(a->all, &m) &&
		    str_eq(doc_str(m.recording, "recording_id", ""), id) && !objects_record(a->all->objects, id) && !objects_draining(a->all->objects);
	if (ours)
		a->doc = adopted_doc(a->all, a->node, &m);
	record_manifest_done(&m);
	if (!ours) {
		adopting_end(a);
		return;
	}
	struct store_op op = { STORE_INSERT, COL_RECORDINGS, id, 0, a->doc };
	store_write(a->all->c->env.store, &op, 1, adopted, a);
}

static void adopt_looked_up(enum store_result result, UNUSED const struct store_doc *d, UNUSED int err, void *arg)
{
	struct adopting *a = arg;
	if (result == STORE_OK)
		objects_follow(a->all->objects); /* another process stored it */
	if (result != STORE_MISSING) {
		adopting_end(a);
		return;
	}
	struct recordings *all = a->all;
	agent_ask(all->c, &(struct agent_args){ .op = all->ops.files, .node = a->node, .params = { doc_str(a->item, "recording_id", "") } }, adopt_files_listed, a);
}

void recording_adopt(struct recordings *all, const char *node, const json_t *item)
{
	struct adopting *a = XNEW(struct adopting);
	*a = (struct adopting){ .all = all, .node = xstrdup(node), .item = json_incref((json_t *)(uintptr_t)item) };
	objects_hold(all->objects);
	store_get(all->c->env.store, COL_RECORDINGS, doc_str(item, "recording_id", ""), adopt_looked_up, a);
}
