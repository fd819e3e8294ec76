#include "roles/rdp-session-controller/export/export.h"

#include <stdio.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/pool.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/export/encoder.h"
#include "roles/rdp-session-controller/recording/recordings.h"

#define EXPORT_MAX_MS (3600 * 1000)  /* an export that takes longer is ended */
#define EXPORT_KEPT_MS (3600 * 1000) /* how long its file is kept */
#define EXPORTS_MAX 8		     /* finished ones that are kept */
#define FPS 10
#define LAST_MS 1000 /* how long the last picture is shown */

enum export_state { EXPORT_RUNNING, EXPORT_DONE, EXPORT_FAILED, EXPORT_CANCELLED };
static const char *const states[] = { "running", "done", "failed", "cancelled" };

struct export_job {
	struct list node;
	struct exports *all;
	char id[ID_UUID_SIZE], recording_id[ID_UUID_SIZE], format[8];
	int fps;
	enum export_state state;
	char why[200];
	int64_t started_us, ended_us, end_ms, bytes;
	int64_t seq, chunks;
	uint8_t key[RECORD_KEY_BYTES];
	struct encoder *encoder;
	struct record_reader *reader;
	struct source *from;
	struct blob *piece;
	size_t taken;
	struct pool_job work;
	bool working, fed, finished; /* finished: the video is complete */
	int rc, file; /* file: -1: none */
	struct loop_timer *limit;
};
struct exports {
	struct controller *c;
	struct list jobs; /* oldest first */
	struct pool *pool;
};

static void export_next(struct export_job *j);

/* --- the end */

static void export_job_free(struct export_job *j)
{
	list_remove(&j->node);
	loop_timer_free(j->limit);
	fd_close(&j->file);
	free(j);
}

/* No work is in progress and no answer is awaited. */
static void export_end(struct export_job *j, enum export_state state, const char *why)
{
	struct objects *set = j->all->c->recordings->objects;
	if (j->state == EXPORT_RUNNING) {
		j->state = state;
		str_copy(j->why, sizeof j->why, why);
	}
	j->ended_us = clock_mono_us();
	if (j->state == EXPORT_DONE)
		j->file = encoder_take_file(j->encoder, &j->bytes);
	loop_timer_clear(j->limit);
	source_close(TAKE_PTR(j->from));
	record_reader_free(TAKE_PTR(j->reader));
	blob_unref(TAKE_PTR(j->piece));
	encoder_free(TAKE_PTR(j->encoder));
	mem_wipe(j->key, sizeof j->key);
	log_info(SERVICE, "export of recording %s: %s%s%s", j->recording_id, states[j->state], *j->why ? ": " : "", j->why);
	objects_release(set);
}

static void export_stop(struct export_job *j, enum export_state state, const char *why)
{
	if (j->state != EXPORT_RUNNING)
		return;
	j->state = state;
	str_copy(j->why, sizeof j->why, why);
	encoder_kill(j->encoder); /* what is in progress ends with a failure, and then the job */
}

static void export_too_long(void *arg)
{
	export_stop(arg, EXPORT_FAILED, "it took longer than an hour");
}

/* --- the work */

static void export_worked(struct pool_job *w)
{
	struct export_job *j = CONTAINER_OF(w, struct export_job, work);
	j->working = false;
	if (j->piece && j->taken == j->piece->len)
		blob_unref(TAKE_PTR(j->piece));
	if (j->state != EXPORT_RUNNING)
		export_end(j, j->state, "");
	else if (j->finished)
		export_end(j, j->rc ? EXPORT_FAILED : EXPORT_DONE, j->rc ? "ffmpeg failed: no space for the file, or it lacks the codec" : "");
	else if (j->rc < 0)
		export_end(j, EXPORT_FAILED, record_reader_why(j->reader) && *record_reader_why(j->reader) ? record_reader_why(j->reader) : "ffmpeg ended early");
	else
		export_next(j);
}

static void export_decode(struct pool_job *w, UNUSED void *worker)
{
	struct export_job *j = CONTAINER_OF(w, struct export_job, work);
	size_t used = 0;
	j->rc = record_reader_step(j->reader, j->piece->data + j->taken, j->piece->len - j->taken, &used);
	j->taken += used;
}

