/* record: every length, time and number that a chunk states is refused when it is out of its bounds, even with a tag that is right. */
#include "record_rig.h"

#include "record/cipher.h"
#include "record/codec.h"
#include "record/header.h"

#define W 4
#define H 3

/* A chunk that is put together by hand, without encryption. */
struct made {
	struct record_header header;
	struct segment_cipher *cipher;
	struct pack_buffer file;
	uint32_t segments;
};

static void make(struct made *m)
{
	uint8_t bytes[RECORD_HEADER_BYTES];
	record_header_put(bytes, &m->header);
	m->cipher = segment_cipher_new(RECORD_PLAIN, NULL, bytes, true);
	memcpy(pack_buffer_room(&m->file, sizeof bytes), bytes, sizeof bytes);
	m->file.len = sizeof bytes;
}

static struct made made_new(enum record_codec codec)
{
	struct made m = { .header = { .version = RECORD_VERSION, .codec = (uint8_t)codec, .width = W, .height = H } };
	make(&m);
	return m;
}

static void add_segment(struct made *m, struct record_segment s, const uint8_t *data, size_t n)
{
	uint8_t *p = pack_buffer_room(&m->file, RECORD_SEGMENT_BYTES + n + RECORD_TAG_BYTES);
	s.length = (uint32_t)n;
	s.number = m->segments++;
	s.key = !s.number;
	record_segment_put(p, &s);
	if (n)
		memcpy(p + RECORD_SEGMENT_BYTES, data, n);
	segment_cipher_seal(m->cipher, p, p + RECORD_SEGMENT_BYTES, n, p + RECORD_SEGMENT_BYTES + n);
	m->file.len += RECORD_SEGMENT_BYTES + n + RECORD_TAG_BYTES;
}

static int read_made(struct made *m)
{
	struct record_reader_args a = { .seq = -1, .records = true };
	struct record_reader *r = record_reader_new(&a);
	int rc = record_reader_feed(r, m->file.data, m->file.len);
	assert_true(!rc == !*record_reader_why(r));
	record_reader_free(r);
	segment_cipher_free(m->cipher);
	free(m->file.data);
	return rc;
}

/* Appends the head of a record: time, n, key, kind. */
static uint8_t *head(uint8_t *p, uint32_t t, uint16_t n, uint8_t key, uint8_t kind)
{
	memcpy(p, (uint8_t[]){ (uint8_t)t, (uint8_t)(t >> 8), (uint8_t)(t >> 16), (uint8_t)(t >> 24), (uint8_t)n, (uint8_t)(n >> 8), key, kind }, 8);
	return p + 8;
}

/* Four numbers of 16 bits: a rectangle, or the head of a cursor image. */
static uint8_t *four(uint8_t *p, unsigned a, unsigned b, unsigned c, unsigned d)
{
	const unsigned v[] = { a, b, c, d };
	for (size_t i = 0; i < 4; i++, p += 2)
		memcpy(p, (uint8_t[]){ (uint8_t)v[i], (uint8_t)(v[i] >> 8) }, 2);
	return p;
}

/* A full picture at time 0. */
static uint8_t *picture(uint8_t *p)
{
	p = four(head(p, 0, 1, 1, RECORD_FRAME), 0, 0, W, H);
	memset(p, 7, W * H * 4);
	return p + W * H * 4;
}

/* Reads a chunk whose end segment has these records. */
static int read_records(const uint8_t *records, const uint8_t *end, uint16_t frames, uint32_t last_ms)
{
	struct made m = made_new(RECORD_NONE);
	add_segment(&m, (struct record_segment){ .type = RECORD_SEGMENT_END, .frames = frames, .t_last_ms = last_ms }, records, (size_t)(end - records));
	return read_made(&m);
}

static uint8_t buffer[1 << 20];

static void a_chunk_within_its_bounds_is_read(void **state)
{
	uint8_t *p = picture(buffer);
	p = four(head(p, 999, 1, 0, RECORD_FRAME), W - 1, H - 1, 1, 1) + 4;
	p = four(head(p, 999, 1, 0, RECORD_CURSOR_IMAGE), 0, 0, 0, 0);
	p = four(head(p, 999, 1, 0, RECORD_CURSOR_IMAGE), 0, 0, 1, 2) + 8;
	p = head(p, 999, 0, 0, RECORD_CURSOR_POS) + 4;
	assert_int_equal(read_records(buffer, p, 2, 999), 0);
}

