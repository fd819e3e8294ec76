#include "roles/rdp-session-controller/recording/view.h"

#include "lucid/clock.h"
#include "lucid/pool.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/recording/chunks.h"

#define VIEWING_MS (10 * 60 * 1000) /* further requests within this time belong to the same viewing */
#define OUTPUT_MAX (2 * (size_t)RECORD_SEGMENT_RAW) /* bytes that a segment may inflate to, and more */

/* --- who views: one audit entry for each viewing */

struct viewing {
	int64_t seen_us;
};

static bool viewing_expired(const struct viewing *v)
{
	return clock_mono_us() - v->seen_us > VIEWING_MS * 1000ll;
}

void recording_viewings_expire(struct recordings *all)
{
	struct map_pos pos = { 0 };
	const char *key;
	void *v;
	while (map_next(all->viewings, &pos, &key, &v))
		if (viewing_expired(v))
			free(map_remove(all->viewings, key));
}

static void note_viewing(struct recording *r, const struct call *call)
{
	struct recordings *all = recording_all(r);
	const struct caller *who = call_caller(call);
	_cleanup_(xfreep) char *key = xasprintf("%s %s %s", r->o.id, who->address, who->sub);
	struct viewing *v = map_get(all->viewings, key);
	bool again = v && !viewing_expired(v);
	if (!v) {
		v = XNEW(struct viewing);
		if (!map_put(all->viewings, key, v, NULL)) {
			free(v);
			v = NULL;
		}
	}
	if (v)
		v->seen_us = clock_mono_us();
	if (again)
		return;
	json_t *data = json_object();
	doc_set_str(data, "recording_id", r->o.id);
	doc_set_str(data, "session_id", r->session ? r->session->id : NULL);
	doc_set_str(data, "by", *who->sub ? who->sub : NULL);
	doc_set_str(data, "from", *who->address ? who->address : NULL);
	doc_set_str(data, "request_id", call_request_id(call));
	metric_add(all->metrics.views, 1);
	object_publish(&r->o, "viewed", data);
}

/* --- the stream */

struct view {
	struct pool_job job;
	struct recordings *all;
	struct recording_reading *r; /* until the answer */
	char id[ID_UUID_SIZE];
	int64_t seq, skip;
	bool closed;  /* nothing follows later */
	bool torn;    /* it has no end */
	bool stored;  /* as stored: a zstd frame */
	uint8_t key[RECORD_KEY_BYTES];
	struct record_reader *reader;
	struct source *from, *to; /* to NULL: the client has gone */
	struct blob *piece;	  /* being decoded; NULL: none */
	size_t taken;		  /* of it */
	int rc;
	bool working, wanted, over;
	struct strbuf out; /* decoded; the first `sent` bytes were passed on */
	size_t sent;
};

static void view_free(struct view *v)
{
	struct objects *set = v->all->objects;
	source_close(v->from);
	record_reader_free(v->reader);
	blob_unref(v->piece);
	strbuf_done(&v->out);
	mem_wipe(v->key, sizeof v->key);
	free(v);
	objects_release(set);
}

/* On a worker. */
static int view_take(struct view *v, const uint8_t *data, size_t n)
{
	size_t skipped = (size_t)MIN(v->skip, (int64_t)n);
	v->skip -= (int64_t)skipped;
	strbuf_add(&v->out, data + skipped, n - skipped);
	return v->out.overflow ? RECORD_BAD_STREAM : 0;
}

static int view_segment(void *arg, UNUSED const struct record_segment *s, const uint8_t *data, size_t n)
{
	struct view *v = arg;
	return v->stored ? view_take(v, data, n) : 0;
}

static int view_plain(void *arg, const uint8_t *data, size_t n)
{
	return view_take(arg, data, n);
}

static int view_header(void *arg, const struct record_header *h)
{
	const struct view *v = arg;
	return v->stored && h->codec != RECORD_ZSTD ? RECORD_BAD_HEADER : 0;
}

static void view_decode(struct pool_job *j, UNUSED void *worker)
{
	struct view *v = CONTAINER_OF(j, struct view, job);
	size_t used = 0;
	v->rc = record_reader_step(v->reader, v->piece->data + v->taken, v->piece->len - v->taken, &used);
	v->taken += used;
}

static void view_continue(struct view *v);

static void view_damaged(struct view *v)
{
	char name[RECORD_NAME_SIZE];
	const char *why = record_reader_why(v->reader);
	log_error(SERVICE, "chunk %s of recording %s cannot be decoded: %s", record_chunk_name(name, (uint32_t)v->seq), v->id, why);
	v->over = true;
	source_break(v->to, -ERR_RECORDING_STORAGE, why);
}

static void view_decoded(struct pool_job *j)
{
	struct view *v = CONTAINER_OF(j, struct view, job);
	v->working = false;
	if (v->taken == v->piece->len) {
		blob_unref(v->piece);
		v->piece = NULL;
	}
	if (!v->to)
		view_free(v);
	else if (v->rc < 0)
		view_damaged(v);
	else
		view_continue(v);
}

static void view_work(struct view *v)
{
	v->working = true;
	v->job.run = view_decode;
	v->job.done = view_decoded;
	if (pool_submit(v->all->pool, &v->job) < 0) { /* it is full: a piece costs the loop a millisecond */
		view_decode(&v->job, NULL);
		view_decoded(&v->job);
	}
}

/* What is missing at the end of a chunk that is being written, or has no regular end, is no fault. */
static void view_ended(struct view *v, int err, const char *why)
{
	v->over = true;
	if (err)
		source_break(v->to, err, why);
	else if (v->closed && !v->torn && !record_reader_progress(v->reader)->complete)
		source_break(v->to, -ERR_RECORDING_STORAGE, "the file of the chunk was cut short");
	else
		source_end(v->to);
}

