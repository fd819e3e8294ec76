/* record: after the recorder died at any point, the directory is made consistent, nothing that was whole is lost, and the recording continues. */
#include "record_rig.h"

#include <sys/wait.h>

static struct record_recovered recovered;
static char why[RECORD_WHY_SIZE];

static void recover(struct record_rig *g, int expected)
{
	int rc = record_recover(g->fd, g->id, rig_on_chunk, g, &recovered, why);
	if (rc != expected)
		fail_msg("%d (%s), expected %d", rc, why, expected);
}

/* As when the process is killed: nothing is closed. */
static void die(struct record_rig *g)
{
	record_writer_free(TAKE_PTR(g->writer));
}

static void go_on(struct record_rig *g)
{
	g->args.first_seq = recovered.next_seq;
	memcpy(g->args.prev_hash, recovered.prev_hash, sizeof recovered.prev_hash);
	rig_start(g);
}

/* Frames of all chunks that can be read, compared with the pictures from `first` on. */
static size_t play_torn(struct record_rig *g, uint32_t seq, size_t first)
{
	struct rig_player p = { .g = g, .frame = first };
	struct record_reader *r = rig_read_chunk(&p, seq, 100);
	size_t frames = record_reader_progress(r)->frames;
	assert_false(record_reader_progress(r)->complete);
	rig_frame_done(&p);
	assert_int_equal(p.frame - first, frames);
	record_reader_free(r);
	free(p.screen);
	return frames;
}

/* Writes the fault file, which is read again after 20 ms. */
static void order_faults(const char *lines)
{
	FILE *f = fopen(getenv("LUCID_FAULTS"), "w");
	assert_non_null(f);
	fputs(lines, f);
	fclose(f);
	usleep(50000);
}

/* The first test, because a library stays loaded: a child, which has it, writes the recording. */
static void without_the_library_of_a_codec_hashes_are_checked(void **state)
{
	static struct record_verdict v;
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	struct rig_player p = { .g = g };
	int status;
	size_t len;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		rig_start(g);
		rig_play(g, 9, false);
		rig_finish(g);
		_exit(0);
	}
	assert_true(waitpid(pid, &status, 0) == pid && status == 0);
	order_faults("libzstd.so.1 always\n");
	assert_false(record_codec_load(RECORD_ZSTD, why, sizeof why));
	assert_string_equal(why, "libzstd.so.1 cannot be loaded; install the package libzstd1");
	assert_int_equal(record_writer_new(&g->args, &g->writer), -ENOSYS);
	struct record_reader *r = rig_read_chunk(&p, 0, 1000);
	assert_int_equal(record_reader_feed(r, "", 0), RECORD_NO_CODEC);
	assert_string_equal(record_reader_why(r), "the library for zstd is not installed");
	record_reader_free(r);
	rig_verify(g, true, &v);
	assert_true(v.state == RECORD_WHOLE && !v.decrypted && v.signer_known);
	_cleanup_(xfreep) uint8_t *data = rig_read(g, "00000000.rck", &len);
	data[200] ^= 1;
	rig_write(g, "00000000.rck", data, len);
	rig_verify(g, true, &v);
	assert_true(v.state == RECORD_BROKEN && v.findings[0].kind == RECORD_FOUND_MODIFIED);
	order_faults("");
	assert_true(record_codec_load(RECORD_ZSTD, why, sizeof why)); /* once it is installed */
	free(p.screen);
	rig_free(g);
}

static void a_torn_chunk_gets_an_entry_and_the_recording_continues(void **state)
{
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	rig_start(g);
	rig_play(g, 20, false);
	assert_int_equal(record_writer_close_chunk(g->writer), 0);
	size_t whole = g->n_frames, left;
	rig_play(g, 20, false);
	int64_t end_ms = (g->now_us - RIG_START) / 1000;
	die(g);
	rig_manifest(g);
	rig_expect(g, true, RECORD_UNSEALED); /* before it is recovered, too */
	recover(g, 0);
	assert_true(recovered.next_seq == 2 && recovered.added == 1 && recovered.torn == 1);
	assert_int_equal(g->n_entries, 2);
	assert_int_equal(g->entries[1].flags & ~RECORD_ENTRY_GAP, RECORD_ENTRY_TORN | RECORD_ENTRY_REBUILT);
	left = play_torn(g, 1, whole);
	assert_int_equal(left, g->entries[1].frames);
	assert_true(left < 20 && end_ms - (int64_t)recovered.end_ms <= 1000 + 200); /* a second, and the time since the last frame */
	recover(g, 0);
	assert_true(recovered.next_seq == 2 && !recovered.added); /* again: nothing to do */
	go_on(g);
	assert_int_equal(record_writer_gap(g->writer, g->now_us, RIG_START + (int64_t)recovered.end_ms * 1000, RECORD_GAP_RESTART), 0);
	rig_play(g, 5, false);
	rig_finish(g);
	rig_expect(g, false, RECORD_WHOLE);
	rig_expect(g, true, RECORD_WHOLE);
	assert_int_equal(g->entries[2].flags, RECORD_ENTRY_GAP);
	rig_free(g);
}

