#include "roles/rdp-session-controller/recording/verify.h"

#include <errno.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/pool.h"
#include "lucid/record_verify.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/recording/chunks.h"

#define VERIFYING_MAX 4
#define ROWS_PAGE 500
#define FAULTS_MAX 100

struct verifying {
	struct pool_job job;
	struct recordings *all;
	struct recording_reading *r;
	uint8_t key[RECORD_KEY_BYTES];
	bool has_key, cancelled;
	struct record_check_args args;
	struct record_check *check;
	struct strbuf index; /* as the host lists it */
	int64_t next;
	uint32_t seq, chunks;
	bool extra; /* the chunk is beyond the index */
	struct source *from;
	struct blob *piece;
	json_t *faults;
	uint64_t bytes;
	bool sealed;
};

static void verify_chunk(struct verifying *v);

static void verifying_end(struct verifying *v)
{
	v->all->verifying--;
	source_close(v->from);
	blob_unref(v->piece);
	record_check_free(v->check);
	strbuf_done(&v->index);
	json_decref(v->faults);
	mem_wipe(v->key, sizeof v->key);
	recording_read_end(v->r);
	free(v);
}

static void verify_fail(struct verifying *v, int err, const char *why)
{
	if (why)
		call_fail(v->r->call, err, "%s", why);
	else
		call_fail(v->r->call, err, NULL);
	verifying_end(v);
}

static void add_fault(struct verifying *v, const char *where, int64_t seq, const char *message)
{
	json_t *fault = json_object();
	if (json_array_size(v->faults) >= FAULTS_MAX) {
		json_decref(fault);
		return;
	}
	doc_set_str(fault, "where", where);
	doc_set(fault, "seq", seq >= 0 ? json_integer(seq) : NULL);
	doc_set(fault, "segment", NULL);
	doc_set_str(fault, "message", message);
	json_array_append_new(v->faults, fault);
}

/* --- the result */

static void run_verified(struct object_task *on)
{
	struct recording_task *t = recording_task_of(on);
	object_touch(&task_recording(t)->o, "verified", json_incref(t->body));
	object_task_end(on);
}

static void verify_note(struct verifying *v, bool ok, const char *now)
{
	struct recording *rec = (struct recording *)objects_find(v->all->objects, v->r->id);
	const struct caller *who = call_caller(v->r->call);
	if (!rec)
		return;
	struct recording_task *t = recording_task_new(v->all, NULL, run_verified);
	t->body = json_object();
	doc_set_str(t->body, "at", now);
	doc_set_bool(t->body, "ok", ok);
	doc_set_int(t->body, "faults", (int64_t)json_array_size(v->faults));
	json_t *data = json_copy(t->body);
	doc_set_str(data, "recording_id", v->r->id);
	doc_set_str(data, "session_id", v->r->session_id);
	doc_set_str(data, "by", *who->sub ? who->sub : NULL);
	doc_set_str(data, "from", *who->address ? who->address : NULL);
	doc_set_str(data, "request_id", call_request_id(v->r->call));
	object_publish(&rec->o, "verified", data);
	object_queue(&rec->o, &t->on);
}

static void verify_answer(struct verifying *v)
{
	struct record_verdict *verdict = XNEW(struct record_verdict);
	char now[CLOCK_ISO_SIZE];
	record_check_finish(v->check, verdict);
	for (size_t i = 0; i < verdict->n_kept; i++)
		add_fault(v, record_finding_to_string(verdict->findings[i].kind), verdict->findings[i].seq, verdict->findings[i].text);
	bool ok = !json_array_size(v->faults) && (verdict->state == RECORD_WHOLE || verdict->state == RECORD_UNSEALED);
	clock_iso(now, clock_wall_ms());
	verify_note(v, ok, now);
	json_t *out = json_object();
	doc_set_str(out, "session_id", v->r->session_id);
	doc_set_str(out, "recording_id", v->r->id);
	doc_set_bool(out, "ok", ok);
	json_object_set(out, "state", json_object_get(v->r->doc, "state"));
	doc_set_bool(out, "sealed", verdict->sealed);
	doc_set_bool(out, "decrypted", verdict->decrypted);
	doc_set_int(out, "chunks", verdict->chunks);
	doc_set_int(out, "bytes", (int64_t)verdict->bytes);
	json_object_set(out, "faults", v->faults);
	doc_set_str(out, "verified_at", now);
	free(verdict);
	call_ok(v->r->call, out);
	verifying_end(v);
}