static void export_finish(struct pool_job *w, UNUSED void *worker)
{
	struct export_job *j = CONTAINER_OF(w, struct export_job, work);
	j->rc = encoder_finish(j->encoder, j->end_ms) ? 0 : -1;
	j->finished = true;
}

static void export_work(struct export_job *j, void (*run)(struct pool_job *w, void *worker))
{
	j->working = true;
	j->work.run = run;
	j->work.done = export_worked;
	if (pool_submit(j->all->pool, &j->work) < 0) {
		j->working = false;
		export_end(j, EXPORT_FAILED, "no thread could be started");
	}
}

static int export_header(void *arg, const struct record_header *h)
{
	encoder_chunk(((struct export_job *)arg)->encoder, (int64_t)h->t0_ms);
	return 0;
}
static int export_record(void *arg, const struct record_record *r)
{
	return encoder_record(((struct export_job *)arg)->encoder, r);
}
static int export_rows(void *arg, const struct record_rect *band)
{
	return encoder_rows(((struct export_job *)arg)->encoder, band);
}

static void export_piece(struct blob *piece, int err, const char *why, void *arg)
{
	struct export_job *j = arg;
	if (piece && j->state == EXPORT_RUNNING) {
		j->piece = blob_ref(piece);
		j->taken = 0;
		export_work(j, export_decode);
		return;
	}
	source_close(TAKE_PTR(j->from));
	record_reader_free(TAKE_PTR(j->reader));
	j->seq++;
	if (err || j->state != EXPORT_RUNNING)
		export_end(j, EXPORT_FAILED, err ? why : "");
	else
		export_next(j);
}

static void export_opened(const struct reply *r, void *arg)
{
	struct export_job *j = arg;
	uint8_t id[RECORD_ID_BYTES];
	if (r->err || !r->source || j->state != EXPORT_RUNNING) {
		export_end(j, EXPORT_FAILED, r->err ? r->message : "");
		return;
	}
	record_id_parse(j->recording_id, id);
	j->reader = record_reader_new(&(struct record_reader_args){ .key = j->key, .id = id, .seq = j->seq, .arg = j, .on_header = export_header, .on_record = export_record,
								     .on_rows = export_rows });
	j->from = source_ref(r->source);
	source_read(j->from, export_piece, j);
}

static void export_next(struct export_job *j)
{
	struct recording *rec = (struct recording *)objects_find(j->all->c->recordings->objects, j->recording_id);
	if (j->piece)
		export_work(j, export_decode);
	else if (j->from)
		source_read(j->from, export_piece, j);
	else if (!rec)
		export_end(j, EXPORT_FAILED, "the recording was deleted");
	else if (j->seq < j->chunks)
		recording_file_ask(rec, j->seq, NULL, export_opened, j);
	else
		export_work(j, export_finish);
}

/* --- requests */

static json_t *export_shown(const struct export_job *j, const char *session_id)
{
	json_t *out = json_object();
	double part = j->chunks ? (double)j->seq / (double)j->chunks : 0, spent_s = (double)((j->ended_us ? j->ended_us : clock_mono_us()) - j->started_us) / 1e6;
	_cleanup_(xfreep) char *file = xasprintf("/api/v1/sessions/%s/recording/export/%s/file", session_id, j->id);
	doc_set_str(out, "id", j->id);
	doc_set_str(out, "recording_id", j->recording_id);
	doc_set_str(out, "format", j->format);
	doc_set_int(out, "fps", j->fps);
	doc_set_str(out, "state", states[j->state]);
	doc_set_str(out, "reason", *j->why ? j->why : NULL);
	doc_set_int(out, "percent", j->state == EXPORT_DONE ? 100 : (int64_t)(part * 99));
	doc_set(out, "seconds_left", j->state == EXPORT_RUNNING && part > 0 ? json_integer((json_int_t)(spent_s / part * (1 - part))) : NULL);
	doc_set(out, "bytes", j->state == EXPORT_DONE ? json_integer(j->bytes) : NULL);
	doc_set_str(out, "file", j->state == EXPORT_DONE ? file : NULL);
	return out;
}

static void exports_forget_old(struct exports *x)
{
	struct export_job *j, *tmp;
	size_t n = 0;
	LIST_FOREACH_SAFE (j, tmp, &x->jobs, node)
		n++;
	LIST_FOREACH_SAFE (j, tmp, &x->jobs, node)
		if (j->ended_us && (n > EXPORTS_MAX || clock_mono_us() - j->ended_us > EXPORT_KEPT_MS * 1000ll)) {
			export_job_free(j);
			n--;
		}
}

