#include "record/writer.h"

#include <errno.h>

#include "lucid/clock.h"
#include "lucid/id.h"
#include "lucid/record_keys.h"
#include "record/bytes.h"
#include "record/cipher.h"
#include "record/codec.h"
#include "record/files.h"
#include "record/header.h"

#define SEGMENT_CLOSE ((size_t)256 << 10) /* a segment ends when it has so many bytes … */
#define SEGMENT_CLOSE_RAW (4u << 20)	  /* … or so many before compression, so that a reader needs little memory for it */
#define SYNC_MS 5000
#define PIXEL 4

/* The chunk that is open. Times are ms since its t0. */
struct open_chunk {
	struct chunk_file *file; /* NULL: none is open */
	struct segment_cipher *cipher;
	struct record_index_entry entry;
	struct record_segment segment; /* that is being filled */
	bool begun;	    /* the segment has a record */
	uint8_t header[RECORD_HEADER_BYTES];
	uint32_t raw, segment_raw, records, last_ms;
	uint64_t changed; /* pixels in the second of `changed_second` */
	uint32_t changed_second;
	bool unsynced;
	int64_t sync_ms; /* when fdatasync is due, while unsynced */
};

struct record_writer {
	struct record_writer_args args;
	uint8_t key[RECORD_KEY_BYTES];
	int failed;
	int level;
	struct index_file index;
	uint8_t head[RECORD_HASH_BYTES]; /* of the last closed chunk */
	uint64_t end_ms;		 /* of the last closed chunk */
	struct packer *packer;
	struct open_chunk chunk;
	uint8_t collect[PACK_PIECE]; /* not yet compressed */
	size_t collected;
	struct pack_buffer out; /* headers, ciphertext and tag of the segment */
	bool has_cursor, has_position, has_gap;
	struct record_cursor cursor; /* argb is `image` */
	uint8_t *image;
	uint16_t x, y;
	uint64_t gap_from_ms;
	enum record_gap gap_reason;
	struct record_figures figures[RECORD_STAGES];
};

/* The headers stand in front of the compressed bytes: that of the chunk before the first segment only. */
#define OUT_RESERVED (RECORD_HEADER_BYTES + RECORD_SEGMENT_BYTES)

static int64_t stage_begin(void)
{
	return clock_mono_ns();
}

static void stage_count(struct record_writer *w, enum record_stage stage, int64_t began, uint64_t items, uint64_t in, uint64_t out)
{
	struct record_figures *f = &w->figures[stage];
	int64_t now = clock_mono_ns();
	uint64_t took = (uint64_t)MAX(now - began, (int64_t)0);
	f->items += items;
	f->bytes_in += in;
	f->bytes_out += out;
	f->ns_sum += took;
	f->ns_max = MAX(f->ns_max, took);
	f->last_us = now / 1000;
}

/* After a failure the writer is done for. */
static int writer_fail(struct record_writer *w, enum record_stage stage, int rc)
{
	w->figures[stage].errors++;
	w->failed = rc;
	return rc;
}

/* --- construction */

static int check_args(const struct record_writer_args *a)
{
	bool good = a->dir_fd >= 0 && a->codec <= RECORD_ZSTD && a->cipher <= RECORD_CHACHA20_POLY1305 && (a->key || a->cipher == RECORD_PLAIN) &&
		    a->chunk_ms >= RECORD_CHUNK_MS_MIN && a->chunk_ms <= RECORD_CHUNK_MS_MAX && a->first_seq <= RECORD_CHUNKS_MAX &&
		    (a->first_seq || bytes_are_zero(a->prev_hash, RECORD_HASH_BYTES));
	return good ? 0 : -EINVAL;
}

/* The index must end with the chunk before the first one. */
static int continue_index(struct record_writer *w)
{
	uint8_t bytes[RECORD_ENTRY_BYTES];
	struct record_index_entry last;
	if (w->index.entries != w->args.first_seq)
		return -EBADMSG;
	if (!w->args.first_seq)
		return 0;
	int rc = index_file_read(&w->index, w->args.first_seq - 1, bytes);
	if (rc < 0)
		return rc;
	if (!record_entry_get(&last, bytes) || memcmp(last.hash, w->args.prev_hash, sizeof last.hash) != 0)
		return -EBADMSG;
	w->end_ms = last.t0_ms + last.duration_ms;
	return 0;
}

