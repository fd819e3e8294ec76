/* record: what the writer wrote is what the reader reads, for every codec and cipher, however the bytes arrive. */
#include "record_rig.h"

static const enum record_codec codecs[] = { RECORD_NONE, RECORD_LZ4, RECORD_ZSTD };
static const enum record_cipher ciphers[] = { RECORD_PLAIN, RECORD_AES256_GCM, RECORD_CHACHA20_POLY1305 };

/* Reads all chunks, compares every picture, and checks the index against them. */
static void expect_all_pictures(struct record_rig *g, size_t piece)
{
	struct rig_player p = { .g = g };
	for (size_t i = 0; i < g->n_entries; i++) {
		const struct record_index_entry *e = &g->entries[i];
		struct record_reader *r = rig_read_chunk(&p, (uint32_t)i, piece);
		const struct record_progress *s = record_reader_progress(r);
		if (!s->complete)
			fail_msg("chunk %zu: %s", i, record_reader_why(r));
		assert_int_equal(e->frames, s->frames);
		assert_int_equal(e->raw_bytes, s->raw);
		assert_int_equal(e->bytes, s->valid);
		assert_int_equal(e->duration_ms, s->last_ms);
		assert_memory_equal(e->activity, s->activity, sizeof e->activity);
		assert_int_equal(!!(e->flags & RECORD_ENTRY_GAP), s->gap);
		assert_memory_equal(record_reader_header(r)->prev_hash, e->prev_hash, RECORD_HASH_BYTES);
		record_reader_free(r);
	}
	assert_int_equal(p.frame, g->n_frames);
	free(p.screen);
}

static void every_codec_and_cipher_gives_the_pictures_back(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++)
		for (size_t j = 0; j < ARRAY_LEN(ciphers); j++) {
			struct record_rig *g = rig_new(codecs[i], ciphers[j]);
			rig_start(g);
			rig_play(g, 60, false);
			rig_play(g, 30, true);
			rig_finish(g);
			expect_all_pictures(g, 1);
			expect_all_pictures(g, 1000);
			expect_all_pictures(g, SIZE_MAX / 2);
			rig_expect(g, false, RECORD_WHOLE);
			rig_expect(g, true, RECORD_WHOLE);
			rig_free(g);
		}
}

/* One segment a step; each inflates to a bounded size. Returns how many bytes there were. */
static size_t count_steps(struct record_rig *g, uint32_t seq)
{
	char name[RECORD_NAME_SIZE];
	size_t len, used, at = 0;
	_cleanup_(xfreep) uint8_t *data = rig_read(g, record_chunk_name(name, seq), &len);
	struct record_reader *r = record_reader_new(&(struct record_reader_args){ .key = g->key, .seq = seq, .records = true });
	for (uint32_t steps = 0; at < len; at += used) {
		uint64_t raw = record_reader_progress(r)->raw;
		assert_int_equal(record_reader_step(r, data + at, len - at, &used), 0);
		assert_int_equal(record_reader_progress(r)->segments, ++steps);
		assert_true(record_reader_progress(r)->raw - raw < RECORD_SEGMENT_RAW && used);
	}
	assert_true(record_reader_progress(r)->segments >= 3);
	record_reader_free(r);
	return at;
}

static void a_large_picture_is_divided_into_segments(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
		struct record_rig *g = rig_new(codecs[i], RECORD_AES256_GCM);
		rig_size(g, 1500, 900);
		rig_start(g);
		assert_int_equal(rig_paint(g, 0, 0, 1500, 900, true), 0);
		assert_int_equal(rig_paint(g, 3, 3, 1490, 890, true), 0);
		rig_wait(g, 100);
		rig_finish(g);
		expect_all_pictures(g, 70000);
		rig_expect(g, true, RECORD_WHOLE);
		assert_int_equal(g->n_entries, 1);
		assert_int_equal(count_steps(g, 0), g->entries[0].bytes);
		rig_free(g);
	}
}