static void records_out_of_bounds_are_refused(void **state)
{
	static const struct {
		const char *what;
		uint32_t t;
		uint16_t n;
		uint8_t key, kind;
		unsigned four[4];
	} cases[] = {
		{ "a time that wrapped around", 0xffffff00, 1, 0, RECORD_FRAME, { 0, 0, 1, 1 } },
		{ "a time beyond a chunk", 60000, 1, 0, RECORD_FRAME, { 0, 0, 1, 1 } },
		{ "no rectangles", 1, 0, 0, RECORD_FRAME, { 0, 0, 1, 1 } },
		{ "a rectangle without width", 1, 1, 0, RECORD_FRAME, { 0, 0, 0, 1 } },
		{ "a rectangle without height", 1, 1, 0, RECORD_FRAME, { 0, 0, 1, 0 } },
		{ "a rectangle beyond the right", 1, 1, 0, RECORD_FRAME, { 1, 0, W, 1 } },
		{ "a rectangle beyond the bottom", 1, 1, 0, RECORD_FRAME, { 0, H, 1, 1 } },
		{ "a rectangle whose end wraps around", 1, 1, 0, RECORD_FRAME, { 65535, 0, 2, 1 } },
		{ "a full picture that is not full", 1, 1, 1, RECORD_FRAME, { 0, 0, 1, 1 } },
		{ "a cursor with two images", 1, 2, 0, RECORD_CURSOR_IMAGE, { 0, 0, 1, 1 } },
		{ "a cursor that is too wide", 1, 1, 0, RECORD_CURSOR_IMAGE, { 0, 0, RECORD_CURSOR_MAX + 1, 1 } },
		{ "a cursor that is too high", 1, 1, 0, RECORD_CURSOR_IMAGE, { 0, 0, 1, RECORD_CURSOR_MAX + 1 } },
		{ "a cursor without height", 1, 1, 0, RECORD_CURSOR_IMAGE, { 0, 0, 1, 0 } },
		{ "a full picture of a cursor", 1, 1, 1, RECORD_CURSOR_IMAGE, { 0, 0, 1, 1 } },
		{ "a position with a number", 1, 1, 0, RECORD_CURSOR_POS, { 0 } },
		{ "a gap that begins after everything", 1, 1, 0, RECORD_GAP, { 0, 0, 0, 1 } },
		{ "kind 0", 1, 1, 0, 0, { 0, 0, 1, 1 } },
		{ "kind 5", 1, 1, 0, 5, { 0, 0, 1, 1 } },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t *p = head(picture(buffer), cases[i].t, cases[i].n, cases[i].key, cases[i].kind);
		p = four(p, cases[i].four[0], cases[i].four[1], cases[i].four[2], cases[i].four[3]);
		memset(p, 0, 64);
		if (read_records(buffer, p + 4, 2, 1) != RECORD_BAD_RECORD)
			fail_msg("%s was not refused", cases[i].what);
	}
}

static void an_order_that_cannot_be_is_refused(void **state)
{
	uint8_t *p = four(head(buffer, 0, 1, 0, RECORD_FRAME), 0, 0, W, H) + W * H * 4;
	assert_int_equal(read_records(buffer, p, 1, 0), RECORD_BAD_RECORD); /* does not begin with a full picture */
	p = head(buffer, 0, 0, 0, RECORD_CURSOR_POS) + 4;
	assert_int_equal(read_records(buffer, picture(p), 1, 0), RECORD_BAD_RECORD);
	p = head(picture(buffer), 500, 0, 0, RECORD_CURSOR_POS) + 4;
	p = head(p, 499, 0, 0, RECORD_CURSOR_POS) + 4;
	assert_int_equal(read_records(buffer, p, 1, 500), RECORD_BAD_RECORD); /* time runs backwards */
	p = four(four(head(picture(buffer), 1, 2, 0, RECORD_FRAME), 0, 0, W, H) + W * H * 4, 0, 0, 1, 1) + 4;
	assert_int_equal(read_records(buffer, p, 2, 1), RECORD_BAD_RECORD); /* rectangles larger than the picture */
	p = picture(buffer);
	assert_int_equal(read_records(buffer, p - 1, 1, 0), RECORD_BAD_RECORD); /* ends within a record */
	assert_int_equal(read_records(buffer, head(p, 0, 0, 0, RECORD_CURSOR_POS), 1, 0), RECORD_BAD_RECORD);
}

