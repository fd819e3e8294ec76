#include <stdio.h>

#include "host/kernel/proc.h"
#include "host/recording/recording.h"
#include "lucid/log.h"
#include "lucid/record.h"
#include "lucid/str.h"

/* What a recording and its recorder say to each other. The recorder is not trusted: each value is checked, and what is wrong is ignored. */

#define SIGN_US 1000000 /* data is on the disk at most this long before the recorder's last sign of life */
#define SIDE_MAX 16384
#define REASON_MAX 200
#define FULL_RETRY_MS 10000
#define FULL_RETRY_MOST_MS 300000
#define LOST_WAIT_MS 500 /* at least between two reconnections: a user who cuts the recorder off again and again must not cost the host more */

/* --- to the recorder */

static const char no_head[] = "0000000000000000000000000000000000000000000000000000000000000000";

/* All texts are of enumerations, or digits. */
static void start_text(struct strbuf *b, const struct recording *r, const char *cookie)
{
	const json_t *c = r->config;
	int records = r->host->set.recording.segment_records;
	strbuf_printf(b, "{\"start\":{\"recording_id\":\"%s\",\"key\":\"%s\",\"cookie\":\"%s\",\"codec\":\"%s\",\"level\":%lld,\"cipher\":\"%s\",", r->dirs.id,
		      r->key, cookie, doc_str(c, "codec", ""), (long long)doc_int(c, "level", 3), doc_str(c, "cipher", ""));
	strbuf_printf(b, "\"quality\":\"%s\",\"frame_rate\":%lld,\"chunk_seconds\":%lld,\"max_mb_per_min\":%lld,\"max_records\":%d,", doc_str(c, "quality", ""),
		      (long long)doc_int(c, "frame_rate", 30), (long long)doc_int(c, "chunk_seconds", 30), (long long)doc_int(c, "max_mb_per_min", 0),
		      records ? MIN(records, RECORD_RECORDS_MAX) : 1000);
	strbuf_printf(b, "\"first_seq\":%u,\"prev_hash\":\"%s\",\"start_us\":%lld", r->found.next_seq, r->found.head[0] ? r->found.head : no_head,
		      (long long)r->start_us);
	int64_t from = MAX(r->start_us + r->found.end_ms * 1000, r->alive_us - SIGN_US);
	if (r->found.next_seq || r->alive_us)
		strbuf_printf(b, ",\"gap_from_us\":%lld", (long long)from);
	strbuf_puts(b, "}}");
}

void recording_send_start(struct recording *r, int x_fd, const char *cookie)
{
	struct strbuf b = { .secret = true };
	const int fds[] = { x_fd, r->dir_fd };
	start_text(&b, r, cookie);
	recorder_send(r->recorder, b.s, b.len, fds, ARRAY_LEN(fds));
	strbuf_done(&b);
	fd_close(&r->dir_fd);
	r->sent = true;
	recording_record_write(r); /* with the pid */
}

void recording_send_display(struct recording *r, int x_fd, const char *cookie)
{
	struct strbuf b = { .secret = true };
	strbuf_printf(&b, "{\"display\":{\"cookie\":\"%s\"}}", cookie);
	recorder_send(r->recorder, b.s, b.len, &x_fd, 1);
	strbuf_done(&b);
}

void recording_send_word(struct recording *r, const char *word)
{
	char text[32];
	if (r->recorder && r->sent)
		recorder_send(r->recorder, text, (size_t)snprintf(text, sizeof text, "{\"%s\":{}}", word), NULL, 0);
}

/* --- from the recorder */

/* A line for the log; the recorder's text has no control characters in it then. */
static const char *reason_of_packet(const json_t *doc, char dst[REASON_MAX])
{
	const char *s = doc_str(doc, "reason", "");
	size_t n = 0;
	for (; s[n] && n < REASON_MAX - 1; n++)
		dst[n] = (char)((unsigned char)s[n] < 0x20 || s[n] == 0x7f ? '?' : s[n]);
	dst[n] = 0;
	return dst;
}

static bool is_hash(const char *s)
{
	return strlen(s) == RECORDER_HASH_TEXT && strspn(s, "0123456789abcdef") == RECORDER_HASH_TEXT;
}

static void said_recording(struct recording *r, const json_t *doc)
{
	int64_t width = doc_int(doc, "width", 0), height = doc_int(doc, "height", 0), at_us = doc_int(doc, "at_us", 0), now_us = clock_mono_us();
	if (width < 1 || height < 1 || width > SIDE_MAX || height > SIDE_MAX)
		return;
	r->width = (int)width;
	r->height = (int)height;
	if (!r->first_picture_ms)
		r->first_picture_ms = clock_wall_ms() - (at_us > 0 && at_us <= now_us ? (now_us - at_us) / 1000 : 0);
	recording_running(r);
}