/* Many small rectangles in one frame, which may be cut between them. */
static void a_frame_of_many_rectangles_comes_back(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
		struct record_rig *g = rig_new(codecs[i], RECORD_CHACHA20_POLY1305);
		struct record_rect rects[16 * 16];
		rig_size(g, 1024, 512);
		size_t stride = (size_t)g->width * RIG_PIXEL;
		for (size_t k = 0; k < stride * g->height; k++)
			g->screen[k] = (uint8_t)rig_random(g);
		for (unsigned k = 0; k < ARRAY_LEN(rects); k++) {
			unsigned x = k % 16 * 64, y = k / 16 * 32;
			rects[k] = (struct record_rect){ (uint16_t)x, (uint16_t)y, 64, 32, g->screen + y * stride + x * RIG_PIXEL, stride };
		}
		rig_start(g);
		assert_int_equal(record_writer_frame(g->writer, g->now_us, 1024, 512, true, 0, rects, ARRAY_LEN(rects)), 0);
		rig_remember(g);
		rig_finish(g);
		expect_all_pictures(g, 4096);
		rig_expect(g, true, RECORD_WHOLE);
		assert_int_equal(g->entries[0].activity[0], 0); /* nothing had changed */
		rig_free(g);
	}
}

static void a_chunk_is_closed_by_time_by_size_and_by_resolution(void **state)
{
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	g->args.chunk_ms = 5000;
	rig_start(g);
	assert_int_equal(rig_paint_somewhere(g, false), 0);
	rig_wait(g, 4999);
	assert_int_equal(g->n_entries, 0);
	rig_wait(g, 1);
	assert_int_equal(g->n_entries, 1); /* by time, although nothing happened */
	rig_wait(g, 3600000);
	assert_int_equal(g->n_entries, 1); /* a still screen opens none */
	assert_true(record_writer_next_us(g->writer) == INT64_MAX);
	assert_int_equal(rig_paint_somewhere(g, false), 0);
	rig_size(g, 320, 200);
	assert_true(record_writer_wants_key(g->writer, g->now_us, 320, 200));
	assert_int_equal(rig_paint(g, 0, 0, 320, 200, false), 0);
	assert_int_equal(g->n_entries, 2); /* by size */
	assert_int_equal(g->entries[1].t0_ms, (g->now_us - RIG_START) / 1000);
	while (g->n_entries == 2) /* by bytes */
		assert_int_equal(rig_paint(g, 0, 0, 320, 200, true), 0);
	assert_true(g->entries[2].bytes >= RECORD_CLOSE_FILE && g->entries[2].bytes < RECORD_CLOSE_FILE + (1 << 20));
	while (g->n_entries == 3) /* by bytes before compression */
		assert_int_equal(rig_paint(g, 0, 0, 320, 200, false), 0);
	assert_true(g->entries[3].raw_bytes >= RECORD_CLOSE_RAW && g->entries[3].raw_bytes < RECORD_CLOSE_RAW + 320 * 200 * 4 + 100);
	rig_finish(g);
	expect_all_pictures(g, 65536);
	rig_expect(g, true, RECORD_WHOLE);
	rig_free(g);
}

static void a_chunk_is_closed_by_its_number_of_records(void **state)
{
	struct record_rig *g = rig_new(RECORD_LZ4, RECORD_PLAIN);
	g->args.max_records = 20;
	rig_start(g);
	rig_play(g, 40, false);
	rig_finish(g);
	assert_true(g->n_entries >= 2);
	expect_all_pictures(g, 65536);
	rig_expect(g, true, RECORD_WHOLE);
	rig_free(g);
}

static void times_before_the_chunk_are_clamped(void **state)
{
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	rig_start(g);
	assert_int_equal(rig_paint_somewhere(g, false), 0);
	rig_wait(g, 3000);
	assert_int_equal(rig_paint_somewhere(g, false), 0);
	g->now_us = RIG_START - 1000000; /* before the recording */
	assert_int_equal(rig_paint_somewhere(g, false), 0);
	assert_int_equal(record_writer_close_chunk(g->writer), 0);
	assert_int_equal(rig_paint_somewhere(g, false), 0); /* before the end of the chunk before */
	rig_finish(g);
	assert_int_equal(g->entries[0].duration_ms, 3000);
	assert_int_equal(g->entries[1].t0_ms, 250 + 3000);
	assert_int_equal(g->entries[1].duration_ms, 0);
	expect_all_pictures(g, 65536);
	rig_expect(g, true, RECORD_WHOLE);
	rig_free(g);
}

