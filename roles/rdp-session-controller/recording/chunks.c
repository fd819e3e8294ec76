#include "roles/rdp-session-controller/recording/chunks.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/recording/running.h"

const char *chunk_id(char dst[CHUNK_ID_SIZE], const char *recording_id, int64_t seq)
{
	snprintf(dst, CHUNK_ID_SIZE, "%s:%08lld", recording_id, (long long)seq);
	return dst;
}

json_t *chunk_row(const char *recording_id, const json_t *entry)
{
	struct record_index_entry e;
	if (!record_entry_from_doc(entry, &e))
		return NULL;
	json_t *row = json_object(), *members = record_entry_doc(&e);
	doc_set_str(row, "recording_id", recording_id);
	json_object_update(row, members);
	json_decref(members);
	doc_set_int(row, "version", 1);
	return row;
}

/* A hex digit for each second as an array of numbers. */
static json_t *activity_list(const json_t *row)
{
	const char *digits = doc_str(row, "activity", "");
	int64_t seconds = doc_int(row, "duration_ms", 0) / 1000 + 1;
	json_t *list = json_array();
	for (size_t i = 0; digits[i] && (int64_t)i < seconds; i++)
		json_array_append_new(list, json_integer(digits[i] >= 'a' ? digits[i] - 'a' + 10 : digits[i] - '0'));
	return list;
}

json_t *chunk_shown(const json_t *row)
{
	static const char *const same[] = { "seq", "t0_ms", "duration_ms", "bytes", "raw_bytes", "frames", "width", "height", "torn", "hash", "prev_hash" };
	json_t *shown = json_object();
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		json_object_set(shown, same[i], json_object_get(row, same[i]));
	doc_set_bool(shown, "closed", true);
	doc_set(shown, "activity", activity_list(row));
	return shown;
}

/* --- writing */

static void count_in(struct recording *r, const char *key, const json_t *row)
{
	object_touch(&r->o, key, json_integer(doc_int(r->o.doc, key, 0) + doc_int(row, key, 0)));
}

void recording_count_chunk(struct recording *r, const json_t *row)
{
	static const char *const sums[] = { "bytes", "raw_bytes", "frames" }, *const same[] = { "width", "height" };
	int64_t seq = doc_int(row, "seq", 0);
	if (seq < doc_int(r->o.doc, "chunks", 0))
		return;
	for (size_t i = 0; i < ARRAY_LEN(sums); i++)
		count_in(r, sums[i], row);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		if (doc_int(row, same[i], 0))
			object_touch(&r->o, same[i], json_incref(json_object_get(row, same[i])));
	object_touch(&r->o, "duration_ms", json_integer(doc_int(row, "t0_ms", 0) + doc_int(row, "duration_ms", 0)));
	object_touch(&r->o, "head", json_incref(json_object_get(row, "hash")));
	object_touch(&r->o, "chunks", json_integer(seq + 1));
	r->chunks = seq + 1;
	r->bytes = doc_int(r->o.doc, "bytes", 0);
	r->duration_ms = doc_int(r->o.doc, "duration_ms", 0);
	r->running_known &= r->running.seq > seq;
}

void recording_publish_chunk(struct recording *r, const json_t *row)
{
	json_t *data = chunk_shown(row);
	doc_set_str(data, "recording_id", r->o.id);
	doc_set_str(data, "session_id", doc_str(r->o.doc, "session_id", NULL));
	object_publish(&r->o, "chunk", data);
}

static void chunk_stored(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct recording_task *t = arg;
	struct recording *r = task_recording(t);
	if (result == STORE_OK || result == STORE_EXISTS) {
		if (!r->o.gone)
			recording_count_chunk(r, t->body);
		if (!r->o.gone && result == STORE_OK)
			recording_publish_chunk(r, t->body);
	} else {
		log_warn(SERVICE, "chunk %lld of recording %s is not stored yet: %s", (long long)doc_int(t->body, "seq", 0), r->o.id, err_text(err));
		stored_recordings_look_soon(recording_all(r));
	}
	object_task_end(&t->on);
}

static void run_chunk(struct object_task *on)
{
	struct recording_task *t = recording_task_of(on);
	struct recording *r = task_recording(t);
	char id[CHUNK_ID_SIZE];
	int64_t seq = doc_int(t->body, "seq", 0);
	if (seq != doc_int(r->o.doc, "chunks", 0)) { /* it is known, or one before it is missing, which the next listing shows */
		object_task_end(on);
		return;
	}
	struct store_op op = { STORE_INSERT, COL_RECORDING_CHUNKS, chunk_id(id, r->o.id, seq), 0, t->body };
	store_write(recording_all(r)->c->env.store, &op, 1, chunk_stored, t);
}