static struct exports *exports_of(const struct recording_reading *r)
{
	return r->all->c->exports;
}

static void note_export(const struct recording_reading *r, const struct export_job *j)
{
	const struct caller *who = call_caller(r->call);
	json_t *data = json_object();
	doc_set_str(data, "recording_id", r->id);
	doc_set_str(data, "session_id", r->session_id);
	doc_set_str(data, "format", j->format);
	doc_set_str(data, "by", *who->sub ? who->sub : NULL);
	doc_set_str(data, "from", *who->address ? who->address : NULL);
	doc_set_str(data, "request_id", call_request_id(r->call));
	object_publish(&r->rec->o, "exported", data);
}

static void bound_of(const json_t *doc, struct encoder_args *a)
{
	const char *x = strchr(doc_str(json_object_get(doc, "config"), "resolution", "1920x1080"), 'x');
	int64_t width = strtoll(doc_str(json_object_get(doc, "config"), "resolution", "1920x1080"), NULL, 10), height = x ? strtoll(x + 1, NULL, 10) : 0;
	a->max_width = width > 0 ? (unsigned)MIN(width, RECORD_SIDE_MAX) : 1920;
	a->max_height = height > 0 ? (unsigned)MIN(height, RECORD_SIDE_MAX) : 1080;
}

static void export_begin(struct recording_reading *r, const char *format, int fps)
{
	struct exports *x = exports_of(r);
	const char *why = NULL;
	int err = 0;
	uint8_t key[RECORD_KEY_BYTES];
	struct encoder_args args = { .format = format, .fps = fps, .width = (unsigned)doc_int(r->doc, "width", 0), .height = (unsigned)doc_int(r->doc, "height", 0) };
	bound_of(r->doc, &args);
	if (!recording_key(r->all, r->doc, key, &why)) {
		call_fail(r->call, ERR_RECORDING_STATE, "recording %s %s", r->id, why);
		return;
	}
	struct encoder *e = encoder_new(&args, &err);
	if (!e) {
		mem_wipe(key, sizeof key);
		call_fail(r->call, err, NULL);
		return;
	}
	struct export_job *j = XNEW(struct export_job);
	*j = (struct export_job){ .all = x, .fps = fps, .started_us = clock_mono_us(), .end_ms = doc_int(r->doc, "duration_ms", 0) + LAST_MS, .chunks = doc_int(r->doc, "chunks", 0),
				  .encoder = e, .file = -1 };
	id_uuid(j->id);
	memcpy(j->recording_id, r->id, sizeof j->recording_id);
	memcpy(j->key, key, sizeof j->key);
	mem_wipe(key, sizeof key);
	str_copy(j->format, sizeof j->format, format);
	j->limit = loop_timer_new(x->c->env.loop, export_too_long, j);
	loop_timer_set(j->limit, EXPORT_MAX_MS);
	list_append(&x->jobs, &j->node);
	objects_hold(r->all->objects);
	note_export(r, j);
	call_ok(r->call, export_shown(j, r->session_id));
	export_next(j);
}

static void export_asked(struct recording_reading *r)
{
	const char *format = doc_str(call_query(r->call), "format", "mp4");
	int fps = (int)doc_int(call_query(r->call), "fps", FPS);
	struct exports *x = exports_of(r);
	struct export_job *j, *same = NULL, *running = NULL;
	exports_forget_old(x);
	LIST_FOREACH (j, &x->jobs, node) {
		if (j->state == EXPORT_RUNNING)
			running = j;
		if ((j->state == EXPORT_RUNNING || j->state == EXPORT_DONE) && str_eq(j->recording_id, r->id) && str_eq(j->format, format) && j->fps == fps)
			same = j;
	}
	if (recording_open(r->rec) || !doc_int(r->doc, "chunks", 0) || !doc_int(r->doc, "width", 0))
		call_fail(r->call, ERR_RECORDING_STATE, "recording %s %s; export it when it has ended", r->id, recording_open(r->rec) ? "is running" : "has no picture");
	else if (same)
		call_ok(r->call, export_shown(same, r->session_id));
	else if (running)
		call_fail(r->call, ERR_BUSY, "another export is running (%lld of %lld chunks are done); retry when it has ended", (long long)running->seq, (long long)running->chunks);
	else
		export_begin(r, format, fps);
	recording_read_end(r);
}

