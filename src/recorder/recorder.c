#include "recorder/recorder.h"

#include <errno.h>
#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "record/recover.h"
#include "recorder/control.h"
#include "recorder/report.h"

/* Processor time of this process in thousandths of a core, above which compression takes level 1, and below which its own again. */
#define LOAD_HIGH 500
#define LOAD_LOW 200
#define UNWRITTEN_US 1000000 /* at most this was not yet written when writing failed */

/* --- failures */

static void send_reason(struct recorder *r, const char *name, const char *reason)
{
	json_t *body = json_object();
	doc_set_str(body, "reason", reason);
	control_send(r->control, name, body);
}

static void recorder_fail(struct recorder *r, const char *reason)
{
	if (!r->failed)
		send_reason(r, "failed", reason);
	r->failed = reason;
}

static void begin_gap(struct recorder *r, int64_t now_us, enum record_gap reason)
{
	if (!r->gap_from_us) {
		r->gap_from_us = MAX(now_us, (int64_t)1);
		r->gap_reason = reason;
	}
}

static void stop_looking(struct recorder *r)
{
	eye_view_free(r->view);
	r->view = NULL;
}

static void start_looking(struct recorder *r)
{
	struct quality_pace p = quality_pace(r->quality, r->start.frame_rate);
	if (r->view || r->lost || r->paused || r->full || !r->eye)
		return;
	r->view = eye_view_new(r->eye, p.fps, p.busy_fps);
	r->announce = true;
}

static void drop_writer(struct recorder *r)
{
	if (!r->writer)
		return;
	report_keep(r);
	record_writer_written(r->writer, &r->end);
	record_writer_free(r->writer);
	r->writer = NULL;
}

/* Writing failed. What the disk refuses ends with `resume`; anything else is a fault of this program. */
static void on_write_error(struct recorder *r, int err, int64_t now_us)
{
	static const int of_disk[] = { ENOSPC, EDQUOT, EIO, EROFS, EFBIG, ENXIO, ESTALE, ETIMEDOUT };
	bool disk = false;
	for (size_t k = 0; k < ARRAY_LEN(of_disk); k++)
		disk |= -err == of_disk[k];
	drop_writer(r);
	if (!disk) {
		fprintf(stderr, "lucid-rdp-recorder: writing failed: %s\n", strerror(-err));
		recorder_fail(r, "the writer of the recording failed; the log of the host has the cause");
		return;
	}
	r->full = true;
	stop_looking(r);
	begin_gap(r, now_us - UNWRITTEN_US, RECORD_GAP_DISK);
	json_t *body = json_object();
	doc_set_int(body, "errno", -err);
	doc_set_str(body, "reason", strerror(-err));
	control_send(r->control, "full", body);
}

/* --- writer */

static void on_chunk(void *arg, const struct record_index_entry *e)
{
	struct recorder *r = arg;
	control_send(r->control, "chunk", record_entry_doc(e));
}

static int make_writer(struct recorder *r, uint32_t seq, const uint8_t *prev_hash)
{
	struct record_writer_args a = { .dir_fd = r->dir, .key = r->start.key, .codec = r->start.codec, .level = r->level, .cipher = r->start.cipher,
					.chunk_ms = r->start.chunk_ms, .first_seq = seq, .start_us = r->start.start_us,
					.max_records = r->start.max_records, .arg = r, .on_chunk = on_chunk };
	memcpy(a.id, r->start.id, sizeof a.id);
	memcpy(a.prev_hash, prev_hash, sizeof a.prev_hash);
	return record_writer_new(&a, &r->writer);
}

/* After a failed write: the torn chunk gets its index entry, and the next one begins. */
static int continue_writing(struct recorder *r)
{
	struct record_recovered found;
	char why[RECORD_WHY_SIZE];
	int err = record_recover(r->dir, r->start.id, on_chunk, r, &found, why);
	return err ? err : make_writer(r, found.next_seq, found.prev_hash);
}

/* A full picture where the writer wants one: then it has all that is on the screen, also what the view holds back. */
static int write_pixels(struct recorder *r, const struct eye_frame *f, int64_t t)
{
	bool key = record_writer_wants_key(r->writer, t, f->width, f->height);
	size_t n;
	const struct record_rect *rects = quality_apply(&r->copy, r->quality, f, key, &n);
	int err = rects ? record_writer_frame(r->writer, t, f->width, f->height, key, f->changed, rects, n) : -ENOMEM;
	quality_trim(&r->copy);
	return err;
}