static void the_number_of_records_is_bounded(void **state)
{
	uint8_t *p = picture(buffer);
	size_t n = 1;
	for (; n <= RECORD_RECORDS_MAX; n++, p += 4)
		p = head(p, 0, 0, 0, RECORD_CURSOR_POS);
	assert_true(p < buffer + sizeof buffer);
	assert_int_equal(read_records(buffer, p - 12, 1, 0), 0);
	assert_int_equal(read_records(buffer, p, 1, 0), RECORD_BAD_RECORD);
}

static void a_segment_header_that_lies_is_refused(void **state)
{
	uint8_t *p = head(picture(buffer), 7, 0, 0, RECORD_CURSOR_POS) + 4;
	assert_int_equal(read_records(buffer, p, 1, 7), 0);
	assert_int_equal(read_records(buffer, p, 2, 7), RECORD_BAD_SEGMENT); /* frames */
	assert_int_equal(read_records(buffer, p, 1, 8), RECORD_BAD_SEGMENT); /* last time */
	static const struct record_segment wrong[] = {
		{ .type = RECORD_SEGMENT_DATA, .frames = 1, .t_last_ms = 7, .t_first_ms = 8 },
		{ .type = RECORD_SEGMENT_DATA, .frames = 1, .t_last_ms = 60000 },
		{ .type = RECORD_SEGMENT_DATA, .frames = 1, .t_last_ms = 1000 }, /* crosses a second */
		{ .type = RECORD_SEGMENT_GAP, .frames = 1, .t_last_ms = 7 },
		{ .type = 0, .frames = 1, .t_last_ms = 7 },
		{ .type = 4, .frames = 1, .t_last_ms = 7 },
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct made m = made_new(RECORD_NONE);
		add_segment(&m, wrong[i], buffer, (size_t)(p - buffer));
		if (read_made(&m) != RECORD_BAD_SEGMENT)
			fail_msg("segment header %zu was not refused", i);
	}
}

static void segments_that_do_not_follow_each_other_are_refused(void **state)
{
	static const struct record_segment first = { .type = RECORD_SEGMENT_DATA, .frames = 1, .activity = 5 };
	static const struct record_segment second[] = {
		{ .type = RECORD_SEGMENT_END, .t_first_ms = 3, .t_last_ms = 3, .activity = 4 }, /* activity decreases */
		{ .type = RECORD_SEGMENT_DATA, .t_first_ms = 3, .t_last_ms = 3, .activity = 5 }, /* without bytes */
		{ .type = RECORD_SEGMENT_END, .t_first_ms = 3, .t_last_ms = 3, .activity = 5 },	 /* a time without a record */
	};
	for (size_t i = 0; i < ARRAY_LEN(second); i++) {
		struct made m = made_new(RECORD_NONE);
		add_segment(&m, first, buffer, (size_t)(picture(buffer) - buffer));
		add_segment(&m, second[i], NULL, 0);
		if (read_made(&m) != RECORD_BAD_SEGMENT)
			fail_msg("second segment %zu was not refused", i);
	}
	struct made m = made_new(RECORD_NONE);
	add_segment(&m, first, buffer, (size_t)(picture(buffer) - buffer));
	m.segments = 3; /* 1 and 2 are left out */
	add_segment(&m, (struct record_segment){ .type = RECORD_SEGMENT_END, .activity = 5 }, NULL, 0);
	assert_int_equal(read_made(&m), RECORD_BAD_SEGMENT);
	m = made_new(RECORD_NONE);
	add_segment(&m, (struct record_segment){ .type = RECORD_SEGMENT_END, .frames = 1 }, buffer, (size_t)(picture(buffer) - buffer));
	add_segment(&m, (struct record_segment){ .type = RECORD_SEGMENT_END }, NULL, 0);
	assert_int_equal(read_made(&m), RECORD_AFTER_END);
}

