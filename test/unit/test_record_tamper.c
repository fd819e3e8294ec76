/* record: verification finds and names every change: flipped bytes, truncation, chunks that were moved, removed or spliced in, seals that were
 * removed or are those of another recording. */
#include "record_rig.h"

static struct record_verdict verdict;

/* A recording of four chunks, one with two segments that are cut within a frame. */
static struct record_rig *recorded(enum record_codec codec, enum record_cipher cipher)
{
	struct record_rig *g = rig_new(codec, cipher);
	g->args.chunk_ms = 5000;
	rig_size(g, 64, 48);
	rig_start(g);
	for (int i = 0; i < 4; i++) {
		rig_play(g, 12, false);
		assert_int_equal(record_writer_close_chunk(g->writer), 0);
		g->now_us += 1000000;
	}
	rig_finish(g);
	assert_int_equal(g->n_entries, 4);
	return g;
}

static bool has_finding(enum record_finding_kind kind, int64_t seq)
{
	for (size_t i = 0; i < verdict.n_kept; i++)
		if (verdict.findings[i].kind == kind && verdict.findings[i].seq == seq)
			return true;
	return false;
}

static void expect_finding(struct record_rig *g, bool with_key, enum record_finding_kind kind, int64_t seq)
{
	rig_verify(g, with_key, &verdict);
	assert_int_equal(verdict.state, RECORD_BROKEN);
	if (!has_finding(kind, seq))
		fail_msg("no finding %s of chunk %d, but %s: %s", record_finding_to_string(kind), (int)seq, record_finding_to_string(verdict.findings[0].kind), verdict.findings[0].text);
}

/* Every byte of the file in turn: with the lowest and the highest bit flipped, the recording is not whole. */
static void flip_all(struct record_rig *g, const char *name, bool with_key, size_t step)
{
	size_t len;
	_cleanup_(xfreep) uint8_t *data = rig_read(g, name, &len);
	for (size_t i = 0; i < len; i += i < 300 ? 1 : step)
		for (int bit = 0; bit < 8; bit += 7) {
			data[i] ^= (uint8_t)(1 << bit);
			rig_write(g, name, data, len);
			rig_verify(g, with_key, &verdict);
			if (verdict.state != RECORD_BROKEN)
				fail_msg("%s: bit %d of byte %zu of %zu: %s", name, bit, i, len, record_state_found_to_string(verdict.state));
			data[i] ^= (uint8_t)(1 << bit);
		}
	rig_write(g, name, data, len);
}

static void every_flipped_byte_is_found(void **state)
{
	static const char *const names[] = { RECORD_MANIFEST, RECORD_SEAL, RECORD_INDEX, "00000000.rck", "00000003.rck" };
	struct record_rig *g = recorded(RECORD_ZSTD, RECORD_AES256_GCM);
	rig_expect(g, false, RECORD_WHOLE);
	rig_expect(g, true, RECORD_WHOLE);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		flip_all(g, names[i], false, 1);
		flip_all(g, names[i], true, 7);
	}
	rig_expect(g, true, RECORD_WHOLE);
	rig_free(g);
}

/* With the key, tags and records tell by themselves, even of a chunk whose hash is not known. */
static void every_flipped_byte_of_a_chunk_is_found_by_its_reader(void **state)
{
	static const enum record_cipher ciphers[] = { RECORD_PLAIN, RECORD_AES256_GCM, RECORD_CHACHA20_POLY1305 };
	for (size_t k = 0; k < ARRAY_LEN(ciphers); k++) {
		struct record_rig *g = recorded(RECORD_LZ4, ciphers[k]);
		size_t len;
		_cleanup_(xfreep) uint8_t *data = rig_read(g, "00000001.rck", &len);
		for (size_t i = 0; i < len; i++) {
			data[i] ^= 0x10;
			struct record_reader_args a = { .key = g->key, .id = g->id, .seq = 1, .records = true };
			struct record_reader *r = record_reader_new(&a);
			int rc = record_reader_feed(r, data, len);
			if (rc == 0 && record_reader_progress(r)->complete)
				fail_msg("byte %zu of %zu", i, len);
			assert_true(rc == 0 || *record_reader_why(r));
			record_reader_free(r);
			data[i] ^= 0x10;
		}
		rig_free(g);
	}
}