/* The file of the last chunk ends after each number of bytes. */
static void it_may_die_after_any_byte(void **state)
{
	static const enum record_codec codecs[] = { RECORD_NONE, RECORD_LZ4, RECORD_ZSTD };
	for (size_t k = 0; k < ARRAY_LEN(codecs); k++) {
		struct record_rig *g = rig_new(codecs[k], k ? RECORD_CHACHA20_POLY1305 : RECORD_PLAIN);
		rig_size(g, 24, 20);
		rig_start(g);
		rig_play(g, 8, false);
		assert_int_equal(record_writer_close_chunk(g->writer), 0);
		size_t whole = g->n_frames, len, index_len;
		rig_play(g, 25, false);
		die(g);
		rig_manifest(g);
		_cleanup_(xfreep) uint8_t *data = rig_read(g, "00000001.rck", &len), *index = rig_read(g, RECORD_INDEX, &index_len);
		size_t frames = 0;
		for (size_t n = 0; n <= len; n += len > 8000 ? 37 : 1) {
			rig_write(g, "00000001.rck", data, n);
			rig_write(g, RECORD_INDEX, index, index_len);
			g->n_entries = 1;
			recover(g, 0);
			const struct record_index_entry *e = &g->entries[1];
			assert_true(recovered.torn == 1 && e->bytes == n && e->frames >= frames && !e->width == (n < RECORD_HEADER_BYTES));
			frames = e->frames;
			rig_expect(g, false, RECORD_UNSEALED);
			rig_expect(g, true, RECORD_UNSEALED);
			if (n % 16 == 0)
				assert_int_equal(play_torn(g, 1, whole), frames);
		}
		assert_true(frames > 10);
		go_on(g);
		rig_play(g, 3, false);
		rig_finish(g);
		rig_expect(g, true, RECORD_WHOLE);
		rig_free(g);
	}
}

static void it_may_die_between_chunk_and_index(void **state)
{
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	size_t len;
	rig_start(g);
	for (int i = 0; i < 3; i++) {
		rig_play(g, 9, false);
		assert_int_equal(record_writer_close_chunk(g->writer), 0);
	}
	die(g);
	rig_manifest(g);
	_cleanup_(xfreep) uint8_t *index = rig_read(g, RECORD_INDEX, &len);
	for (size_t n = 0; n <= len; n += 8) { /* in the middle of an entry, too */
		struct record_index_entry before[3];
		memcpy(before, g->entries, sizeof before);
		rig_write(g, RECORD_INDEX, index, n);
		g->n_entries = n / RECORD_ENTRY_BYTES;
		recover(g, 0);
		assert_true(recovered.next_seq == 3 && !recovered.torn && recovered.added == 3 - n / RECORD_ENTRY_BYTES);
		for (size_t i = 0; i < 3; i++) {
			assert_memory_equal(g->entries[i].hash, before[i].hash, RECORD_HASH_BYTES);
			assert_memory_equal(g->entries[i].activity, before[i].activity, RECORD_SECONDS);
			assert_int_equal(g->entries[i].frames, before[i].frames);
		}
		rig_expect(g, true, RECORD_UNSEALED);
	}
	/* zeros that a power failure left at the end */
	uint8_t *zeros = xcalloc(1, len);
	memcpy(zeros, index, RECORD_ENTRY_BYTES);
	rig_write(g, RECORD_INDEX, zeros, len);
	free(zeros);
	g->n_entries = 1;
	recover(g, 0);
	assert_int_equal(recovered.added, 2);
	go_on(g);
	rig_play(g, 3, false);
	rig_finish(g);
	rig_expect(g, true, RECORD_WHOLE);
	rig_free(g);
}

/* After a power failure the end of a chunk may have its length, but not its bytes. */
static void zeros_at_the_end_of_a_chunk_are_no_segments(void **state)
{
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	size_t len, whole;
	rig_start(g);
	rig_play(g, 30, false);
	die(g);
	rig_manifest(g);
	_cleanup_(xfreep) uint8_t *data = rig_read(g, "00000000.rck", &len);
	whole = len / 2;
	memset(data + whole, 0, len - whole);
	rig_write(g, "00000000.rck", data, len);
	recover(g, 0);
	assert_true(recovered.torn == 1 && g->entries[0].frames > 0 && g->entries[0].frames < 30);
	rig_expect(g, false, RECORD_UNSEALED);
	rig_expect(g, true, RECORD_UNSEALED);
	go_on(g);
	rig_play(g, 3, false);
	rig_finish(g);
	rig_expect(g, true, RECORD_WHOLE);
	rig_free(g);
}