static void a_segment_that_is_too_long_is_refused_before_it_is_read(void **state)
{
	struct made m = made_new(RECORD_NONE);
	uint8_t bytes[RECORD_SEGMENT_BYTES];
	record_segment_put(bytes, &(struct record_segment){ .length = RECORD_SEGMENT_MAX + 1, .type = RECORD_SEGMENT_DATA, .key = true });
	memcpy(pack_buffer_room(&m.file, sizeof bytes), bytes, sizeof bytes);
	m.file.len += sizeof bytes;
	assert_int_equal(read_made(&m), RECORD_BAD_SEGMENT);
}

static void headers_out_of_bounds_are_refused(void **state)
{
	static const struct record_header good = { .version = RECORD_VERSION, .width = 1, .height = 1 };
	for (int i = 0; i < 11; i++) {
		struct made m = { .header = good };
		m.header.version = i == 0 ? 0 : i == 1 ? 2 : 1;
		m.header.codec = i == 2 ? 3 : 0;
		m.header.flags = i == 3;
		m.header.width = i == 4 ? 0 : i == 5 ? RECORD_SIDE_MAX + 1 : i == 6 ? RECORD_SIDE_MAX : 1;
		m.header.height = i == 6 ? RECORD_AREA_MAX / RECORD_SIDE_MAX + 1 : i == 7 ? 0 : 1;
		m.header.seq = i == 8 ? RECORD_CHUNKS_MAX : 0;
		m.header.t0_ms = i == 9 ? RECORD_TIME_MAX : 0;
		make(&m);
		m.file.data[95] = i == 10;
		assert_int_equal(read_made(&m), RECORD_BAD_HEADER);
	}
}

/* --- compressed streams */

static int read_stream(enum record_codec codec, const uint8_t *data, size_t n)
{
	struct made m = made_new(codec);
	add_segment(&m, (struct record_segment){ .type = RECORD_SEGMENT_END, .frames = 1 }, data, n);
	return read_made(&m);
}

static void streams_that_do_not_end_are_refused(void **state)
{
	for (int codec = RECORD_LZ4; codec <= RECORD_ZSTD; codec++) {
		struct pack_buffer out = { 0 };
		struct packer *p = packer_new((enum record_codec)codec);
		size_t n = (size_t)(picture(buffer) - buffer);
		assert_true(packer_begin(p, 3) && packer_add(p, buffer, n, &out) && packer_flush(p, &out));
		assert_int_equal(read_stream((enum record_codec)codec, out.data, out.len), RECORD_BAD_STREAM); /* no end */
		assert_true(packer_end(p, &out));
		assert_int_equal(read_stream((enum record_codec)codec, out.data, out.len), 0);
		for (size_t i = 0; i < out.len; i++)
			assert_int_not_equal(read_stream((enum record_codec)codec, out.data, i), 0);
		pack_buffer_room(&out, 1)[0] = 0;
		assert_int_equal(read_stream((enum record_codec)codec, out.data, out.len + 1), RECORD_BAD_STREAM); /* bytes after the end */
		packer_free(p);
		free(out.data);
	}
	assert_int_equal(read_stream(RECORD_ZSTD, (const uint8_t *)"\x50\x2a\x4d\x18\x04\x00\x00\x00skip", 12), RECORD_BAD_STREAM); /* a skippable frame */
	assert_int_equal(read_stream(RECORD_LZ4, (const uint8_t *)"\x01\x00\x01\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00", 13), RECORD_BAD_STREAM); /* a block of 65,537 */
	assert_int_equal(read_stream(RECORD_LZ4, (const uint8_t *)"\x01\x00\x00\x00\xff\xff\xff\xff\x00", 9), RECORD_BAD_STREAM);
}