int record_writer_new(const struct record_writer_args *a, struct record_writer **ret)
{
	char why[128];
	int rc = check_args(a);
	if (rc < 0)
		return rc;
	if (!record_codec_load(a->codec, why, sizeof why))
		return -ENOSYS;
	struct record_writer *w = XNEW(struct record_writer);
	w->args = *a;
	w->args.max_records = a->max_records && a->max_records < RECORD_RECORDS_MAX ? a->max_records : RECORD_RECORDS_MAX;
	w->level = a->level;
	w->index.fd = -1;
	if (a->key)
		memcpy(w->key, a->key, sizeof w->key);
	memcpy(w->head, a->prev_hash, sizeof w->head);
	w->packer = packer_new(a->codec);
	rc = w->packer ? index_file_open(a->dir_fd, &w->index) : -ENOMEM;
	if (rc == 0)
		rc = continue_index(w);
	if (rc < 0)
		record_writer_free(w);
	else
		*ret = w;
	return rc;
}

static void forget_chunk(struct record_writer *w)
{
	chunk_file_free(w->chunk.file);
	segment_cipher_free(w->chunk.cipher);
	memset(&w->chunk, 0, sizeof w->chunk);
}

void record_writer_free(struct record_writer *w)
{
	if (!w)
		return;
	forget_chunk(w);
	packer_free(w->packer);
	index_file_close(&w->index);
	free(w->out.data);
	free(w->image);
	mem_wipe(w, sizeof *w);
	free(w);
}

/* --- segments */

static void begin_segment(struct record_writer *w)
{
	struct open_chunk *c = &w->chunk;
	uint32_t number = c->begun ? c->segment.number + 1 : c->segment.number;
	c->segment = (struct record_segment){ .number = number, .type = RECORD_SEGMENT_DATA };
	c->begun = false;
	c->segment_raw = 0;
	w->out.len = 0;
	pack_buffer_room(&w->out, OUT_RESERVED);
	w->out.len = OUT_RESERVED;
}

/* Encrypts and writes what was compressed. */
static int write_segment(struct record_writer *w)
{
	struct open_chunk *c = &w->chunk;
	struct record_segment *s = &c->segment;
	size_t n = w->out.len - OUT_RESERVED;
	pack_buffer_room(&w->out, RECORD_TAG_BYTES);
	uint8_t *head = w->out.data + RECORD_HEADER_BYTES, *data = w->out.data + OUT_RESERVED, *from = s->number ? head : w->out.data;
	s->length = (uint32_t)n;
	s->activity = record_activity_level(c->changed_second == s->t_last_ms / 1000 ? c->changed : 0, (uint64_t)c->entry.width * c->entry.height);
	memcpy(w->out.data, c->header, RECORD_HEADER_BYTES);
	record_segment_put(head, s);
	int64_t began = stage_begin();
	segment_cipher_seal(c->cipher, head, data, n, data + n);
	stage_count(w, RECORD_STAGE_ENCRYPTION, began, 1, n, n + RECORD_TAG_BYTES);
	size_t size = (size_t)(data + n + RECORD_TAG_BYTES - from);
	began = stage_begin();
	int rc = chunk_file_add(c->file, from, size);
	if (rc < 0)
		return writer_fail(w, RECORD_STAGE_STORAGE, rc);
	stage_count(w, RECORD_STAGE_STORAGE, began, 1, size, size);
	c->entry.frames += s->frames;
	c->entry.flags |= s->type == RECORD_SEGMENT_GAP ? RECORD_ENTRY_GAP : 0;
	c->entry.activity[s->t_last_ms / 1000] = s->activity;
	if (!c->unsynced)
		c->sync_ms = c->last_ms + SYNC_MS;
	c->unsynced = true;
	c->begun = true; /* its number is used up */
	begin_segment(w);
	return 0;
}

/* Compresses what was collected, so that rows of a few bytes do not cost a call of the library each. */
static int compress(struct record_writer *w, const uint8_t *data, size_t n)
{
	int64_t began = stage_begin();
	size_t before = w->out.len;
	for (size_t done = 0; done < n; done += PACK_PIECE)
		if (!packer_add(w->packer, data + done, MIN(n - done, (size_t)PACK_PIECE), &w->out))
			return writer_fail(w, RECORD_STAGE_COMPRESSION, -EIO);
	stage_count(w, RECORD_STAGE_COMPRESSION, began, 0, n, w->out.len - before);
	return 0;
}