static void a_modified_chunk_is_named(void **state)
{
	struct record_rig *g = recorded(RECORD_ZSTD, RECORD_CHACHA20_POLY1305);
	size_t len;
	_cleanup_(xfreep) uint8_t *data = rig_read(g, "00000002.rck", &len);
	data[RECORD_HEADER_BYTES + RECORD_SEGMENT_BYTES + 3] ^= 4; /* ciphertext */
	rig_write(g, "00000002.rck", data, len);
	expect_finding(g, false, RECORD_FOUND_MODIFIED, 2);
	expect_finding(g, true, RECORD_FOUND_MODIFIED, 2);
	assert_non_null(strstr(verdict.findings[0].text, "segment 0 at byte 96: the tag does not match"));
	assert_int_equal(verdict.n_findings, 1);
	rig_free(g);
}

/* Truncated at each boundary of a segment, and one byte to either side. */
static void truncation_is_found_everywhere(void **state)
{
	struct record_rig *g = recorded(RECORD_ZSTD, RECORD_AES256_GCM);
	size_t len, cuts = 0;
	_cleanup_(xfreep) uint8_t *data = rig_read(g, "00000001.rck", &len);
	for (size_t at = 0; at < len; cuts++) {
		for (int d = -1; d <= 1; d++)
			if ((d >= 0 || at) && at + (size_t)d < len) {
				rig_write(g, "00000001.rck", data, at + (size_t)d);
				expect_finding(g, d, RECORD_FOUND_CUT, 1);
				assert_int_equal(verdict.n_findings, 1);
			}
		at = at ? at + RECORD_SEGMENT_BYTES + RECORD_TAG_BYTES + (data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16) : RECORD_HEADER_BYTES;
	}
	assert_true(cuts >= 3);
	data[len] = 7;
	rig_write(g, "00000001.rck", data, len + 1);
	expect_finding(g, false, RECORD_FOUND_MODIFIED, 1);
	assert_non_null(strstr(verdict.findings[0].text, "bytes follow the end of the chunk"));
	rig_write(g, "00000001.rck", data, len);
	size_t index_len;
	_cleanup_(xfreep) uint8_t *index = rig_read(g, RECORD_INDEX, &index_len);
	for (size_t n = 0; n < index_len; n += 16) {
		rig_write(g, RECORD_INDEX, index, n);
		expect_finding(g, false, RECORD_FOUND_SEAL, -1);
		if (n % RECORD_ENTRY_BYTES)
			assert_true(has_finding(RECORD_FOUND_INDEX, -1));
	}
	rig_free(g);
}

static void exchanged_chunks_are_named(void **state)
{
	struct record_rig *g = recorded(RECORD_ZSTD, RECORD_AES256_GCM);
	assert_int_equal(renameat(g->fd, "00000001.rck", g->fd, "x"), 0);
	assert_int_equal(renameat(g->fd, "00000002.rck", g->fd, "00000001.rck"), 0);
	assert_int_equal(renameat(g->fd, "x", g->fd, "00000002.rck"), 0);
	expect_finding(g, false, RECORD_FOUND_SPLICED, 1);
	assert_true(has_finding(RECORD_FOUND_SPLICED, 2));
	assert_int_equal(verdict.n_findings, 2);
	assert_non_null(strstr(verdict.findings[0].text, "it is chunk 2 of this recording"));
	rig_free(g);
}

static void a_chunk_that_is_left_out_is_named(void **state)
{
	struct record_rig *g = recorded(RECORD_ZSTD, RECORD_AES256_GCM);
	size_t len;
	_cleanup_(xfreep) uint8_t *index = rig_read(g, RECORD_INDEX, &len);
	assert_int_equal(unlinkat(g->fd, "00000001.rck", 0), 0);
	expect_finding(g, false, RECORD_FOUND_MISSING, 1);
	assert_int_equal(verdict.n_findings, 1);
	/* also from the index, and what followed it renumbered */
	memmove(index + RECORD_ENTRY_BYTES, index + 2 * RECORD_ENTRY_BYTES, 2 * RECORD_ENTRY_BYTES);
	rig_write(g, RECORD_INDEX, index, 3 * RECORD_ENTRY_BYTES);
	assert_int_equal(renameat(g->fd, "00000002.rck", g->fd, "00000001.rck"), 0);
	assert_int_equal(renameat(g->fd, "00000003.rck", g->fd, "00000002.rck"), 0);
	expect_finding(g, false, RECORD_FOUND_INDEX, 1);
	assert_true(has_finding(RECORD_FOUND_SEAL, -1));
	assert_true(has_finding(RECORD_FOUND_SPLICED, 1));
	assert_true(has_finding(RECORD_FOUND_MISSING, 3));
	rig_free(g);
}

