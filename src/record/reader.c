#include "lucid/record_reader.h"

#include <stdio.h>

#include "record/cipher.h"
#include "record/codec.h"
#include "record/header.h"
#include "record/records.h"

enum reader_state { AT_CHUNK_HEADER, AT_SEGMENT_HEADER, AT_DATA };

struct record_reader {
	struct record_reader_args args;
	uint8_t key[RECORD_KEY_BYTES], id[RECORD_ID_BYTES];
	bool has_key, has_id;
	int failed;
	char why[RECORD_WHY_SIZE];
	enum reader_state state;
	struct record_header header;
	struct record_segment segment; /* the current one, or the last */
	struct record_progress progress;
	struct segment_cipher *cipher;
	struct unpacker *unpacker;
	struct record_parser *parser;
	uint8_t head[RECORD_HEADER_BYTES];
	size_t have; /* bytes of the current part */
	uint8_t *data; /* ciphertext and tag; not used without a key */
	size_t cap;
	uint64_t raw_max, segment_raw; /* segment_raw: inflated from the current segment */
};

struct record_reader *record_reader_new(const struct record_reader_args *a)
{
	struct record_reader *r = XNEW(struct record_reader);
	r->args = *a;
	r->has_key = a->key;
	r->has_id = a->id;
	if (a->key)
		memcpy(r->key, a->key, sizeof r->key);
	if (a->id)
		memcpy(r->id, a->id, sizeof r->id);
	return r;
}

void record_reader_free(struct record_reader *r)
{
	if (!r)
		return;
	segment_cipher_free(r->cipher);
	unpacker_free(r->unpacker);
	record_parser_free(r->parser);
	free(r->data);
	mem_wipe(r, sizeof *r);
	free(r);
}

static int reader_fail(struct record_reader *r, int rc, const char *fmt, ...) PRINTF(3, 4);
static int reader_fail(struct record_reader *r, int rc, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(r->why, sizeof r->why, fmt, ap);
	va_end(ap);
	return rc;
}

static int segment_fail(struct record_reader *r, int rc, const char *why)
{
	return reader_fail(r, rc, "segment %u at byte %llu: %s", r->progress.segments, (unsigned long long)r->progress.valid, why);
}

/* --- header */

static bool wants_inflated(const struct record_reader *r)
{
	const struct record_reader_args *a = &r->args;
	return a->on_plain || a->on_record || a->on_rows || a->records;
}

/* Prepares what the segments need. */
static int reader_open(struct record_reader *r)
{
	uint8_t key[RECORD_KEY_BYTES];
	const struct record_header *h = &r->header;
	if (h->cipher != RECORD_PLAIN && !r->has_key)
		return 0;
	record_chunk_key(r->key, h->salt, h->id, h->seq, key);
	r->cipher = segment_cipher_new(h->cipher, key, r->head, false);
	mem_wipe(key, sizeof key);
	if (!wants_inflated(r))
		return 0;
	r->unpacker = unpacker_new(h->codec);
	if (!r->unpacker)
		return reader_fail(r, RECORD_NO_CODEC, "the library for %s is not installed", record_codec_to_string(h->codec));
	r->parser = record_parser_new(&r->args, h->width, h->height);
	r->raw_max = RECORD_CLOSE_RAW + ((uint64_t)h->width * h->height + RECORD_CURSOR_MAX * RECORD_CURSOR_MAX + 4 * UINT16_MAX) * 4;
	return 0;
}

static int take_header(struct record_reader *r)
{
	const char *why = record_header_get(&r->header, r->head);
	const struct record_header *h = &r->header;
	if (why)
		return reader_fail(r, RECORD_BAD_HEADER, "the header of the chunk: %s", why);
	if (r->has_id && memcmp(h->id, r->id, sizeof r->id) != 0) {
		char id[37];
		record_id_text(id, h->id);
		return reader_fail(r, RECORD_OTHER_CHUNK, "it belongs to the recording %s", id);
	}
	if (r->args.seq >= 0 && h->seq != r->args.seq)
		return reader_fail(r, RECORD_OTHER_CHUNK, "it is chunk %u of this recording", h->seq);
	r->progress.header = true;
	r->progress.valid = RECORD_HEADER_BYTES;
	int rc = reader_open(r);
	if (rc == 0 && r->args.on_header)
		rc = r->args.on_header(r->args.arg, h);
	r->state = AT_SEGMENT_HEADER;
	return rc;
}

/* --- segments */

static int on_inflated(void *arg, const uint8_t *data, size_t n)
{
	struct record_reader *r = arg;
	r->progress.raw += n;
	r->segment_raw += n;
	if (r->progress.raw > r->raw_max || r->segment_raw > RECORD_SEGMENT_RAW)
		return segment_fail(r, RECORD_BAD_STREAM, "it inflates to more than a segment or a chunk holds");
	int rc = record_parser_feed(r->parser, data, n);
	if (rc == RECORD_BAD_RECORD)
		return reader_fail(r, rc, "segment %u at byte %llu: record %u: %s", r->progress.segments, (unsigned long long)r->progress.valid,
				   record_parser_records(r->parser), record_parser_why(r->parser));
	return rc == 0 && r->args.on_plain ? r->args.on_plain(r->args.arg, data, n) : rc;
}