static int compress_collected(struct record_writer *w)
{
	size_t n = w->collected;
	w->collected = 0;
	return n ? compress(w, w->collect, n) : 0;
}

/* Bytes of the record that is being written. */
static int add_bytes(struct record_writer *w, const uint8_t *data, size_t n)
{
	int rc = w->collected + n > sizeof w->collect ? compress_collected(w) : 0;
	w->chunk.raw += (uint32_t)n;
	w->chunk.segment_raw += (uint32_t)n;
	if (rc < 0 || n > sizeof w->collect)
		return rc < 0 ? rc : compress(w, data, n);
	memcpy(w->collect + w->collected, data, n);
	w->collected += n;
	return 0;
}

/* Flushes or ends the compressed stream. */
static int finish_compression(struct record_writer *w, bool (*finish)(struct packer *p, struct pack_buffer *out))
{
	int rc = compress_collected(w);
	if (rc < 0)
		return rc;
	int64_t began = stage_begin();
	size_t before = w->out.len;
	if (!finish(w->packer, &w->out))
		return writer_fail(w, RECORD_STAGE_COMPRESSION, -EIO);
	stage_count(w, RECORD_STAGE_COMPRESSION, began, 0, 0, w->out.len - before);
	return 0;
}

static int flush_segment(struct record_writer *w)
{
	if (!w->chunk.begun)
		return 0;
	int rc = finish_compression(w, packer_flush);
	return rc == 0 ? write_segment(w) : rc;
}

static bool segment_is_full(const struct record_writer *w)
{
	return w->out.len >= OUT_RESERVED + SEGMENT_CLOSE || w->chunk.segment_raw >= SEGMENT_CLOSE_RAW;
}

/* A record begins: the segment, which never crosses a second, has it too. */
static int begin_record(struct record_writer *w, uint32_t t_ms, enum record_kind kind, bool key, size_t rects)
{
	struct open_chunk *c = &w->chunk;
	uint8_t head[8];
	int rc = c->begun && t_ms / 1000 != c->segment.t_last_ms / 1000 ? flush_segment(w) : 0;
	if (rc < 0)
		return rc;
	if (!c->begun)
		c->segment.t_first_ms = t_ms;
	c->begun = true;
	c->segment.t_last_ms = c->last_ms = t_ms;
	c->segment.key |= key;
	if (kind == RECORD_GAP)
		c->segment.type = RECORD_SEGMENT_GAP;
	c->records++;
	w->figures[RECORD_STAGE_COMPRESSION].items++;
	bytes_put32(head, t_ms);
	bytes_put16(head + 4, (uint16_t)rects);
	head[6] = key;
	head[7] = (uint8_t)kind;
	return add_bytes(w, head, sizeof head);
}

/* Pixels of a frame, within which a segment may end. `more`: the frame continues after them. */
static int add_pixels(struct record_writer *w, const uint8_t *data, size_t n, bool more)
{
	struct open_chunk *c = &w->chunk;
	int rc = 0;
	while (n && rc == 0) {
		size_t take = MIN(n, (size_t)PACK_PIECE);
		uint32_t t_ms = c->last_ms;
		rc = add_bytes(w, data, take);
		data += take;
		n -= take;
		if (rc < 0 || !(n || more) || !segment_is_full(w))
			continue;
		rc = flush_segment(w);
		c->begun = true;
		c->segment.t_first_ms = c->segment.t_last_ms = t_ms; /* the frame continues in the next one */
	}
	return rc;
}

/* --- chunks */

static uint64_t recording_ms(const struct record_writer *w, int64_t t_us)
{
	return t_us > w->args.start_us ? (uint64_t)(t_us - w->args.start_us) / 1000 : 0;
}

/* Time within the open chunk; not before what was written, and less than its longest duration. */
static uint32_t chunk_ms(const struct record_writer *w, int64_t t_us)
{
	const struct open_chunk *c = &w->chunk;
	uint64_t t = recording_ms(w, t_us);
	uint64_t within = t > c->entry.t0_ms ? t - c->entry.t0_ms : 0;
	return (uint32_t)MIN(MAX(within, c->last_ms), RECORD_CHUNK_MS_MAX - 1);
}

static bool chunk_is_due(const struct record_writer *w, int64_t now_us)
{
	return recording_ms(w, now_us) >= w->chunk.entry.t0_ms + w->args.chunk_ms;
}

