/* record_rig: a screen on which something happens, recorded with the real writer into a directory of its own, and read back. */
#ifndef TEST_RECORD_RIG_H
#define TEST_RECORD_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/id.h"
#include "lucid/record_reader.h"
#include "lucid/record_verify.h"
#include "lucid/str.h"
#include "record/recover.h"
#include "record/writer.h"

#define RIG_MASTER "0123456789abcdef0123456789abcdef-master"
#define RIG_START 5000000 /* µs: the recording's start on the monotonic clock */
#define RIG_PIXEL 4

/* A directory, a recording's keys, and a screen. */
struct record_rig {
	char dir[64];
	int fd;
	char id_text[37];
	uint8_t id[RECORD_ID_BYTES], key[RECORD_KEY_BYTES];
	struct record_master master;
	struct record_writer_args args;
	struct record_writer *writer;
	unsigned width, height;
	uint8_t *screen;
	uint32_t random;
	int64_t now_us;
	uint64_t *frames; /* a digest of the picture after each frame */
	size_t n_frames;
	struct record_index_entry entries[64];
	size_t n_entries;
};

static inline uint32_t rig_random(struct record_rig *g)
{
	g->random = g->random * 1664525 + 1013904223;
	return g->random >> 8;
}

static inline uint64_t rig_digest(const uint8_t *data, size_t n)
{
	uint8_t hash[32];
	uint64_t v;
	EVP_Digest(data, n, hash, NULL, EVP_sha256(), NULL);
	memcpy(&v, hash, sizeof v);
	return v;
}

static inline void rig_on_chunk(void *arg, const struct record_index_entry *e)
{
	struct record_rig *g = arg;
	assert_true(g->n_entries < ARRAY_LEN(g->entries));
	g->entries[g->n_entries++] = *e;
}

static inline void rig_size(struct record_rig *g, unsigned width, unsigned height)
{
	g->width = width;
	g->height = height;
	g->screen = xrealloc(g->screen, (size_t)width * height * RIG_PIXEL);
	for (size_t i = 0; i < (size_t)width * height * RIG_PIXEL; i++)
		g->screen[i] = (uint8_t)(i / 64);
}