static void copy_file(struct record_rig *from, struct record_rig *to, const char *name)
{
	size_t len;
	_cleanup_(xfreep) uint8_t *data = rig_read(from, name, &len);
	rig_write(to, name, data, len);
}

static void a_chunk_of_another_recording_is_named(void **state)
{
	struct record_rig *g = recorded(RECORD_ZSTD, RECORD_AES256_GCM), *other = recorded(RECORD_ZSTD, RECORD_AES256_GCM);
	copy_file(other, g, "00000002.rck");
	expect_finding(g, false, RECORD_FOUND_SPLICED, 2);
	assert_non_null(strstr(verdict.findings[0].text, other->id_text));
	/* with the id of this one written over */
	size_t len;
	_cleanup_(xfreep) uint8_t *data = rig_read(g, "00000002.rck", &len);
	memcpy(data + 8, g->id, sizeof g->id);
	rig_write(g, "00000002.rck", data, len);
	expect_finding(g, false, RECORD_FOUND_CHAIN, 2);
	assert_true(has_finding(RECORD_FOUND_MODIFIED, 2));
	expect_finding(g, true, RECORD_FOUND_MODIFIED, 2);
	rig_free(g);
	rig_free(other);
}

static void a_seal_of_another_recording_is_named(void **state)
{
	struct record_rig *g = recorded(RECORD_ZSTD, RECORD_AES256_GCM), *other = recorded(RECORD_ZSTD, RECORD_AES256_GCM);
	copy_file(other, g, RECORD_SEAL);
	expect_finding(g, false, RECORD_FOUND_SEAL, -1);
	assert_non_null(strstr(verdict.findings[0].text, other->id_text));
	copy_file(other, g, RECORD_MANIFEST);
	expect_finding(g, false, RECORD_FOUND_SPLICED, 0); /* now the chunks are the wrong ones */
	copy_file(other, g, RECORD_INDEX);
	for (unsigned i = 0; i < 4; i++) {
		char name[RECORD_NAME_SIZE];
		copy_file(other, g, record_chunk_name(name, i));
	}
	rig_expect(g, false, RECORD_WHOLE); /* all of the other one */
	struct record_check_args a = { .id = g->id };
	record_verify_dir(g->fd, &a, NULL, NULL, &verdict);
	assert_int_equal(verdict.state, RECORD_BROKEN);
	assert_true(has_finding(RECORD_FOUND_MANIFEST, -1));
	rig_free(g);
	rig_free(other);
}

/* The seal removed, and the end cut off: only what was kept elsewhere tells. */
static void a_recording_cut_short_without_its_seal_is_not_whole(void **state)
{
	struct record_rig *g = recorded(RECORD_ZSTD, RECORD_AES256_GCM);
	size_t len;
	assert_int_equal(unlinkat(g->fd, RECORD_SEAL, 0), 0);
	rig_expect(g, true, RECORD_UNSEALED);
	struct record_check_args a = { .head_hash = g->entries[3].hash, .head_seq = 3 };
	record_verify_dir(g->fd, &a, NULL, NULL, &verdict);
	assert_int_equal(verdict.state, RECORD_UNSEALED);
	_cleanup_(xfreep) uint8_t *index = rig_read(g, RECORD_INDEX, &len);
	rig_write(g, RECORD_INDEX, index, 3 * RECORD_ENTRY_BYTES);
	unlinkat(g->fd, "00000003.rck", 0);
	rig_expect(g, true, RECORD_UNSEALED);
	record_verify_dir(g->fd, &a, NULL, NULL, &verdict);
	assert_int_equal(verdict.state, RECORD_BROKEN);
	assert_true(has_finding(RECORD_FOUND_HEAD, 3));
	a.head_seq = 2;
	record_verify_dir(g->fd, &a, NULL, NULL, &verdict);
	assert_true(has_finding(RECORD_FOUND_HEAD, 2));
	rig_free(g);
}