static int open_chunk(struct record_writer *w, int64_t t_us, unsigned width, unsigned height)
{
	struct open_chunk *c = &w->chunk;
	uint32_t seq = w->index.entries;
	if (seq >= RECORD_CHUNKS_MAX)
		return writer_fail(w, RECORD_STAGE_STORAGE, -EFBIG);
	struct record_header h = { .version = RECORD_VERSION, .codec = (uint8_t)w->args.codec, .cipher = (uint8_t)w->args.cipher, .seq = seq, .width = (uint16_t)width, .height = (uint16_t)height,
				   .t0_ms = MIN(MAX(recording_ms(w, t_us), w->end_ms), RECORD_TIME_MAX - 1) };
	uint8_t key[RECORD_KEY_BYTES];
	memcpy(h.id, w->args.id, sizeof h.id);
	memcpy(h.prev_hash, w->head, sizeof h.prev_hash);
	id_random(h.salt, sizeof h.salt);
	if (!packer_begin(w->packer, w->level))
		return writer_fail(w, RECORD_STAGE_COMPRESSION, -EIO);
	int rc = chunk_file_new(w->args.dir_fd, seq, &c->file);
	if (rc < 0)
		return writer_fail(w, RECORD_STAGE_STORAGE, rc);
	record_header_put(c->header, &h);
	record_chunk_key(w->key, h.salt, h.id, seq, key);
	c->cipher = segment_cipher_new(w->args.cipher, key, c->header, true);
	mem_wipe(key, sizeof key);
	c->entry = (struct record_index_entry){ .seq = seq, .width = h.width, .height = h.height, .t0_ms = h.t0_ms };
	memcpy(c->entry.prev_hash, w->head, sizeof w->head);
	begin_segment(w);
	return 0;
}

/* The last segment: what is left, and the end of the compressed stream. */
static int write_end(struct record_writer *w)
{
	struct open_chunk *c = &w->chunk;
	int rc = c->segment.type == RECORD_SEGMENT_GAP ? flush_segment(w) : 0;
	if (rc < 0)
		return rc;
	if (!c->begun)
		c->segment.t_first_ms = c->segment.t_last_ms = c->last_ms;
	c->segment.type = RECORD_SEGMENT_END;
	rc = finish_compression(w, packer_end);
	return rc == 0 ? write_segment(w) : rc;
}

int record_writer_close_chunk(struct record_writer *w)
{
	struct open_chunk *c = &w->chunk;
	uint8_t bytes[RECORD_ENTRY_BYTES];
	if (w->failed || !c->file)
		return w->failed;
	int rc = write_end(w);
	if (rc < 0)
		return rc;
	int64_t began = stage_begin();
	c->entry.duration_ms = c->last_ms;
	c->entry.bytes = chunk_file_size(c->file);
	c->entry.raw_bytes = c->raw;
	chunk_file_hash(c->file, c->entry.hash);
	record_entry_put(bytes, &c->entry);
	rc = chunk_file_sync(c->file);
	if (rc == 0)
		rc = index_file_add(&w->index, bytes);
	if (rc < 0)
		return writer_fail(w, RECORD_STAGE_STORAGE, rc);
	stage_count(w, RECORD_STAGE_STORAGE, began, 0, 0, 0);
	struct record_index_entry e = c->entry;
	memcpy(w->head, e.hash, sizeof w->head);
	w->end_ms = e.t0_ms + e.duration_ms;
	forget_chunk(w);
	if (w->args.on_chunk)
		w->args.on_chunk(w->args.arg, &e);
	return 0;
}

static bool chunk_is_full(const struct record_writer *w)
{
	const struct open_chunk *c = &w->chunk;
	return c->raw >= RECORD_CLOSE_RAW || c->records + 4 > w->args.max_records || chunk_file_size(c->file) + w->out.len >= RECORD_CLOSE_FILE;
}

/* After each record. */
static int end_record(struct record_writer *w)
{
	if (chunk_is_full(w))
		return record_writer_close_chunk(w);
	return segment_is_full(w) ? flush_segment(w) : 0;
}

/* --- records */

bool record_writer_wants_key(const struct record_writer *w, int64_t now_us, unsigned width, unsigned height)
{
	const struct open_chunk *c = &w->chunk;
	return !c->file || c->entry.width != width || c->entry.height != height || chunk_is_due(w, now_us);
}