/* Whether the records in the segment are those that its header announces. */
static int check_tally(struct record_reader *r)
{
	const struct record_segment *s = &r->segment;
	struct record_tally t = record_parser_tally(r->parser);
	bool end = s->type == RECORD_SEGMENT_END;
	if (end && !unpacker_ended(r->unpacker))
		return segment_fail(r, RECORD_BAD_STREAM, "the compressed stream has no end");
	if (!record_parser_at_rest(r->parser, end))
		return segment_fail(r, RECORD_BAD_RECORD, "it ends within a record");
	if (!t.any && !end)
		return segment_fail(r, RECORD_BAD_RECORD, "no record is in it");
	if (!t.any)
		t.first_ms = t.last_ms = r->progress.last_ms;
	if (t.frames != s->frames || t.key != s->key || t.gap != (s->type == RECORD_SEGMENT_GAP) || t.first_ms != s->t_first_ms || t.last_ms != s->t_last_ms)
		return segment_fail(r, RECORD_BAD_SEGMENT, "its header does not say what is in it");
	return 0;
}

static int open_segment(struct record_reader *r)
{
	size_t n = r->segment.length;
	if (!segment_cipher_open(r->cipher, r->head, r->data, n, r->data + n))
		return segment_fail(r, RECORD_BAD_TAG, "the tag does not match");
	int rc = r->args.on_segment ? r->args.on_segment(r->args.arg, &r->segment, r->data, n) : 0;
	if (rc || !r->unpacker)
		return rc;
	r->segment_raw = 0;
	rc = unpacker_feed(r->unpacker, r->data, n, on_inflated, r);
	if (rc == UNPACK_BAD)
		return segment_fail(r, RECORD_BAD_STREAM, "it does not inflate");
	return rc ? rc : check_tally(r);
}

static int take_segment(struct record_reader *r)
{
	struct record_progress *p = &r->progress;
	const struct record_segment *s = &r->segment;
	int rc = 0;
	if (r->cipher)
		rc = open_segment(r);
	else if (r->args.on_segment)
		rc = r->args.on_segment(r->args.arg, s, NULL, 0);
	if (rc)
		return rc;
	p->segments++;
	p->frames += s->frames;
	p->records = r->parser ? record_parser_records(r->parser) : 0;
	p->valid += RECORD_SEGMENT_BYTES + s->length + RECORD_TAG_BYTES;
	p->last_ms = s->t_last_ms;
	p->activity[s->t_last_ms / 1000] = s->activity;
	p->gap |= s->type == RECORD_SEGMENT_GAP;
	p->complete = s->type == RECORD_SEGMENT_END;
	r->state = AT_SEGMENT_HEADER;
	return 0;
}

static int take_segment_header(struct record_reader *r)
{
	struct record_segment before = r->segment;
	const char *why = record_segment_get(&r->segment, r->head, r->progress.segments ? &before : NULL);
	if (why)
		return segment_fail(r, RECORD_BAD_SEGMENT, why);
	r->state = AT_DATA;
	return 0;
}

/* --- input */

static size_t part_size(const struct record_reader *r)
{
	if (r->state == AT_CHUNK_HEADER)
		return RECORD_HEADER_BYTES;
	return r->state == AT_SEGMENT_HEADER ? RECORD_SEGMENT_BYTES : r->segment.length + RECORD_TAG_BYTES;
}

/* The length in a segment header is believed only as far as bytes arrive. */
static uint8_t *data_room(struct record_reader *r, size_t n)
{
	if (r->cap < r->have + n) {
		r->cap = MAX(MIN(2 * r->cap, (size_t)RECORD_SEGMENT_MAX + RECORD_TAG_BYTES), r->have + n);
		r->data = xrealloc(r->data, r->cap);
	}
	return r->data + r->have;
}

static int feed_part_of_chunk(struct record_reader *r, const uint8_t *bytes, size_t n, size_t *ret_used)
{
	static int (*const take_part[])(struct record_reader *r) = { take_header, take_segment_header, take_segment };
	size_t take = MIN(n, part_size(r) - r->have);
	if (r->state != AT_DATA)
		memcpy(r->head + r->have, bytes, take);
	else if (r->cipher)
		memcpy(data_room(r, take), bytes, take);
	r->have += take;
	r->progress.fed += take;
	*ret_used = take;
	if (r->have < part_size(r))
		return 0;
	r->have = 0;
	return take_part[r->state](r);
}

int record_reader_step(struct record_reader *r, const void *bytes, size_t n, size_t *ret_used)
{
	const uint8_t *p = bytes;
	uint32_t segments = r->progress.segments;
	*ret_used = 0;
	while (*ret_used < n && !r->failed && r->progress.segments == segments) {
		size_t used = 0;
		if (r->progress.complete)
			r->failed = reader_fail(r, RECORD_AFTER_END, "bytes follow the end of the chunk at byte %llu", (unsigned long long)r->progress.valid);
		else if (r->progress.fed >= RECORD_FILE_MAX)
			r->failed = reader_fail(r, RECORD_BAD_SEGMENT, "the chunk is larger than %u MiB", RECORD_FILE_MAX >> 20);
		else
			r->failed = feed_part_of_chunk(r, p + *ret_used, n - *ret_used, &used);
		*ret_used += used;
	}
	return r->failed;
}

int record_reader_feed(struct record_reader *r, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t used;
	for (size_t done = 0; done < n && !r->failed; done += used)
		record_reader_step(r, p + done, n - done, &used);
	return r->failed;
}

const struct record_progress *record_reader_progress(const struct record_reader *r)
{
	return &r->progress;
}

const char *record_reader_why(const struct record_reader *r)
{
	return r->why;
}

const struct record_header *record_reader_header(const struct record_reader *r)
{
	return r->progress.header ? &r->header : NULL;
}