/* In a running recording, one chunk beyond the index is being written; a second one is not. */
static void chunks_beyond_the_index_are_named(void **state)
{
	struct record_rig *g = recorded(RECORD_ZSTD, RECORD_AES256_GCM);
	size_t len, data_len;
	_cleanup_(xfreep) uint8_t *data = rig_read(g, "00000003.rck", &data_len), *index = rig_read(g, RECORD_INDEX, &len);
	rig_write(g, "00000004.rck", "RCK1", 4);
	expect_finding(g, false, RECORD_FOUND_EXTRA, 4);
	unlinkat(g->fd, RECORD_SEAL, 0);
	rig_expect(g, false, RECORD_UNSEALED);
	rig_write(g, "00000005.rck", "RCK1", 4);
	expect_finding(g, false, RECORD_FOUND_EXTRA, 5);
	unlinkat(g->fd, "00000004.rck", 0);
	unlinkat(g->fd, "00000005.rck", 0);
	rig_write(g, RECORD_INDEX, index, 3 * RECORD_ENTRY_BYTES); /* chunk 3 is now the one that is being written */
	rig_expect(g, true, RECORD_UNSEALED);
	data[150] ^= 1;
	rig_write(g, "00000003.rck", data, data_len - 1);
	expect_finding(g, true, RECORD_FOUND_MODIFIED, 3);
	rig_free(g);
}

static void the_signer_and_the_key_are_checked(void **state)
{
	struct record_rig *g = recorded(RECORD_ZSTD, RECORD_AES256_GCM);
	struct record_master masters[2];
	assert_true(record_master_init(&masters[0], RIG_MASTER "!", strlen(RIG_MASTER) + 1));
	struct record_check_args a = { .masters = masters, .n_masters = 1 };
	record_verify_dir(g->fd, &a, NULL, NULL, &verdict);
	assert_true(has_finding(RECORD_FOUND_SIGNER, -1) && has_finding(RECORD_FOUND_KEY, -1) && !verdict.signer_known && !verdict.decrypted);
	/* with the previous key, too */
	masters[1] = g->master;
	a.n_masters = 2;
	record_verify_dir(g->fd, &a, NULL, NULL, &verdict);
	assert_true(verdict.state == RECORD_WHOLE && verdict.signer_known && verdict.decrypted);
	struct record_check_args by_key = { .public_keys = &g->master.public_key, .n_public_keys = 1 };
	record_verify_dir(g->fd, &by_key, NULL, NULL, &verdict);
	assert_true(verdict.state == RECORD_WHOLE && verdict.signer_known && !verdict.decrypted);
	by_key.public_keys = &masters[0].public_key;
	record_verify_dir(g->fd, &by_key, NULL, NULL, &verdict);
	assert_true(verdict.state == RECORD_BROKEN && has_finding(RECORD_FOUND_SIGNER, -1));
	rig_free(g);
}

/* MASTER_KEY changes: the manifest is written again; seal and chunks stay. */
static void a_recording_with_a_rewrapped_key_stays_whole(void **state)
{
	struct record_rig *g = recorded(RECORD_ZSTD, RECORD_AES256_GCM);
	struct record_master masters[2];
	struct record_manifest m = { 0 };
	struct record_wrapped w;
	uint8_t key[RECORD_KEY_BYTES];
	char why[RECORD_WHY_SIZE];
	size_t len;
	assert_true(record_master_init(&masters[0], RIG_MASTER "-next", strlen(RIG_MASTER) + 5));
	masters[1] = g->master;
	_cleanup_(xfreep) uint8_t *text = rig_read(g, RECORD_MANIFEST, &len);
	assert_true(record_manifest_parse((char *)text, len, &m, why));
	assert_int_equal(record_key_unwrap(&masters[0], m.id, &m.key, key), RECORD_OTHER_MASTER);
	assert_int_equal(record_key_unwrap(&masters[1], m.id, &m.key, key), RECORD_UNWRAPPED);
	assert_memory_equal(key, g->key, sizeof key);
	record_key_wrap(&masters[0], m.id, key, &w);
	_cleanup_(xfreep) char *next = record_manifest_text(m.recording, &w, &masters[0]);
	rig_write(g, RECORD_MANIFEST, next, strlen(next));
	struct record_check_args a = { .masters = masters, .n_masters = 2 };
	record_verify_dir(g->fd, &a, NULL, NULL, &verdict);
	assert_true(verdict.state == RECORD_WHOLE && verdict.decrypted && verdict.signer_known);
	rig_expect(g, false, RECORD_WHOLE);
	/* a wrapped key is bound to its recording */
	m.id[3] ^= 1;
	assert_int_equal(record_key_unwrap(&masters[0], m.id, &w, key), RECORD_KEY_MODIFIED);
	m.id[3] ^= 1;
	for (size_t i = 0; i < sizeof w.data; i++) {
		w.data[i] ^= 0x80;
		assert_int_equal(record_key_unwrap(&masters[0], m.id, &w, key), RECORD_KEY_MODIFIED);
		w.data[i] ^= 0x80;
	}
	record_manifest_done(&m);
	rig_free(g);
}