static bool frame_is_valid(unsigned width, unsigned height, bool key, const struct record_rect *rects, size_t n)
{
	uint64_t area = 0;
	if (!width || !height || width > RECORD_SIDE_MAX || height > RECORD_SIDE_MAX || width * height > RECORD_AREA_MAX || n > UINT16_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct record_rect *r = &rects[i];
		if (!r->w || !r->h || r->x + r->w > (int)width || r->y + r->h > (int)height)
			return false;
		area += (uint32_t)r->w * r->h;
	}
	return key ? area == width * height : area <= width * height;
}

static int write_rect(struct record_writer *w, const struct record_rect *r, bool more)
{
	uint8_t head[8];
	size_t row = (size_t)r->w * PIXEL;
	bytes_put16(head, r->x);
	bytes_put16(head + 2, r->y);
	bytes_put16(head + 4, r->w);
	bytes_put16(head + 6, r->h);
	int rc = add_bytes(w, head, sizeof head);
	if (rc == 0 && r->stride == row)
		return add_pixels(w, r->bgrx, row * r->h, more);
	for (size_t y = 0; y < r->h && rc == 0; y++)
		rc = add_pixels(w, r->bgrx + y * r->stride, row, more || y + 1 < r->h);
	return rc;
}

static int write_frame(struct record_writer *w, uint32_t t_ms, bool key, uint64_t changed, const struct record_rect *rects, size_t n)
{
	struct open_chunk *c = &w->chunk;
	int rc = begin_record(w, t_ms, RECORD_FRAME, key, n);
	if (c->changed_second != t_ms / 1000)
		c->changed = 0;
	c->changed_second = t_ms / 1000;
	c->changed += MIN(changed, (uint64_t)c->entry.width * c->entry.height);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = write_rect(w, &rects[i], i + 1 < n);
	if (rc == 0)
		c->segment.frames++;
	return rc;
}

static int write_image(struct record_writer *w, uint32_t t_ms)
{
	uint8_t head[8];
	const struct record_cursor *s = &w->cursor;
	bytes_put16(head, s->hot_x);
	bytes_put16(head + 2, s->hot_y);
	bytes_put16(head + 4, s->w);
	bytes_put16(head + 6, s->h);
	int rc = begin_record(w, t_ms, RECORD_CURSOR_IMAGE, false, 1);
	if (rc == 0)
		rc = add_bytes(w, head, sizeof head);
	return rc == 0 ? add_bytes(w, w->image, (size_t)s->w * s->h * PIXEL) : rc;
}

static int write_position(struct record_writer *w, uint32_t t_ms)
{
	uint8_t body[4];
	bytes_put16(body, w->x);
	bytes_put16(body + 2, w->y);
	int rc = begin_record(w, t_ms, RECORD_CURSOR_POS, false, 0);
	return rc == 0 ? add_bytes(w, body, sizeof body) : rc;
}

static int write_gap(struct record_writer *w, uint32_t t_ms)
{
	uint8_t body[8];
	bytes_put64(body, MIN(w->gap_from_ms, RECORD_TIME_MAX - 1));
	w->has_gap = false;
	int rc = begin_record(w, t_ms, RECORD_GAP, false, w->gap_reason);
	return rc == 0 ? add_bytes(w, body, sizeof body) : rc;
}

/* What a chunk has after its first picture. */
static int write_context(struct record_writer *w, uint32_t t_ms)
{
	int rc = w->has_gap ? write_gap(w, t_ms) : 0;
	if (rc == 0 && w->has_cursor)
		rc = write_image(w, t_ms);
	if (rc == 0 && w->has_position)
		rc = write_position(w, t_ms);
	return rc;
}

int record_writer_frame(struct record_writer *w, int64_t t_us, unsigned width, unsigned height, bool key, uint64_t changed,
			const struct record_rect *rects, size_t n)
{
	if (w->failed || !n)
		return w->failed;
	bool first = record_writer_wants_key(w, t_us, width, height);
	if (!frame_is_valid(width, height, key, rects, n) || (first && !key))
		return -EINVAL;
	int rc = first ? record_writer_close_chunk(w) : 0;
	if (rc == 0 && first)
		rc = open_chunk(w, t_us, width, height);
	if (rc < 0)
		return rc;
	uint32_t t_ms = chunk_ms(w, t_us), before = w->chunk.raw;
	rc = write_frame(w, t_ms, key, changed, rects, n);
	stage_count(w, RECORD_STAGE_RECORDING, stage_begin(), 1, w->chunk.raw - before, w->chunk.raw - before);
	if (rc == 0 && first)
		rc = write_context(w, t_ms);
	return rc == 0 ? end_record(w) : rc;
}