/* --- the rows: what was stored when each chunk was closed */

static void verify_rows(struct verifying *v);

static void compare_row(struct verifying *v, const json_t *row)
{
	struct record_index_entry stored, listed;
	char name[RECORD_NAME_SIZE];
	size_t at = 0;
	if (!record_entry_from_doc(row, &stored))
		return;
	record_chunk_name(name, stored.seq);
	v->next = (int64_t)stored.seq + 1;
	at = (size_t)stored.seq * RECORD_ENTRY_BYTES;
	if (at + RECORD_ENTRY_BYTES > v->index.len)
		add_fault(v, name, stored.seq, "the store has the hash of this chunk, but the recording does not list it: it was removed");
	else if (!record_entry_get(&listed, (const uint8_t *)v->index.s + at) || memcmp(stored.hash, listed.hash, sizeof stored.hash) != 0)
		add_fault(v, name, stored.seq, "the index has another hash than was stored when the chunk was closed");
}

static void verify_rows_read(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, int err, void *arg)
{
	struct verifying *v = arg;
	if (result != STORE_OK) {
		objects_fail_call(v->all->objects, v->r->call, err, ERR_RECORDING_STORAGE);
		verifying_end(v);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		_cleanup_(doc_unrefp) json_t *row = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		compare_row(v, row);
	}
	if (n == ROWS_PAGE)
		verify_rows(v);
	else
		verify_chunk(v);
}

static void verify_rows(struct verifying *v)
{
	struct store_query q = { .filters = { { .path = "recording_id", .cmp = STORE_EQ, .text = v->r->id }, { .path = "seq", .cmp = STORE_GE, .number = v->next } },
				 .nfilters = 2, .sort = { "seq", false }, .limit = ROWS_PAGE };
	store_list(v->all->c->env.store, COL_RECORDING_CHUNKS, &q, verify_rows_read, v);
}

/* --- the chunks */

static void check_piece(struct pool_job *j, UNUSED void *worker)
{
	struct verifying *v = CONTAINER_OF(j, struct verifying, job);
	record_check_chunk_data(v->check, (const uint8_t *)v->piece->data, v->piece->len);
}

static void verify_piece(struct blob *piece, int err, const char *why, void *arg);

static void piece_checked(struct pool_job *j)
{
	struct verifying *v = CONTAINER_OF(j, struct verifying, job);
	v->bytes += v->piece->len;
	blob_unref(v->piece);
	v->piece = NULL;
	source_read(v->from, verify_piece, v);
}

static void verify_piece(struct blob *piece, int err, UNUSED const char *why, void *arg)
{
	struct verifying *v = arg;
	if (piece) {
		v->piece = blob_ref(piece);
		v->job.run = check_piece;
		v->job.done = piece_checked;
		if (pool_submit(v->all->pool, &v->job) < 0) {
			check_piece(&v->job, NULL);
			piece_checked(&v->job);
		}
		return;
	}
	source_close(TAKE_PTR(v->from));
	record_check_chunk_end(v->check, err ? -EIO : 0);
	v->seq++;
	verify_chunk(v);
}

static void verify_opened(const struct reply *reply, void *arg)
{
	struct verifying *v = arg;
	bool gone = reply->err && !agent_silent(reply) && err_status(reply->err) == 404;
	if ((reply->err && !gone) || v->cancelled) {
		verify_fail(v, reply->err ? reply->err : ERR_CANCELLED, reply->message);
		return;
	}
	record_check_chunk_begin(v->check, v->seq);
	if (gone || !reply->source) {
		record_check_chunk_end(v->check, -ENOENT);
		v->seq++;
		verify_chunk(v);
		return;
	}
	v->from = source_ref(reply->source);
	source_read(v->from, verify_piece, v);
}