static void what_is_not_a_recording_is_unreadable(void **state)
{
	struct record_rig *g = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	rig_expect(g, false, RECORD_UNREADABLE);
	rig_manifest(g);
	rig_expect(g, true, RECORD_UNSEALED); /* nothing was recorded yet */
	rig_write(g, RECORD_INDEX, "", 0);
	rig_seal(g);
	rig_expect(g, true, RECORD_WHOLE); /* and nothing will be */
	assert_int_equal(unlinkat(g->fd, RECORD_SEAL, 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", g->fd, RECORD_SEAL), 0);
	rig_expect(g, true, RECORD_UNREADABLE);
	assert_int_equal(unlinkat(g->fd, RECORD_SEAL, 0), 0);
	assert_int_equal(mkfifoat(g->fd, RECORD_SEAL, 0600), 0);
	rig_expect(g, true, RECORD_UNREADABLE);
	rig_free(g);
	g = recorded(RECORD_ZSTD, RECORD_AES256_GCM);
	assert_int_equal(unlinkat(g->fd, RECORD_MANIFEST, 0), 0);
	expect_finding(g, false, RECORD_FOUND_MANIFEST, -1);
	assert_int_equal(unlinkat(g->fd, RECORD_INDEX, 0), 0);
	rig_expect(g, false, RECORD_UNREADABLE);
	rig_manifest(g);
	expect_finding(g, false, RECORD_FOUND_SEAL, -1); /* it covers four chunks */
	rig_free(g);
}

/* A plausible index entry with one wrong figure, of a recording without a seal: the chunk tells. */
static void wrong_figures_in_the_index_are_found_without_a_seal(void **state)
{
	struct record_rig *g = recorded(RECORD_ZSTD, RECORD_AES256_GCM);
	size_t len;
	_cleanup_(xfreep) uint8_t *index = rig_read(g, RECORD_INDEX, &len);
	assert_int_equal(unlinkat(g->fd, RECORD_SEAL, 0), 0);
	struct record_index_entry good;
	assert_true(record_entry_get(&good, index + RECORD_ENTRY_BYTES));
	for (int i = 0; i < 9; i++) {
		struct record_index_entry e = good;
		e.frames += i == 0;
		e.duration_ms -= i == 1;
		e.t0_ms += i == 2;
		e.bytes += i == 3;
		e.width += i == 4;
		e.height += i == 5;
		e.activity[0] ^= i == 6;
		e.flags ^= i == 7 ? RECORD_ENTRY_GAP : i == 8 ? RECORD_ENTRY_TORN : 0;
		record_entry_put(index + RECORD_ENTRY_BYTES, &e);
		rig_write(g, RECORD_INDEX, index, len);
		expect_finding(g, false, RECORD_FOUND_INDEX, 1);
	}
	for (int with_key = 0; with_key < 2; with_key++) { /* a wrong SHA-256: with the key, it is clear which of the two is wrong */
		struct record_index_entry e = good;
		e.hash[5] ^= 1;
		record_entry_put(index + RECORD_ENTRY_BYTES, &e);
		rig_write(g, RECORD_INDEX, index, len);
		expect_finding(g, with_key, with_key ? RECORD_FOUND_INDEX : RECORD_FOUND_MODIFIED, 1);
		assert_true(has_finding(RECORD_FOUND_CHAIN, 2));
	}
	good.raw_bytes++;
	record_entry_put(index + RECORD_ENTRY_BYTES, &good);
	rig_write(g, RECORD_INDEX, index, len);
	expect_finding(g, true, RECORD_FOUND_INDEX, 1);
	rig_free(g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flipped_byte_is_found),
		cmocka_unit_test(every_flipped_byte_of_a_chunk_is_found_by_its_reader),
		cmocka_unit_test(a_modified_chunk_is_named),
		cmocka_unit_test(truncation_is_found_everywhere),
		cmocka_unit_test(exchanged_chunks_are_named),
		cmocka_unit_test(a_chunk_that_is_left_out_is_named),
		cmocka_unit_test(a_chunk_of_another_recording_is_named),
		cmocka_unit_test(a_seal_of_another_recording_is_named),
		cmocka_unit_test(a_recording_cut_short_without_its_seal_is_not_whole),
		cmocka_unit_test(chunks_beyond_the_index_are_named),
		cmocka_unit_test(the_signer_and_the_key_are_checked),
		cmocka_unit_test(a_recording_with_a_rewrapped_key_stays_whole),
		cmocka_unit_test(what_is_not_a_recording_is_unreadable),
		cmocka_unit_test(wrong_figures_in_the_index_are_found_without_a_seal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