static void view_piece(struct blob *piece, int err, const char *why, void *arg)
{
	struct view *v = arg;
	if (!piece) {
		view_ended(v, err, why);
		return;
	}
	v->piece = blob_ref(piece);
	v->taken = 0;
	view_work(v);
}

/* Passes on what was decoded, or decodes more. */
static void view_continue(struct view *v)
{
	size_t left = v->out.len - v->sent, n = MIN(left, (size_t)SOURCE_PIECE);
	if (!v->wanted || v->working || v->over)
		return;
	if (!n) {
		strbuf_done(&v->out);
		v->out = (struct strbuf){ .max = OUTPUT_MAX };
		v->sent = 0;
		if (v->piece) /* it has further segments */
			view_work(v);
		else
			source_read(v->from, view_piece, v);
		return;
	}
	struct blob *piece = blob_new(v->out.s + v->sent, n);
	v->sent += n;
	v->wanted = false;
	source_put(v->to, piece);
}

static void view_want(UNUSED struct source *s, void *ctx)
{
	struct view *v = ctx;
	v->wanted = true;
	view_continue(v);
}

static void view_close(void *ctx)
{
	struct view *v = ctx;
	v->to = NULL;
	if (!v->working)
		view_free(v);
}

/* --- the request */

static void view_fail(struct view *v, int err, const char *why)
{
	struct recording_reading *r = v->r;
	if (why)
		call_fail(r->call, err, "%s", why);
	else
		call_fail(r->call, err, NULL);
	recording_read_end(r);
	view_free(v);
}

static void view_opened(const struct reply *reply, void *arg)
{
	static const struct source_ops ops = { view_want, view_close };
	struct view *v = arg;
	struct recording_reading *r = v->r;
	struct recording *rec = (struct recording *)objects_find(v->all->objects, r->id);
	if (reply->err || !reply->source || !rec) {
		bool gone = reply->err && !agent_silent(reply) && err_status(reply->err) == 404;
		view_fail(v, gone || !rec ? ERR_RECORDING_NOT_FOUND : reply->err ? (int)reply->err : ERR_RECORDING_STORAGE, reply->err && !gone ? reply->message : NULL);
		return;
	}
	note_viewing(rec, r->call);
	v->from = source_ref(reply->source);
	v->to = source_new(v->all->c->env.loop, &ops, v);
	v->r = NULL;
	call_set_header(r->call, "Vary", "Accept-Encoding");
	call_set_header(r->call, "X-Chunk-Closed", v->closed ? "true" : "false");
	if (v->stored)
		call_set_header(r->call, "Content-Encoding", "zstd");
	call_ok_source(r->call, v->to, "application/octet-stream");
	recording_read_end(r);
}

static void view_begin(struct view *v)
{
	struct recording_reading *r = v->r;
	const char *why = NULL;
	uint8_t id[RECORD_ID_BYTES];
	v->skip = doc_int(call_query(r->call), "from", 0);
	v->stored = call_accepts_zstd(r->call) && v->closed && !v->torn && !v->skip &&
		    str_eq(doc_str(json_object_get(r->doc, "config"), "compression", ""), "zstd");
	v->out.max = OUTPUT_MAX;
	if (!recording_key(v->all, r->doc, v->key, &why)) {
		_cleanup_(xfreep) char *text = xasprintf("recording %s %s", r->id, why);
		view_fail(v, ERR_RECORDING_STATE, text);
		return;
	}
	record_id_parse(r->id, id);
	v->reader = record_reader_new(&(struct record_reader_args){ .key = v->key, .id = id, .seq = v->seq, .arg = v, .on_header = view_header,
								     .on_segment = view_segment, .on_plain = v->stored ? NULL : view_plain });
	recording_file_ask(r->rec, v->seq, r->call, view_opened, v);
}

/* The row of a closed chunk says whether it has a regular end. */
static void view_row_read(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct view *v = arg;
	_cleanup_(doc_unrefp) json_t *row = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	v->r->rec = (struct recording *)objects_find(v->all->objects, v->r->id);
	if (result == STORE_FAILED) {
		objects_fail_call(v->all->objects, v->r->call, err, ERR_RECORDING_STORAGE);
		recording_read_end(v->r);
		view_free(v);
		return;
	}
	if (!v->r->rec) {
		view_fail(v, ERR_RECORDING_NOT_FOUND, NULL);
		return;
	}
	v->closed = row || !recording_open(v->r->rec);
	v->torn = row ? doc_bool(row, "torn", false) : v->closed;
	view_begin(v);
}

static void data_asked(struct recording_reading *r)
{
	char id[CHUNK_ID_SIZE];
	int64_t n;
	if (!str_int(call_param(r->call, "n"), 0, RECORD_CHUNKS_MAX, &n)) {
		call_fail(r->call, ERR_RECORDING_NOT_FOUND, "recording %s has no chunk %s", r->id, call_param(r->call, "n"));
		recording_read_end(r);
		return;
	}
	struct view *v = XNEW(struct view);
	*v = (struct view){ .all = r->all, .r = r, .seq = n };
	memcpy(v->id, r->id, sizeof v->id);
	objects_hold(r->all->objects);
	store_get(r->all->c->env.store, COL_RECORDING_CHUNKS, chunk_id(id, r->id, n), view_row_read, v);
}

void op_chunk_data(struct call *c, void *ctx)
{
	recording_read_begin(ctx, c, op_chunk_data, data_asked);
}