static void two_writers_never_share_a_directory(void **state)
{
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	struct record_writer *other = NULL;
	rig_start(g);
	rig_play(g, 5, false);
	assert_int_equal(record_writer_new(&g->args, &other), -EWOULDBLOCK);
	recover(g, -EWOULDBLOCK);
	assert_int_equal(record_writer_close_chunk(g->writer), 0);
	die(g);
	assert_int_equal(record_writer_new(&g->args, &other), -EBADMSG); /* it does not continue what is there */
	recover(g, 0);
	g->args.first_seq = recovered.next_seq;
	assert_int_equal(record_writer_new(&g->args, &other), -EBADMSG);
	go_on(g);
	rig_play(g, 5, false);
	rig_finish(g);
	rig_expect(g, true, RECORD_WHOLE);
	rig_free(g);
}

static void what_is_not_of_this_recording_is_refused(void **state)
{
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	uint8_t id[RECORD_ID_BYTES] = { 1 };
	size_t len;
	rig_start(g);
	rig_play(g, 20, false);
	die(g);
	assert_int_equal(record_recover(g->fd, id, NULL, NULL, &recovered, why), -EBADMSG);
	assert_non_null(strstr(why, g->id_text));
	recover(g, 0);
	_cleanup_(xfreep) uint8_t *index = rig_read(g, RECORD_INDEX, &len);
	index[4] = 0xff;
	rig_write(g, RECORD_INDEX, index, len);
	recover(g, -EBADMSG);
	index[4] = RECORD_ENTRY_TORN | RECORD_ENTRY_REBUILT;
	rig_write(g, RECORD_INDEX, index, len);
	assert_int_equal(unlinkat(g->fd, "00000000.rck", 0), 0);
	recover(g, -EBADMSG);
	rig_write(g, RECORD_INDEX, "", 0);
	rig_write(g, "00000003.rck", "", 0); /* a hole */
	recover(g, -ENOENT);
	assert_int_equal(symlinkat("/etc/passwd", g->fd, "00000000.rck"), 0);
	recover(g, -ELOOP);
	rig_free(g);
}

static void a_full_disk_ends_the_chunk_and_the_recording_continues_later(void **state)
{
	static const char *const faults[] = { "record.write always\n", "record.sync always\n", "record.write after 3\n", "record.write once\n", "record.sync once\n" };
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
		rig_start(g);
		rig_play(g, 15, false);
		order_faults(faults[i]);
		int rc = 0;
		for (int k = 0; k < 200 && rc == 0; k++) {
			rc = rig_paint_somewhere(g, false);
			g->now_us += 100000;
			if (rc == 0)
				rc = record_writer_tick(g->writer, g->now_us);
		}
		if (rc != -ENOSPC && rc != -EIO)
			fail_msg("%s: %d", faults[i], rc);
		assert_int_equal(rig_paint_somewhere(g, false), rc); /* it stays that way */
		assert_int_equal(record_writer_close_chunk(g->writer), rc);
		assert_true(record_writer_next_us(g->writer) == INT64_MAX);
		assert_int_equal(record_writer_figures(g->writer)[RECORD_STAGE_STORAGE].errors, 1);
		die(g);
		order_faults("");
		rig_manifest(g);
		rig_expect(g, true, RECORD_UNSEALED);
		recover(g, 0);
		go_on(g);
		rig_play(g, 5, false);
		rig_finish(g);
		rig_expect(g, true, RECORD_WHOLE);
		rig_free(g);
	}
}

/* The name of the fault file is read before main. */
static void begin_with_faults(char **argv)
{
	char path[64];
	snprintf(path, sizeof path, "/tmp/lrdp-faults-%d", (int)getpid());
	if (getenv("LUCID_FAULTS"))
		return;
	setenv("LUCID_FAULTS", path, 1);
	execv("/proc/self/exe", argv);
	abort();
}

int main(int argc, char **argv)
{
	begin_with_faults(argv);
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_the_library_of_a_codec_hashes_are_checked),
		cmocka_unit_test(a_torn_chunk_gets_an_entry_and_the_recording_continues),
		cmocka_unit_test(it_may_die_after_any_byte),
		cmocka_unit_test(it_may_die_between_chunk_and_index),
		cmocka_unit_test(zeros_at_the_end_of_a_chunk_are_no_segments),
		cmocka_unit_test(two_writers_never_share_a_directory),
		cmocka_unit_test(what_is_not_of_this_recording_is_refused),
		cmocka_unit_test(a_full_disk_ends_the_chunk_and_the_recording_continues_later),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(getenv("LUCID_FAULTS"));
	return rc;
}