/* A stream that inflates a thousandfold ends at the size of a segment … */
static void a_bomb_is_refused(void **state)
{
	struct pack_buffer out = { 0 };
	struct packer *p = packer_new(RECORD_ZSTD);
	struct made m = { .header = { .version = RECORD_VERSION, .codec = RECORD_ZSTD, .width = 16384, .height = 4096 } };
	uint8_t *q = four(head(buffer, 0, 60000, 0, RECORD_FRAME), 0, 0, 16384, 4096);
	buffer[6] = 1;
	assert_true(packer_begin(p, 1) && packer_add(p, buffer, (size_t)(q - buffer), &out));
	memset(buffer, 0, sizeof buffer);
	for (int i = 0; i < 16000; i++) /* 1 GB */
		assert_true(packer_add(p, buffer, PACK_PIECE, &out));
	assert_true(packer_end(p, &out) && out.len < RECORD_SEGMENT_MAX);
	make(&m);
	add_segment(&m, (struct record_segment){ .type = RECORD_SEGMENT_END }, out.data, out.len);
	assert_int_equal(read_made(&m), RECORD_BAD_STREAM);
	packer_free(p);
	free(out.data);
}

/* … and at the size of a chunk. */
static void a_bomb_of_many_segments_is_refused(void **state)
{
	struct packer *p = packer_new(RECORD_ZSTD);
	struct made m = made_new(RECORD_ZSTD);
	struct pack_buffer out = { 0 };
	assert_true(packer_begin(p, 1) && packer_add(p, buffer, (size_t)(picture(buffer) - buffer), &out));
	for (int i = 0; i < 25; i++) { /* 150 MB */
		uint8_t *q = four(head(buffer, 0, 1, 0, RECORD_CURSOR_IMAGE), 0, 0, 256, 256);
		memset(q, 0, 256 * 256 * 4);
		for (int k = 0; k < 23; k++)
			for (size_t done = 0, n = (size_t)(q - buffer) + 256 * 256 * 4; done < n; done += PACK_PIECE)
				assert_true(packer_add(p, buffer + done, MIN(n - done, (size_t)PACK_PIECE), &out));
		assert_true(packer_flush(p, &out));
		add_segment(&m, (struct record_segment){ .type = RECORD_SEGMENT_DATA, .frames = !i }, out.data, out.len);
		out.len = 0;
	}
	assert_int_equal(read_made(&m), RECORD_BAD_STREAM);
	packer_free(p);
	free(out.data);
}

/* A window larger than browsers accept. */
static void a_larger_window_is_refused(void **state)
{
	/* a frame header with a window of 16 MiB, and an empty last block */
	static const uint8_t large[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 14 << 3, 0x01, 0x00, 0x00 }, fits[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 0x01, 0x00, 0x00 };
	assert_int_equal(read_stream(RECORD_ZSTD, large, sizeof large), RECORD_BAD_STREAM);
	assert_int_equal(read_stream(RECORD_ZSTD, fits, sizeof fits), RECORD_BAD_SEGMENT); /* it inflates, but has no frame */
}

/* --- words and numbers */

static void activity_has_sixteen_levels(void **state)
{
	static const struct {
		uint64_t changed;
		uint8_t level;
	} cases[] = { { 0, 0 }, { 1, 1 }, { 2047, 1 }, { 2048, 2 }, { 4095, 2 }, { 4096, 3 }, { 1 << 19, 10 }, { 1 << 20, 11 }, { (1 << 21) - 1, 11 }, { 1 << 21, 12 }, { 1 << 24, 15 }, { 1ULL << 36, 15 } };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(record_activity_level(cases[i].changed, 1 << 20), cases[i].level);
}

static void entries_are_bytes_and_documents(void **state)
{
	struct record_index_entry e = { .seq = 7, .flags = RECORD_ENTRY_GAP, .width = 1920, .height = 1080, .t0_ms = 123456789, .duration_ms = 59999, .frames = 65536, .bytes = 8 << 20, .raw_bytes = 128 << 20 }, back;
	uint8_t bytes[RECORD_ENTRY_BYTES];
	for (unsigned i = 0; i < sizeof e.activity; i++)
		e.activity[i] = i % 16;
	memset(e.hash, 1, sizeof e.hash);
	memset(e.prev_hash, 2, sizeof e.prev_hash);
	record_entry_put(bytes, &e);
	assert_int_equal(bytes[34], 0x10); /* seconds 0 and 1 */
	assert_true(record_entry_get(&back, bytes));
	assert_memory_equal(&back, &e, sizeof e);
	_cleanup_(doc_unrefp) json_t *doc = record_entry_doc(&e);
	assert_int_equal(strlen(doc_str(doc, "activity", "")), 60);
	assert_true(str_starts(doc_str(doc, "activity", ""), "0123456789abcdef01"));
	memset(&back, 0, sizeof back);
	assert_true(record_entry_from_doc(doc, &back));
	assert_memory_equal(&back, &e, sizeof e);
	doc_set_str(doc, "entry", "00");
	assert_false(record_entry_from_doc(doc, &back));
	static const uint8_t zero[RECORD_ENTRY_BYTES];
	assert_false(record_entry_get(&back, zero));
	e.duration_ms = 1000;
	record_entry_put(bytes, &e);
	assert_false(record_entry_get(&back, bytes)); /* activity after the end */
}