static int write_cursor(struct recorder *r, const struct eye_frame *f, int64_t t)
{
	int err = 0;
	if (f->cursor) {
		const struct eye_cursor *c = f->cursor;
		const struct record_cursor image = { c->hot_x, c->hot_y, c->w, c->h, c->argb };
		err = record_writer_cursor_image(r->writer, t, &image);
	}
	return err || !f->moved ? err : record_writer_cursor_pos(r->writer, t, (unsigned)f->x, (unsigned)f->y);
}

static void announce(struct recorder *r, const struct eye_frame *f)
{
	json_t *body = json_object();
	doc_set_int(body, "width", f->width);
	doc_set_int(body, "height", f->height);
	doc_set_int(body, "at_us", f->captured_us);
	control_send(r->control, "recording", body);
	r->announce = false;
	r->width = f->width;
	r->height = f->height;
}

static void write_frame(struct recorder *r, const struct eye_frame *f, int64_t now_us)
{
	int64_t t = f->captured_us;
	int err = 0;
	if (r->gap_from_us && f->n) {
		err = record_writer_gap(r->writer, t, r->gap_from_us, r->gap_reason);
		r->gap_from_us = 0;
	}
	if (!err && f->n)
		err = write_pixels(r, f, t);
	if (!err)
		err = write_cursor(r, f, t);
	if (err)
		on_write_error(r, err, now_us);
	else if (f->n && (r->announce || f->width != r->width || f->height != r->height))
		announce(r, f);
}

static void take_frames(struct recorder *r, int64_t now_us)
{
	struct eye_frame f;
	if (r->view && eye_view_take(r->view, now_us, &f))
		write_frame(r, &f, now_us);
}

/* --- what is due */

static void notice_loss(struct recorder *r, int64_t now_us)
{
	if (r->lost || !r->eye || !eye_lost(r->eye))
		return;
	r->lost = true;
	begin_gap(r, now_us, RECORD_GAP_LOST);
	send_reason(r, "lost", eye_lost(r->eye));
	stop_looking(r);
}

static void set_quality(struct recorder *r, enum quality q)
{
	bool better = q > r->quality;
	struct quality_pace p = quality_pace(q, r->start.frame_rate);
	if (q == r->quality)
		return;
	r->quality = q;
	if (!r->view)
		return;
	eye_view_pace(r->view, p.fps, p.busy_fps);
	if (better)
		eye_view_all(r->view); /* what was recorded with fewer colours is recorded again */
}

/* Compression takes most of the processor time: with less of it, pictures are late less often. */
static void set_level(struct recorder *r, int level)
{
	if (level == r->level || !r->writer)
		return;
	r->level = level;
	record_writer_set_level(r->writer, level);
}

static void each_second(struct recorder *r, int64_t now_us)
{
	struct report_load load = report_load(r, now_us);
	set_quality(r, budget_second(&r->budget, report_bytes(r), r->quality, r->best));
	if (load.per_mille > LOAD_HIGH)
		set_level(r, 1);
	else if (load.per_mille < LOAD_LOW)
		set_level(r, r->start.level);
	if (report_is_due(r, now_us))
		report_send(r, now_us);
	r->report_us = now_us + 1000000;
}

static void tick_writer(struct recorder *r, int64_t now_us)
{
	if (!r->writer || now_us < record_writer_next_us(r->writer))
		return;
	int err = record_writer_tick(r->writer, now_us);
	if (err)
		on_write_error(r, err, now_us);
}

int recorder_x_fd(const struct recorder *r)
{
	return r->eye ? eye_fd(r->eye) : -1;
}

int64_t recorder_next_us(const struct recorder *r)
{
	int64_t next = r->report_us;
	if (r->eye)
		next = MIN(next, eye_next_us(r->eye));
	if (r->writer)
		next = MIN(next, record_writer_next_us(r->writer));
	return next;
}

bool recorder_run(struct recorder *r, int64_t now_us)
{
	if (r->eye)
		eye_run(r->eye, now_us);
	take_frames(r, now_us);
	notice_loss(r, now_us);
	tick_writer(r, now_us);
	if (now_us >= r->report_us)
		each_second(r, now_us);
	return !r->ended && !r->failed;
}

/* --- messages */