void recording_chunk_closed(struct recording *r, const json_t *entry)
{
	json_t *row = chunk_row(r->o.id, entry);
	if (!row) {
		log_warn(SERVICE, "the agent of host %s reports a chunk of recording %s without its index entry", recording_node(r), r->o.id);
		return;
	}
	struct recording_task *t = recording_task_new(recording_all(r), NULL, run_chunk);
	t->body = row;
	object_queue(&r->o, &t->on);
}

/* --- the list */

struct chunk_list {
	struct recording_reading *r;
	json_t *chunks;
	size_t limit;
};

static int64_t recording_length_ms(const json_t *doc)
{
	int64_t started_ms = 0, ms = doc_int(doc, "duration_ms", 0);
	bool open = str_eq(doc_str(doc, "state", ""), "recording");
	if (open && clock_from_iso(doc_str(doc, "started_at", ""), &started_ms))
		ms = MAX(ms, clock_wall_ms() - started_ms);
	return ms;
}

static void chunk_list_answer(struct chunk_list *l, bool more)
{
	json_t *out = json_object();
	doc_set_str(out, "session_id", l->r->session_id);
	doc_set_str(out, "recording_id", l->r->id);
	json_object_set(out, "state", json_object_get(l->r->doc, "state"));
	json_object_set(out, "started_at", json_object_get(l->r->doc, "started_at"));
	doc_set_int(out, "duration_ms", recording_length_ms(l->r->doc));
	doc_set(out, "chunks", l->chunks);
	doc_set_bool(out, "more", more);
	call_ok(l->r->call, out);
	recording_read_end(l->r);
	free(l);
}

static void chunk_list_running(const json_t *running, void *arg)
{
	struct chunk_list *l = arg;
	const json_t *last = json_array_get(l->chunks, json_array_size(l->chunks) - 1);
	if (running && doc_int(running, "seq", -1) > doc_int(last, "seq", -1))
		json_array_append(l->chunks, (json_t *)(uintptr_t)running);
	chunk_list_answer(l, false);
}

static void chunk_rows_read(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, int err, void *arg)
{
	struct chunk_list *l = arg;
	struct recording *rec = (struct recording *)objects_find(l->r->all->objects, l->r->id);
	if (result != STORE_OK) {
		objects_fail_call(l->r->all->objects, l->r->call, err, ERR_RECORDING_STORAGE);
		recording_read_end(l->r);
		json_decref(l->chunks);
		free(l);
		return;
	}
	for (size_t i = 0; i < MIN(n, l->limit); i++) {
		_cleanup_(doc_unrefp) json_t *row = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		if (row)
			json_array_append_new(l->chunks, chunk_shown(row));
	}
	if (n <= l->limit && rec && recording_open(rec))
		running_chunk(rec, l->r->call, chunk_list_running, l);
	else
		chunk_list_answer(l, n > l->limit);
}

static void chunks_asked(struct recording_reading *r)
{
	const json_t *query = call_query(r->call);
	struct chunk_list *l = XNEW(struct chunk_list);
	*l = (struct chunk_list){ r, json_array(), (size_t)doc_int(query, "limit", 500) };
	struct store_query q = { .filters = { { .path = "recording_id", .cmp = STORE_EQ, .text = r->id },
					      { .path = "seq", .cmp = STORE_GE, .number = doc_int(query, "after", -1) + 1 } },
				 .nfilters = 2, .sort = { "seq", false }, .limit = l->limit + 1 };
	store_list(r->all->c->env.store, COL_RECORDING_CHUNKS, &q, chunk_rows_read, l);
}

void op_chunks(struct call *c, void *ctx)
{
	recording_read_begin(ctx, c, op_chunks, chunks_asked);
}

/* --- one */

static void one_chunk_answer(struct recording_reading *r, const json_t *chunk)
{
	if (chunk) {
		json_t *out = json_object();
		doc_set_str(out, "session_id", r->session_id);
		doc_set_str(out, "recording_id", r->id);
		json_object_update(out, (json_t *)(uintptr_t)chunk);
		call_ok(r->call, out);
	} else {
		call_fail(r->call, ERR_RECORDING_NOT_FOUND, "recording %s has no chunk %s", r->id, call_param(r->call, "n"));
	}
	recording_read_end(r);
}

static void one_chunk_running(const json_t *running, void *arg)
{
	struct recording_reading *r = arg;
	int64_t n = -1;
	str_int(call_param(r->call, "n"), 0, RECORD_CHUNKS_MAX, &n);
	one_chunk_answer(r, running && doc_int(running, "seq", -1) == n ? running : NULL);
}