static void cursor_and_gap_are_repeated_in_each_chunk(void **state)
{
	static const uint8_t argb[4 * 4 * RIG_PIXEL];
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	struct rig_player p = { .g = g };
	rig_start(g);
	assert_int_equal(record_writer_cursor_image(g->writer, g->now_us, &(struct record_cursor){ 1, 1, 4, 4, argb }), 0);
	assert_int_equal(record_writer_cursor_pos(g->writer, g->now_us, 7, 70000), 0);
	assert_int_equal(record_writer_gap(g->writer, g->now_us, RIG_START + 100000, RECORD_GAP_LOST), 0);
	assert_int_equal(record_writer_gap(g->writer, g->now_us, RIG_START + 200000, RECORD_GAP_LOST), 0);
	assert_int_equal(rig_paint_somewhere(g, false), 0);
	assert_int_equal(record_writer_close_chunk(g->writer), 0);
	assert_int_equal(record_writer_cursor_image(g->writer, g->now_us, &(struct record_cursor){ 0 }), 0); /* hidden */
	assert_int_equal(rig_paint_somewhere(g, false), 0);
	assert_int_equal(record_writer_gap(g->writer, g->now_us, g->now_us, RECORD_GAP_DISK), 0);
	rig_finish(g);
	record_reader_free(rig_read_chunk(&p, 0, 7));
	assert_true(p.images == 1 && p.positions == 1 && p.gaps == 1);
	assert_true(p.record.kind == RECORD_CURSOR_POS && p.record.x == 7 && p.record.y == UINT16_MAX);
	assert_int_equal(g->entries[0].flags, RECORD_ENTRY_GAP);
	record_reader_free(rig_read_chunk(&p, 1, 7));
	assert_true(p.images == 2 && p.positions == 2 && p.gaps == 2);
	assert_true(p.record.kind == RECORD_GAP && p.record.reason == RECORD_GAP_DISK && p.record.from_ms == 250);
	rig_expect(g, true, RECORD_WHOLE);
	free(p.screen);
	rig_free(g);
}

static void the_activity_of_each_second_is_in_the_index(void **state)
{
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	rig_size(g, 256, 256);
	rig_start(g);
	g->now_us = RIG_START + 1000000;
	assert_int_equal(rig_paint(g, 0, 0, 1, 1, false), 0); /* second 0: one pixel of 65,536 */
	rig_wait(g, 2000);
	assert_int_equal(rig_paint(g, 0, 0, 128, 256, false), 0); /* second 2: half of the screen, twice */
	assert_int_equal(rig_paint(g, 0, 0, 128, 256, false), 0);
	rig_wait(g, 1000);
	for (int i = 0; i < 40; i++) /* second 3: 40 screens */
		assert_int_equal(rig_paint(g, 0, 0, 256, 256, false), 0);
	rig_finish(g);
	static const uint8_t expected[] = { 1, 0, 11, 15, 0 };
	assert_memory_equal(g->entries[0].activity, expected, sizeof expected);
	rig_free(g);
}