static void verify_chunk(struct verifying *v)
{
	struct recording *rec = (struct recording *)objects_find(v->all->objects, v->r->id);
	if (!rec)
		verify_fail(v, ERR_RECORDING_NOT_FOUND, NULL);
	else if (v->seq < v->chunks)
		recording_file_ask(rec, v->seq, NULL, verify_opened, v);
	else
		verify_answer(v);
}

/* --- the begin */

static bool take_index(struct verifying *v, const json_t *index)
{
	const json_t *each;
	size_t i;
	json_array_foreach(index, i, each)
	{
		struct record_index_entry e;
		uint8_t bytes[RECORD_ENTRY_BYTES];
		if (!record_entry_from_doc(each, &e))
			memset(bytes, 0xff, sizeof bytes); /* no valid entry has these bytes */
		else
			record_entry_put(bytes, &e);
		strbuf_add(&v->index, bytes, sizeof bytes);
		v->next++;
	}
	return json_array_size(index) > 0;
}

static void take_extra(struct verifying *v, const json_t *chunks)
{
	const json_t *each;
	size_t i;
	json_array_foreach(chunks, i, each)
		if (doc_int(each, "seq", -1) >= (int64_t)v->chunks)
			record_check_extra(v->check, (uint32_t)doc_int(each, "seq", 0));
}

static void verify_files_listed(const struct reply *reply, void *arg)
{
	struct verifying *v = arg;
	struct recording *rec = (struct recording *)objects_find(v->all->objects, v->r->id);
	if (reply->err || !rec) {
		bool gone = !rec || (!agent_silent(reply) && err_status(reply->err) == 404);
		verify_fail(v, gone ? ERR_RECORDING_NOT_FOUND : (int)reply->err, gone ? "the host has no files of this recording" : reply->message);
		return;
	}
	const char *manifest = doc_str(reply->doc, "manifest", NULL), *seal = doc_str(reply->doc, "seal", NULL);
	if (!v->next) {
		record_check_manifest(v->check, manifest, manifest ? strlen(manifest) : 0);
		record_check_seal(v->check, seal, seal ? strlen(seal) : 0);
	}
	if (take_index(v, json_object_get(reply->doc, "index")) && doc_bool(reply->doc, "more", false)) {
		recording_files_ask(rec, v->next, NULL, verify_files_listed, v);
		return;
	}
	record_check_index(v->check, (const uint8_t *)(v->index.s ? v->index.s : ""), v->index.len);
	v->chunks = record_check_chunks(v->check);
	take_extra(v, json_object_get(reply->doc, "chunks"));
	v->next = 0;
	verify_rows(v);
}

static void verify_cancelled(UNUSED struct call *c, void *arg)
{
	((struct verifying *)arg)->cancelled = true;
}

static void verify_asked(struct recording_reading *r)
{
	struct recordings *all = r->all;
	const char *why = NULL;
	if (all->verifying >= VERIFYING_MAX) {
		call_fail(r->call, ERR_BUSY, "%d recordings are being verified; retry in a minute", VERIFYING_MAX);
		recording_read_end(r);
		return;
	}
	struct verifying *v = XNEW(struct verifying);
	*v = (struct verifying){ .all = all, .r = r, .faults = json_array() };
	v->index.max = (size_t)RECORD_CHUNKS_MAX * RECORD_ENTRY_BYTES;
	all->verifying++;
	v->has_key = recording_key(all, r->doc, v->key, &why);
	v->args = (struct record_check_args){ .masters = all->masters, .n_masters = all->n_masters, .key = v->has_key ? v->key : NULL };
	v->check = record_check_new(&v->args);
	call_on_cancel(r->call, verify_cancelled, v);
	recording_files_ask(r->rec, 0, r->call, verify_files_listed, v);
}

void op_recording_verify(struct call *c, void *ctx)
{
	recording_read_begin(ctx, c, op_recording_verify, verify_asked);
}