/* Whether a record without a picture can be written now. */
static bool chunk_takes(const struct record_writer *w, int64_t t_us)
{
	return w->chunk.file && !chunk_is_due(w, t_us);
}

int record_writer_cursor_image(struct record_writer *w, int64_t t_us, const struct record_cursor *c)
{
	if (w->failed)
		return w->failed;
	if (c->w > RECORD_CURSOR_MAX || c->h > RECORD_CURSOR_MAX || !c->w != !c->h)
		return -EINVAL;
	size_t size = (size_t)c->w * c->h * PIXEL;
	w->image = xrealloc(w->image, MAX(size, (size_t)1));
	memcpy(w->image, c->w ? c->argb : w->image, size);
	w->cursor = *c;
	w->cursor.argb = NULL;
	w->has_cursor = true;
	if (!chunk_takes(w, t_us))
		return 0;
	int rc = write_image(w, chunk_ms(w, t_us));
	return rc == 0 ? end_record(w) : rc;
}

int record_writer_cursor_pos(struct record_writer *w, int64_t t_us, unsigned x, unsigned y)
{
	if (w->failed)
		return w->failed;
	w->x = (uint16_t)MIN(x, (unsigned)UINT16_MAX);
	w->y = (uint16_t)MIN(y, (unsigned)UINT16_MAX);
	w->has_position = true;
	if (!chunk_takes(w, t_us))
		return 0;
	int rc = write_position(w, chunk_ms(w, t_us));
	return rc == 0 ? end_record(w) : rc;
}

int record_writer_gap(struct record_writer *w, int64_t t_us, int64_t from_us, enum record_gap reason)
{
	if (w->failed)
		return w->failed;
	uint64_t from = recording_ms(w, from_us);
	w->gap_from_ms = w->has_gap ? MIN(w->gap_from_ms, from) : from;
	w->gap_reason = reason;
	w->has_gap = true;
	if (!chunk_takes(w, t_us))
		return 0;
	int rc = write_gap(w, chunk_ms(w, t_us));
	return rc == 0 ? end_record(w) : rc;
}

/* --- time */

/* ms since the chunk's t0, without the bounds of chunk_ms. */
static int64_t chunk_age(const struct record_writer *w, int64_t now_us)
{
	return (int64_t)recording_ms(w, now_us) - (int64_t)w->chunk.entry.t0_ms;
}

/* When the segment ends: at the full second. */
static int64_t segment_due(const struct open_chunk *c)
{
	return ((int64_t)c->segment.t_last_ms / 1000 + 1) * 1000;
}

int record_writer_tick(struct record_writer *w, int64_t now_us)
{
	struct open_chunk *c = &w->chunk;
	if (w->failed || !c->file)
		return w->failed;
	if (chunk_is_due(w, now_us))
		return record_writer_close_chunk(w);
	int64_t age = chunk_age(w, now_us);
	int rc = c->begun && age >= segment_due(c) ? flush_segment(w) : 0;
	if (rc < 0 || !c->unsynced || age < c->sync_ms)
		return rc;
	int64_t began = stage_begin();
	rc = chunk_file_sync(c->file);
	if (rc < 0)
		return writer_fail(w, RECORD_STAGE_STORAGE, rc);
	stage_count(w, RECORD_STAGE_STORAGE, began, 0, 0, 0);
	c->unsynced = false;
	return 0;
}

int64_t record_writer_next_us(const struct record_writer *w)
{
	const struct open_chunk *c = &w->chunk;
	if (w->failed || !c->file)
		return INT64_MAX;
	int64_t due = w->args.chunk_ms;
	if (c->begun)
		due = MIN(due, segment_due(c));
	if (c->unsynced)
		due = MIN(due, c->sync_ms);
	return w->args.start_us + ((int64_t)c->entry.t0_ms + due) * 1000;
}

void record_writer_set_level(struct record_writer *w, int level)
{
	w->level = level;
}

const struct record_figures *record_writer_figures(const struct record_writer *w)
{
	return w->figures;
}

void record_writer_written(const struct record_writer *w, struct record_written *ret)
{
	*ret = (struct record_written){ .next_seq = w->index.entries, .open = w->chunk.file, .open_bytes = w->chunk.file ? chunk_file_size(w->chunk.file) : 0 };
	memcpy(ret->head, w->head, sizeof ret->head);
}