static void said_figures(struct recording *r, const json_t *doc)
{
	json_t *copy = json_deep_copy(doc), *stage;
	const char *name;
	int64_t now_us = clock_mono_us(), now_ms = clock_wall_ms();
	json_object_foreach (copy, name, stage) {
		int64_t last_us = doc_int(stage, "last_us", 0);
		if (last_us > 0 && last_us <= now_us)
			doc_set_time(stage, "last_at", now_ms - (now_us - last_us) / 1000);
		else if (json_is_object(stage))
			doc_set(stage, "last_at", NULL);
	}
	if (!json_object_get(copy, "dropped"))
		doc_set_int(copy, "dropped", doc_int(copy, "late", 0));
	json_decref(r->figures);
	r->figures = copy;
}

static void said_chunk(struct recording *r, const json_t *doc)
{
	int64_t seq = doc_int(doc, "seq", -1), bytes = doc_int(doc, "bytes", -1);
	const char *hash = doc_str(doc, "hash", "");
	if (seq < 0 || seq > UINT32_MAX - 1 || bytes < 0 || bytes > INT64_MAX / 4 - r->found.bytes || !is_hash(hash)) {
		log_error("host", "recording %s: the recorder reported a chunk that cannot be", r->dirs.id);
		return;
	}
	r->found.chunks++;
	r->found.next_seq = (uint32_t)seq + 1;
	r->found.bytes += bytes;
	str_copy(r->found.head, sizeof r->found.head, hash);
	json_t *d = json_copy((json_t *)(uintptr_t)doc);
	doc_set_str(d, "recording_id", r->dirs.id);
	doc_set_str(d, "server_id", r->server_id);
	doc_set_int(d, "display", r->display);
	doc_set_str(d, "username", r->user[0] ? r->user : NULL);
	host_tell_of(r->host, "xrdp.recording.chunk", r->server_id, d);
}

/* The user cut the recorder off, or the X server has ended. */
static void said_lost(struct recording *r, const json_t *doc)
{
	char reason[REASON_MAX];
	struct desktop *d = recording_desktop(r);
	if (r->ending)
		return;
	log_warn("host", "recording %s: the connection to display :%d was lost: %s", r->dirs.id, r->display, reason_of_packet(doc, reason));
	if (!d || (d->x_pid && !proc_alive(d->x_pid, d->x_start))) {
		recording_desktop_over(r);
		return;
	}
	if (r->recorded) {
		r->lost++;
		recording_enter(r, RECORDING_LOST, "connection_lost");
		if (str_eq(doc_str(r->config, "on_loss", "alert"), "terminate_session")) {
			recording_end_session(r, "recording_interrupted");
			return;
		}
	}
	int64_t now = clock_mono_ms(), wait = r->lost_ms ? r->lost_ms + LOST_WAIT_MS - now : 0;
	r->lost_ms = now;
	if (wait > 0)
		loop_timer_set(r->retry, wait);
	else
		recording_open_display(r);
}

static void said_full(struct recording *r, const json_t *doc)
{
	int64_t now = clock_mono_ms();
	log_error("host", "recording %s cannot be written: %s", r->dirs.id, strerror((int)doc_int(doc, "errno", 0)));
	r->retry_full_after_ms = r->retry_full_after_ms ? MIN(2 * r->retry_full_after_ms, FULL_RETRY_MOST_MS) : FULL_RETRY_MS;
	r->retry_full_ms = now + r->retry_full_after_ms;
	r->full = true;
	recording_full(r);
}

static void said_failed(struct recording *r, const json_t *doc)
{
	char reason[REASON_MAX];
	recording_fail(r, ERR_PIPELINE, "the recorder of display :%d failed: %s", r->display, reason_of_packet(doc, reason));
}

static void said_ended(struct recording *r, UNUSED const json_t *doc)
{
	r->over = true;
}

void recording_said(void *arg, const char *what, const json_t *doc)
{
	static const struct {
		const char *what;
		void (*fn)(struct recording *r, const json_t *doc);
	} words[] = {
		{ "recording", said_recording }, { "figures", said_figures }, { "chunk", said_chunk }, { "lost", said_lost },
		{ "full", said_full },		 { "failed", said_failed },   { "ended", said_ended },
	};
	struct recording *r = arg;
	r->alive_us = clock_mono_us();
	for (size_t n = 0; n < ARRAY_LEN(words); n++)
		if (str_eq(words[n].what, what))
			words[n].fn(r, doc);
}