static void wrong_frames_are_refused(void **state)
{
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	struct record_rect whole = { 0, 0, 200, 120, g->screen, 800 }, out = { 1, 0, 200, 120, g->screen, 800 }, none = { 0, 0, 0, 5, g->screen, 800 }, two[2] = { whole, whole };
	rig_start(g);
	assert_int_equal(record_writer_frame(g->writer, g->now_us, 200, 120, false, 0, &whole, 1), -EINVAL); /* the first one must be a full picture */
	assert_int_equal(record_writer_frame(g->writer, g->now_us, 200, 121, true, 0, &whole, 1), -EINVAL);
	assert_int_equal(record_writer_frame(g->writer, g->now_us, 200, 120, true, 0, &out, 1), -EINVAL);
	assert_int_equal(record_writer_frame(g->writer, g->now_us, 200, 120, true, 0, &none, 1), -EINVAL);
	assert_int_equal(record_writer_frame(g->writer, g->now_us, 200, 120, true, 0, two, 2), -EINVAL);
	assert_int_equal(record_writer_frame(g->writer, g->now_us, RECORD_SIDE_MAX + 1, 1, true, 0, &whole, 1), -EINVAL);
	assert_int_equal(record_writer_frame(g->writer, g->now_us, RECORD_SIDE_MAX, RECORD_SIDE_MAX, true, 0, &whole, 1), -EINVAL);
	assert_int_equal(record_writer_frame(g->writer, g->now_us, 200, 120, true, 0, &whole, 0), 0); /* nothing */
	assert_int_equal(record_writer_cursor_image(g->writer, g->now_us, &(struct record_cursor){ 0, 0, 257, 1, g->screen }), -EINVAL);
	assert_int_equal(faccessat(g->fd, "00000000.rck", F_OK, 0), -1);
	assert_int_equal(record_writer_frame(g->writer, g->now_us, 200, 120, true, 0, &whole, 1), 0);
	assert_int_equal(record_writer_frame(g->writer, g->now_us, 200, 120, false, 0, &out, 1), -EINVAL);
	rig_remember(g);
	rig_finish(g);
	expect_all_pictures(g, 65536);
	rig_free(g);
}

static void the_figures_of_the_stages_add_up(void **state)
{
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	rig_start(g);
	rig_play(g, 40, false);
	assert_int_equal(record_writer_close_chunk(g->writer), 0);
	const struct record_figures *f = record_writer_figures(g->writer);
	struct record_written w;
	record_writer_written(g->writer, &w);
	assert_int_equal(w.next_seq, g->n_entries);
	assert_memory_equal(w.head, g->entries[g->n_entries - 1].hash, RECORD_HASH_BYTES);
	uint64_t raw = 0, bytes = 0;
	for (size_t i = 0; i < g->n_entries; i++) {
		raw += g->entries[i].raw_bytes;
		bytes += g->entries[i].bytes;
	}
	assert_int_equal(f[RECORD_STAGE_RECORDING].items, g->n_frames);
	assert_int_equal(f[RECORD_STAGE_COMPRESSION].bytes_in, raw);
	assert_int_equal(f[RECORD_STAGE_COMPRESSION].bytes_out, f[RECORD_STAGE_ENCRYPTION].bytes_in);
	assert_int_equal(f[RECORD_STAGE_STORAGE].bytes_out, bytes);
	assert_true(f[RECORD_STAGE_STORAGE].items > 0 && f[RECORD_STAGE_STORAGE].errors == 0 && f[RECORD_STAGE_STORAGE].last_us > 0);
	rig_free(g);
}

static void levels_change_with_the_next_chunk(void **state)
{
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	rig_start(g);
	for (int level = 0; level < 8; level++) {
		record_writer_set_level(g->writer, level);
		rig_play(g, 10, false);
		assert_int_equal(record_writer_close_chunk(g->writer), 0);
	}
	rig_finish(g);
	expect_all_pictures(g, 65536);
	rig_expect(g, true, RECORD_WHOLE);
	rig_free(g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_codec_and_cipher_gives_the_pictures_back),
		cmocka_unit_test(a_large_picture_is_divided_into_segments),
		cmocka_unit_test(a_frame_of_many_rectangles_comes_back),
		cmocka_unit_test(a_chunk_is_closed_by_time_by_size_and_by_resolution),
		cmocka_unit_test(a_chunk_is_closed_by_its_number_of_records),
		cmocka_unit_test(times_before_the_chunk_are_clamped),
		cmocka_unit_test(cursor_and_gap_are_repeated_in_each_chunk),
		cmocka_unit_test(the_activity_of_each_second_is_in_the_index),
		cmocka_unit_test(wrong_frames_are_refused),
		cmocka_unit_test(the_figures_of_the_stages_add_up),
		cmocka_unit_test(levels_change_with_the_next_chunk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