static void one_chunk_read(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct recording_reading *r = arg;
	struct recording *rec = (struct recording *)objects_find(r->all->objects, r->id);
	_cleanup_(doc_unrefp) json_t *row = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	_cleanup_(doc_unrefp) json_t *shown = row ? chunk_shown(row) : NULL;
	if (result == STORE_FAILED) {
		objects_fail_call(r->all->objects, r->call, err, ERR_RECORDING_STORAGE);
		recording_read_end(r);
	} else if (!shown && rec && recording_open(rec)) {
		running_chunk(rec, r->call, one_chunk_running, r);
	} else {
		one_chunk_answer(r, shown);
	}
}

static void one_chunk_asked(struct recording_reading *r)
{
	char id[CHUNK_ID_SIZE];
	int64_t n;
	if (str_int(call_param(r->call, "n"), 0, RECORD_CHUNKS_MAX, &n))
		store_get(r->all->c->env.store, COL_RECORDING_CHUNKS, chunk_id(id, r->id, n), one_chunk_read, r);
	else
		one_chunk_answer(r, NULL);
}

void op_chunk(struct call *c, void *ctx)
{
	recording_read_begin(ctx, c, op_chunk, one_chunk_asked);
}

/* --- activity */

#define ACTIVITY_PAGE 500
#define ACTIVITY_MAX 100000
#define STEP_MAX 3600

struct activity {
	struct recording_reading *r;
	int64_t step, next; /* seconds; the next chunk */
	json_t *list;
	bool truncated;
};

static void activity_page(struct activity *a);

/* A step has the greatest of its seconds. */
static void activity_add(struct activity *a, const json_t *row)
{
	const char *digits = doc_str(row, "activity", "");
	int64_t first = doc_int(row, "t0_ms", 0) / 1000, seconds = doc_int(row, "duration_ms", 0) / 1000 + 1;
	for (int64_t i = 0; digits[i] && i < seconds; i++) {
		size_t at = (size_t)((first + i) / a->step);
		int64_t level = digits[i] >= 'a' ? digits[i] - 'a' + 10 : digits[i] - '0';
		if (at >= ACTIVITY_MAX) {
			a->truncated = true;
			return;
		}
		while (json_array_size(a->list) <= at)
			json_array_append_new(a->list, json_integer(0));
		if (level > json_integer_value(json_array_get(a->list, at)))
			json_array_set_new(a->list, at, json_integer(level));
	}
}

static void activity_read(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, int err, void *arg)
{
	struct activity *a = arg;
	for (size_t i = 0; result == STORE_OK && i < n; i++) {
		_cleanup_(doc_unrefp) json_t *row = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		activity_add(a, row);
		a->next = doc_int(row, "seq", a->next) + 1;
	}
	if (result == STORE_OK && n == ACTIVITY_PAGE && !a->truncated) {
		activity_page(a);
		return;
	}
	if (result != STORE_OK) {
		objects_fail_call(a->r->all->objects, a->r->call, err, ERR_RECORDING_STORAGE);
	} else {
		json_t *out = json_object();
		doc_set_str(out, "recording_id", a->r->id);
		json_object_set(out, "started_at", json_object_get(a->r->doc, "started_at"));
		doc_set_int(out, "step_seconds", a->step);
		json_object_set(out, "activity", a->list);
		doc_set_bool(out, "truncated", a->truncated);
		call_ok(a->r->call, out);
	}
	recording_read_end(a->r);
	json_decref(a->list);
	free(a);
}

static void activity_page(struct activity *a)
{
	struct store_query q = { .filters = { { .path = "recording_id", .cmp = STORE_EQ, .text = a->r->id }, { .path = "seq", .cmp = STORE_GE, .number = a->next } },
				 .nfilters = 2, .sort = { "seq", false }, .limit = ACTIVITY_PAGE };
	store_list(a->r->all->c->env.store, COL_RECORDING_CHUNKS, &q, activity_read, a);
}

static void activity_asked(struct recording_reading *r)
{
	int64_t step = doc_int(call_query(r->call), "step", 1);
	if (step < 1 || step > STEP_MAX) {
		call_fail_details(r->call, ERR_RECORDING, json_pack("[{s:s, s:s}]", "field", "step", "message", "must be 1 to 3600 seconds"), NULL);
		recording_read_end(r);
		return;
	}
	struct activity *a = XNEW(struct activity);
	*a = (struct activity){ .r = r, .step = step, .list = json_array() };
	activity_page(a);
}

void op_recording_activity(struct call *c, void *ctx)
{
	recording_read_begin(ctx, c, op_recording_activity, activity_asked);
}