static void op_export(struct call *c, void *ctx)
{
	recording_read_begin(ctx, c, op_export, export_asked);
}

/* The job that the path names, of a recording that the caller sees; NULL: the call was answered. */
static struct export_job *export_of_call(struct recordings *all, struct call *c)
{
	struct export_job *j;
	LIST_FOREACH (j, &all->c->exports->jobs, node) {
		const struct recording *rec = (const struct recording *)objects_find(all->objects, j->recording_id);
		if (str_eq(j->id, call_param(c, "id")) && rec && rec->session && str_eq(rec->session->id, call_param(c, "session_id")) &&
		    recording_kind.visible(&rec->o, call_caller(c)))
			return j;
	}
	call_fail(c, ERR_RECORDING_NOT_FOUND, "there is no such export; it was made more than an hour ago, or by another process");
	return NULL;
}

static void op_export_job(struct call *c, void *ctx)
{
	struct export_job *j = export_of_call(ctx, c);
	if (j)
		call_ok(c, export_shown(j, call_param(c, "session_id")));
}

static void op_export_cancel(struct call *c, void *ctx)
{
	struct export_job *j = export_of_call(ctx, c);
	if (!j)
		return;
	if (j->state == EXPORT_RUNNING)
		export_stop(j, EXPORT_CANCELLED, "requested");
	else if (j->ended_us)
		export_job_free(j);
	call_ok(c, NULL);
}

/* --- the file */

struct video {
	int fd;
	int64_t at;
};

static void video_want(struct source *s, void *ctx)
{
	struct video *v = ctx;
	struct blob *piece = blob_new(NULL, SOURCE_PIECE);
	ssize_t n = pread(v->fd, piece->data, SOURCE_PIECE, v->at);
	if (n > 0) {
		piece->len = (size_t)n;
		v->at += n;
		source_put(s, piece);
		return;
	}
	blob_unref(piece);
	if (n)
		source_break(s, -ERR_RECORDING_STORAGE, "the file of the export cannot be read");
	else
		source_end(s);
}

static void video_close(void *ctx)
{
	fd_close(&((struct video *)ctx)->fd);
	free(ctx);
}

static void op_export_file(struct call *c, void *ctx)
{
	static const struct source_ops ops = { video_want, video_close };
	struct export_job *j = export_of_call(ctx, c);
	if (!j)
		return;
	int fd = j->state == EXPORT_DONE ? dup(j->file) : -1;
	if (fd < 0) {
		call_fail(c, ERR_RECORDING_STATE, "the export is %s; its file is there when it is done", states[j->state]);
		return;
	}
	char ending[12], name[64];
	struct video *v = XNEW(struct video);
	*v = (struct video){ .fd = fd };
	snprintf(ending, sizeof ending, ".%s", j->format);
	snprintf(name, sizeof name, "recording-%.8s", j->recording_id);
	call_set_file_name(c, name, ending);
	call_ok_source(c, source_new(((struct recordings *)ctx)->c->env.loop, &ops, v), "application/octet-stream");
}

/* --- life */

struct exports *exports_new(struct controller *c)
{
	static const struct {
		const char *op;
		call_handler handler;
	} handlers[] = { { "sessions.recording.export", op_export }, { "sessions.recording.export_job", op_export_job },
			 { "sessions.recording.export_file", op_export_file }, { "sessions.recording.export_cancel", op_export_cancel } };
	struct exports *x = XNEW(struct exports);
	x->c = c;
	list_init(&x->jobs);
	x->pool = pool_new(c->env.loop, "export", 1, 4, NULL, NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		bus_serve(c->env.bus, op_find(handlers[i].op), handlers[i].handler, c->recordings);
	return x;
}

void exports_cancel(struct exports *x)
{
	struct export_job *j;
	LIST_FOREACH (j, &x->jobs, node)
		export_stop(j, EXPORT_CANCELLED, "the program is stopping");
}

void exports_free(struct exports *x)
{
	struct export_job *j, *tmp;
	pool_free(x->pool);
	LIST_FOREACH_SAFE (j, tmp, &x->jobs, node)
		if (j->ended_us)
			export_job_free(j);
	if (list_empty(&x->jobs)) /* otherwise an answer may still arrive */
		free(x);
}
