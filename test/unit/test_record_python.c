/* record: a reader that was written from docs/recording-format.md alone (test/lib/rck_reader.py) sees the pictures that were written. */
#include "record_rig.h"

#include "lucid/doc.h"

/* What it printed. */
struct foreign {
	size_t frames, images, positions, gaps, lines;
	int status;
};

static json_t *parse_line(const char *line)
{
	json_t *doc = doc_parse(line, strcspn(line, "\n"), NULL, 0);
	assert_non_null(doc);
	return doc;
}

/* Runs the reader, which says on stderr what it refuses; every frame must be the one that was painted, from `lost` on those after a torn chunk. */
static struct foreign read_with_python(struct record_rig *g, size_t torn_at, size_t lost)
{
	struct foreign f = { 0 };
	char line[4096];
	_cleanup_(xfreep) char *command = xasprintf("/usr/bin/python3 test/lib/rck_reader.py %s %s/master 2>%s/refused", g->dir, g->dir, g->dir);
	rig_write(g, "master", RIG_MASTER "\n", strlen(RIG_MASTER) + 1);
	FILE *out = popen(command, "r");
	assert_non_null(out);
	for (; fgets(line, sizeof line, out); f.lines++) {
		_cleanup_(doc_unrefp) json_t *doc = parse_line(line);
		const char *kind = doc_str(doc, "kind", "");
		f.images += str_eq(kind, "cursor_image");
		f.positions += str_eq(kind, "cursor_pos");
		f.gaps += str_eq(kind, "gap");
		if (!str_eq(kind, "frame"))
			continue;
		char hex[17] = "";
		size_t n = f.frames++;
		str_hex(hex, &g->frames[n < torn_at ? n : n + lost], 8);
		if (strncmp(doc_str(doc, "picture", ""), hex, 16) != 0)
			fail_msg("frame %zu differs: %s", n, line);
	}
	f.status = pclose(out);
	return f;
}

static void it_sees_the_same_pictures(void **state)
{
	for (int codec = RECORD_NONE; codec <= RECORD_ZSTD; codec++)
		for (int cipher = RECORD_PLAIN; cipher <= RECORD_CHACHA20_POLY1305; cipher++) {
			struct record_rig *g = rig_new((enum record_codec)codec, (enum record_cipher)cipher);
			rig_start(g);
			rig_play(g, 40, true);
			assert_int_equal(record_writer_close_chunk(g->writer), 0);
			rig_size(g, 333, 77);
			rig_play(g, 20, false);
			rig_finish(g);
			struct foreign f = read_with_python(g, SIZE_MAX, 0);
			assert_int_equal(f.status, 0);
			assert_int_equal(f.frames, g->n_frames);
			assert_true(f.images > 8 && f.positions > 12 && f.gaps >= 3);
			rig_free(g);
		}
}

static void it_reads_what_is_whole_of_a_torn_chunk(void **state)
{
	struct record_recovered recovered;
	char why[RECORD_WHY_SIZE];
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	rig_start(g);
	rig_play(g, 30, false);
	record_writer_free(TAKE_PTR(g->writer));
	assert_int_equal(record_recover(g->fd, g->id, rig_on_chunk, g, &recovered, why), 0);
	size_t all = g->n_frames, left = g->entries[0].frames;
	g->args.first_seq = recovered.next_seq;
	memcpy(g->args.prev_hash, recovered.prev_hash, sizeof recovered.prev_hash);
	rig_start(g);
	for (int i = 0; i < 5; i++) { /* an odd number of leaves, and more than one level */
		rig_play(g, 5, false);
		assert_int_equal(record_writer_close_chunk(g->writer), 0);
	}
	rig_play(g, 3, false);
	rig_finish(g);
	assert_int_equal(g->n_entries, 7);
	struct foreign f = read_with_python(g, left, all - left);
	assert_int_equal(f.status, 0);
	assert_int_equal(f.frames, g->n_frames - (all - left));
	rig_free(g);
}

static void it_refuses_what_was_modified(void **state)
{
	static const char *const names[] = { RECORD_MANIFEST, RECORD_SEAL, RECORD_INDEX, "00000000.rck" };
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	rig_start(g);
	rig_play(g, 5, false);
	rig_finish(g);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t len;
		_cleanup_(xfreep) uint8_t *data = rig_read(g, names[i], &len);
		data[len / 2] ^= 1;
		rig_write(g, names[i], data, len);
		assert_int_not_equal(read_with_python(g, SIZE_MAX, 0).status, 0);
		data[len / 2] ^= 1;
		rig_write(g, names[i], data, len);
	}
	assert_int_equal(read_with_python(g, SIZE_MAX, 0).status, 0);
	rig_free(g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_sees_the_same_pictures),
		cmocka_unit_test(it_reads_what_is_whole_of_a_torn_chunk),
		cmocka_unit_test(it_refuses_what_was_modified),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