static inline struct record_rig *rig_new(enum record_codec codec, enum record_cipher cipher)
{
	struct record_rig *g = XNEW(struct record_rig);
	snprintf(g->dir, sizeof g->dir, "/tmp/lrdp-record-XXXXXX");
	assert_non_null(mkdtemp(g->dir));
	g->fd = open(g->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	id_uuid(g->id_text);
	assert_true(record_id_parse(g->id_text, g->id));
	record_key_new(g->key);
	assert_true(record_master_init(&g->master, RIG_MASTER, strlen(RIG_MASTER)));
	g->args = (struct record_writer_args){ .dir_fd = g->fd, .key = g->key, .codec = codec, .cipher = cipher, .chunk_ms = 30000, .start_us = RIG_START, .arg = g, .on_chunk = rig_on_chunk };
	memcpy(g->args.id, g->id, sizeof g->id);
	g->random = 1;
	g->now_us = RIG_START + 250000;
	rig_size(g, 200, 120);
	return g;
}

static inline void rig_start(struct record_rig *g)
{
	assert_int_equal(record_writer_new(&g->args, &g->writer), 0);
}

static inline void rig_free(struct record_rig *g)
{
	record_writer_free(g->writer);
	DIR *d = opendir(g->dir);
	for (struct dirent *e; d && (e = readdir(d));)
		unlinkat(g->fd, e->d_name, 0);
	closedir(d);
	rmdir(g->dir);
	close(g->fd);
	free(g->screen);
	free(g->frames);
	free(g);
}

static inline void rig_remember(struct record_rig *g)
{
	g->frames = xrealloc(g->frames, (g->n_frames + 1) * sizeof *g->frames);
	g->frames[g->n_frames++] = rig_digest(g->screen, (size_t)g->width * g->height * RIG_PIXEL);
}

/* Paints a rectangle with noise or one colour, and records it; as a full picture where the writer wants one. */
static inline int rig_paint(struct record_rig *g, unsigned x, unsigned y, unsigned w, unsigned h, bool noise)
{
	uint32_t colour = rig_random(g);
	size_t stride = (size_t)g->width * RIG_PIXEL;
	for (unsigned j = y; j < y + h; j++)
		for (unsigned i = x; i < x + w; i++) {
			uint32_t c = noise ? rig_random(g) : colour;
			memcpy(g->screen + j * stride + i * RIG_PIXEL, &c, RIG_PIXEL);
		}
	bool key = record_writer_wants_key(g->writer, g->now_us, g->width, g->height);
	struct record_rect r = { (uint16_t)x, (uint16_t)y, (uint16_t)w, (uint16_t)h, g->screen + y * stride + x * RIG_PIXEL, stride };
	if (key)
		r = (struct record_rect){ 0, 0, (uint16_t)g->width, (uint16_t)g->height, g->screen, stride };
	int rc = record_writer_frame(g->writer, g->now_us, g->width, g->height, key, (uint64_t)w * h, &r, 1);
	if (rc == 0)
		rig_remember(g);
	return rc;
}

static inline int rig_paint_somewhere(struct record_rig *g, bool noise)
{
	unsigned x = rig_random(g) % g->width, y = rig_random(g) % g->height;
	return rig_paint(g, x, y, 1 + rig_random(g) % (g->width - x), 1 + rig_random(g) % (g->height - y), noise);
}

/* Time passes, with the ticks that the writer wants. */
static inline void rig_wait(struct record_rig *g, int64_t ms)
{
	int64_t until = g->now_us + ms * 1000;
	for (int64_t due; (due = record_writer_next_us(g->writer)) <= until; g->now_us = MAX(due, g->now_us))
		assert_int_equal(record_writer_tick(g->writer, MAX(due, g->now_us)), 0);
	g->now_us = until;
}

/* A few seconds of everything that a recording may have. */
static inline void rig_play(struct record_rig *g, unsigned frames, bool noise)
{
	static uint8_t argb[24 * 24 * RIG_PIXEL] = { 1, 2, 3 };
	for (unsigned i = 0; i < frames; i++) {
		assert_int_equal(rig_paint_somewhere(g, noise), 0);
		if (i % 5 == 1)
			assert_int_equal(record_writer_cursor_image(g->writer, g->now_us, &(struct record_cursor){ 1, 2, 24, (uint16_t)(i % 24 + 1), argb }), 0);
		if (i % 3 == 1)
			assert_int_equal(record_writer_cursor_pos(g->writer, g->now_us, i, 2 * i), 0);
		if (i % 16 == 9)
			assert_int_equal(record_writer_gap(g->writer, g->now_us, g->now_us - 5000, RECORD_GAP_PAUSED), 0);
		rig_wait(g, 20 + rig_random(g) % 180);
	}
}

/* --- papers */

static inline void rig_write(struct record_rig *g, const char *name, const void *data, size_t n)
{
	int fd = openat(g->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	close(fd);
}

/* The file's content, which the caller frees. */
static inline uint8_t *rig_read(struct record_rig *g, const char *name, size_t *ret_len)
{
	struct stat st;
	int fd = openat(g->fd, name, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	uint8_t *data = xmalloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_len = (size_t)st.st_size;
	return data;
}

static inline json_t *rig_recording(struct record_rig *g)
{
	return json_pack("{s:s,s:s,s:s,s:i}", "recording_id", g->id_text, "user", "änna", "display", ":10", "started_ms", 1);
}

static inline void rig_manifest(struct record_rig *g)
{
	struct record_wrapped w;
	record_key_wrap(&g->master, g->id, g->key, &w);
	_cleanup_(doc_unrefp) json_t *recording = rig_recording(g);
	_cleanup_(xfreep) char *text = record_manifest_text(recording, g->args.cipher == RECORD_PLAIN ? NULL : &w, &g->master);
	assert_non_null(text);
	rig_write(g, RECORD_MANIFEST, text, strlen(text));
}

static inline void rig_seal(struct record_rig *g)
{
	size_t len;
	_cleanup_(xfreep) uint8_t *index = rig_read(g, RECORD_INDEX, &len);
	_cleanup_(doc_unrefp) json_t *recording = rig_recording(g);
	struct record_seal s = { .recording = recording, .ended_ms = 1790000000000, .state = "complete" };
	assert_true(record_seal_add_up(&s, index, len));
	_cleanup_(xfreep) char *text = record_seal_text(&s, &g->master);
	assert_non_null(text);
	rig_write(g, RECORD_SEAL, text, strlen(text));
}

/* Closes the last chunk, and seals. */
static inline void rig_finish(struct record_rig *g)
{
	assert_int_equal(record_writer_close_chunk(g->writer), 0);
	record_writer_free(TAKE_PTR(g->writer));
	rig_manifest(g);
	rig_seal(g);
}

static inline void rig_verify(struct record_rig *g, bool with_key, struct record_verdict *ret)
{
	struct record_check_args a = { .masters = &g->master, .n_masters = with_key };
	record_verify_dir(g->fd, &a, NULL, NULL, ret);
}

static inline void rig_expect(struct record_rig *g, bool with_key, enum record_state_found state)
{
	static struct record_verdict v;
	rig_verify(g, with_key, &v);
	if (v.state != state)
		fail_msg("%s, expected %s; %s", record_state_found_to_string(v.state), record_state_found_to_string(state), v.n_kept ? v.findings[0].text : "");
}

/* --- playing back */

struct rig_player {
	struct record_rig *g;
	uint8_t *screen;
	unsigned width, height;
	size_t frame; /* frames that were compared */
	uint32_t left; /* pixels of the frame that are to come */
	struct record_record record;
	size_t images, positions, gaps;
	bool in_frame;
};

static inline void rig_frame_done(struct rig_player *p)
{
	if (!p->in_frame)
		return;
	p->in_frame = false;
	assert_true(p->frame < p->g->n_frames);
	assert_true(rig_digest(p->screen, (size_t)p->width * p->height * RIG_PIXEL) == p->g->frames[p->frame]);
	p->frame++;
}

static inline int rig_on_header(void *arg, const struct record_header *h)
{
	struct rig_player *p = arg;
	p->width = h->width;
	p->height = h->height;
	p->screen = xrealloc(p->screen, (size_t)h->width * h->height * RIG_PIXEL);
	memset(p->screen, 0xee, (size_t)h->width * h->height * RIG_PIXEL);
	return 0;
}

static inline int rig_on_record(void *arg, const struct record_record *r)
{
	struct rig_player *p = arg;
	rig_frame_done(p);
	p->record = *r;
	p->in_frame = r->kind == RECORD_FRAME;
	p->images += r->kind == RECORD_CURSOR_IMAGE;
	p->positions += r->kind == RECORD_CURSOR_POS;
	p->gaps += r->kind == RECORD_GAP;
	return 0;
}

static inline int rig_on_rows(void *arg, const struct record_rect *b)
{
	struct rig_player *p = arg;
	if (!p->in_frame)
		return 0;
	assert_true(b->x + b->w <= (int)p->width && b->y + b->h <= (int)p->height && b->w && b->h);
	for (unsigned j = 0; j < b->h; j++)
		memcpy(p->screen + ((size_t)(b->y + j) * p->width + b->x) * RIG_PIXEL, b->bgrx + j * b->stride, (size_t)b->w * RIG_PIXEL);
	return 0;
}

/* Reads one chunk in pieces of `piece` bytes; returns the reader. */
static inline struct record_reader *rig_read_chunk(struct rig_player *p, uint32_t seq, size_t piece)
{
	char name[RECORD_NAME_SIZE];
	size_t len;
	_cleanup_(xfreep) uint8_t *data = rig_read(p->g, record_chunk_name(name, seq), &len);
	struct record_reader_args a = { .key = p->g->key, .id = p->g->id, .seq = seq, .arg = p, .on_header = rig_on_header, .on_record = rig_on_record, .on_rows = rig_on_rows };
	struct record_reader *r = record_reader_new(&a);
	for (size_t at = 0; at < len; at += piece)
		if (record_reader_feed(r, data + at, MIN(piece, len - at)) < 0)
			break;
	if (record_reader_progress(r)->complete)
		rig_frame_done(p);
	return r;
}

#endif