static void recorder_pause(struct recorder *r, int64_t now_us)
{
	if (r->paused)
		return;
	r->paused = true;
	stop_looking(r);
	begin_gap(r, now_us, RECORD_GAP_PAUSED);
	int err = r->writer ? record_writer_close_chunk(r->writer) : 0;
	if (err)
		on_write_error(r, err, now_us);
}

static void recorder_resume(struct recorder *r, int64_t now_us)
{
	r->paused = false;
	if (r->full) {
		int err = continue_writing(r);
		r->full = false;
		if (err) {
			on_write_error(r, err, now_us);
			return;
		}
	}
	start_looking(r);
}

static void recorder_display(struct recorder *r, json_t *body, int x_fd, int64_t now_us)
{
	uint8_t cookie[START_COOKIE];
	char why[EYE_WHY] = "no socket of the X server was given";
	bool good = start_hex(doc_str(body, "cookie", NULL), cookie, sizeof cookie) && x_fd >= 0;
	int err = -EBADF;
	if (good && r->eye)
		err = eye_reopen(r->eye, x_fd, cookie, why);
	else if (good)
		err = eye_open(x_fd, cookie, &r->eye, why);
	mem_wipe(cookie, sizeof cookie);
	if (err) {
		send_reason(r, "lost", why);
		return;
	}
	r->lost = false;
	begin_gap(r, now_us, RECORD_GAP_LOST);
	start_looking(r);
}

static void recorder_stop(struct recorder *r, int64_t now_us)
{
	int err = r->writer ? record_writer_close_chunk(r->writer) : 0;
	if (err)
		on_write_error(r, err, now_us);
	drop_writer(r);
	char head[2 * RECORD_HASH_BYTES + 1] = "";
	json_t *body = json_object();
	str_hex(head, r->end.head, sizeof r->end.head);
	doc_set_int(body, "chunks", r->end.next_seq);
	doc_set_str(body, "head", head);
	report_send(r, now_us);
	control_send(r->control, "ended", body);
	r->ended = true;
}

bool recorder_message(struct recorder *r, const char *name, json_t *body, int fds[2], int64_t now_us)
{
	if (str_eq(name, "stop"))
		recorder_stop(r, now_us);
	else if (str_eq(name, "pause"))
		recorder_pause(r, now_us);
	else if (str_eq(name, "resume"))
		recorder_resume(r, now_us);
	else if (str_eq(name, "display"))
		recorder_display(r, body, TAKE_FD(fds[0]), now_us);
	else if (str_eq(name, "quality") && json_is_string(body) && quality_from_string(json_string_value(body), &r->best))
		set_quality(r, MIN(r->best, r->quality));
	return !r->ended && !r->failed;
}

void recorder_leave(struct recorder *r)
{
	if (r->writer && record_writer_close_chunk(r->writer))
		fputs("lucid-rdp-recorder: the last chunk could not be closed; the next start repairs it\n", stderr);
}

/* --- begin and end */

int recorder_set_up(struct recorder *r, int control, const struct start *s, int x_fd, int dir_fd)
{
	char why[EYE_WHY];
	int64_t now_us = clock_mono_us();
	*r = (struct recorder){ .control = control, .dir = dir_fd, .start = *s, .quality = s->quality, .best = s->quality, .level = s->level,
				.gap_from_us = s->gap_from_us, .gap_reason = RECORD_GAP_RESTART, .report_us = now_us + 1000000 };
	budget_init(&r->budget, s->max_mb_per_min);
	int err = make_writer(r, s->first_seq, s->prev_hash);
	if (err) {
		fprintf(stderr, "lucid-rdp-recorder: the recording cannot be written: %s\n", strerror(-err));
		recorder_fail(r, err == -EWOULDBLOCK ? "another recorder writes this recording" :
				 err == -EBADMSG     ? "the recording's directory does not end with the given chunk; recover it first" :
				 err == -ENOSYS	     ? "the library of the compression is missing" :
						       "the recording's directory cannot be written to; the log of the host has the cause");
		fd_close(&x_fd);
		return err;
	}
	if (eye_open(x_fd, r->start.cookie, &r->eye, why)) {
		r->lost = true;
		send_reason(r, "lost", why);
	}
	mem_wipe(r->start.cookie, sizeof r->start.cookie);
	start_looking(r);
	return 0;
}

void recorder_done(struct recorder *r)
{
	drop_writer(r);
	eye_free(r->eye);
	quality_trim(&r->copy);
	free(r->copy.rects);
	mem_wipe(&r->start, sizeof r->start);
}