/* Against the definition of RFC 6962, written down as it is there. */
static void slow_root(const uint8_t *entries, size_t n, uint8_t ret[RECORD_HASH_BYTES])
{
	uint8_t text[1 + RECORD_ENTRY_BYTES] = { n > 1 };
	size_t half = 1;
	if (n < 2) {
		memcpy(text + 1, entries, n * RECORD_ENTRY_BYTES);
		EVP_Digest(text, n ? sizeof text : 0, ret, NULL, EVP_sha256(), NULL);
		return;
	}
	while (half * 2 < n)
		half *= 2;
	slow_root(entries, half, text + 1);
	slow_root(entries + half * RECORD_ENTRY_BYTES, n - half, text + 1 + RECORD_HASH_BYTES);
	EVP_Digest(text, 1 + 2 * RECORD_HASH_BYTES, ret, NULL, EVP_sha256(), NULL);
}

static void the_merkle_root_is_that_of_rfc_6962(void **state)
{
	struct record_merkle m = { 0 };
	uint8_t a[RECORD_HASH_BYTES], b[RECORD_HASH_BYTES];
	for (size_t i = 0; i < 70 * RECORD_ENTRY_BYTES; i++)
		buffer[i] = (uint8_t)(i * i >> 3);
	for (size_t n = 0; n < 70; n++) {
		record_merkle_root(&m, a);
		slow_root(buffer, n, b);
		assert_memory_equal(a, b, sizeof a);
		record_merkle_add(&m, buffer + n * RECORD_ENTRY_BYTES);
	}
}

static void words_and_ids(void **state)
{
	uint8_t id[RECORD_ID_BYTES];
	char text[37];
	enum record_codec codec;
	assert_true(record_id_parse("00112233-4455-6677-8899-aabbccddeeff", id));
	assert_true(id[0] == 0 && id[7] == 0x77 && id[15] == 0xff);
	record_id_text(text, id);
	assert_string_equal(text, "00112233-4455-6677-8899-aabbccddeeff");
	assert_false(record_id_parse("00112233-4455-6677-8899-AABBCCDDEEFF", id));
	assert_true(record_codec_from_string("zstd", &codec) && codec == RECORD_ZSTD);
	assert_false(record_codec_from_string("gzip", &codec));
	assert_string_equal(record_gap_to_string((enum record_gap)77), "other");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chunk_within_its_bounds_is_read),
		cmocka_unit_test(records_out_of_bounds_are_refused),
		cmocka_unit_test(an_order_that_cannot_be_is_refused),
		cmocka_unit_test(the_number_of_records_is_bounded),
		cmocka_unit_test(a_segment_header_that_lies_is_refused),
		cmocka_unit_test(segments_that_do_not_follow_each_other_are_refused),
		cmocka_unit_test(a_segment_that_is_too_long_is_refused_before_it_is_read),
		cmocka_unit_test(headers_out_of_bounds_are_refused),
		cmocka_unit_test(streams_that_do_not_end_are_refused),
		cmocka_unit_test(a_bomb_is_refused),
		cmocka_unit_test(a_bomb_of_many_segments_is_refused),
		cmocka_unit_test(a_larger_window_is_refused),
		cmocka_unit_test(activity_has_sixteen_levels),
		cmocka_unit_test(entries_are_bytes_and_documents),
		cmocka_unit_test(the_merkle_root_is_that_of_rfc_6962),
		cmocka_unit_test(words_and_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
