/* Recordings of a session controller: start, chunks, contents, stop, seal, check, deletion; with a host that keeps real files. */
#include "recordings_rig.h"

static struct recording *only(struct rig *t)
{
	struct map_pos pos = { 0 };
	return (struct recording *)objects_next(rig_recordings(t)->objects, &pos);
}

static void begin(struct rig *t, const char *session)
{
	struct answer a = { 0 };
	recordings_call(t, &a, &anna, "sessions.recording.start", session, NULL, NULL, "{}");
	if (a.err)
		fail_msg("start: %s %s", a.message, a.details);
	assert_int_equal(a.status, 201);
	json_decref(a.doc);
}

/* n closed chunks of 5 s, and one that is being written. */
static void record_chunks(struct rig *t, int n)
{
	for (int i = 0; i < n; i++) {
		host_picture(2000, (uint8_t)(20 + i));
		host_picture(3500, (uint8_t)(60 + i));
	}
	RIG_UNTIL(t, only(t)->chunks >= n);
}

static void end(struct rig *t, const char *session)
{
	struct answer a = { 0 };
	recordings_call(t, &a, &anna, "sessions.recording.stop", session, NULL, NULL, NULL);
	if (a.err)
		fail_msg("stop: %s", a.message);
	json_decref(a.doc);
	RIG_UNTIL(t, only(t)->sealed && !only(t)->settling);
}

static void check(struct rig *t, const char *session, struct answer *a)
{
	recordings_call(t, a, &anna, "sessions.recording.verify", session, NULL, NULL, NULL);
	if (a->err)
		fail_msg("verify: %s", a->message);
}

/* --- tests */

static void test_life(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char session[SESSION_ID_SIZE];
	recordings_open(&t, NULL, session);
	recordings_call(&t, &a, &anna, "sessions.recording.get", session, NULL, NULL, NULL);
	assert_int_equal(a.err, ERR_RECORDING_NOT_FOUND);
	recordings_call(&t, &a, &anna, "sessions.recordings", session, NULL, NULL, NULL);
	assert_int_equal(a.err, 0);
	assert_int_equal(json_array_size(json_object_get(a.doc, "recordings")), 0);
	begin(&t, session);
	recordings_call(&t, &a, &anna, "sessions.recording.start", session, NULL, NULL, "{}");
	assert_int_equal(a.err, ERR_RECORDING_STATE);
	recordings_call(&t, &a, &anna, "sessions.recording.get", session, NULL, NULL, NULL);
	assert_int_equal(a.err, 0);
	assert_string_equal(doc_str(a.doc, "state", ""), "recording");
	assert_string_equal(doc_str(a.doc, "started_by", ""), "anna");
	assert_int_equal(doc_int(a.doc, "width", 0), WIDTH);
	assert_null(json_object_get(a.doc, RECORDING_KEY_FIELD));
	record_chunks(&t, 2);
	recordings_call(&t, &a, &anna, "sessions.chunks", session, NULL, NULL, NULL);
	assert_int_equal(a.err, 0);
	const json_t *chunks = json_object_get(a.doc, "chunks");
	assert_int_equal(json_array_size(chunks), 3);
	assert_true(doc_bool(json_array_get(chunks, 1), "closed", false));
	assert_true(json_array_size(json_object_get(json_array_get(chunks, 0), "activity")) >= 2);
	assert_false(doc_bool(json_array_get(chunks, 2), "closed", true));
	assert_in_range(doc_int(json_array_get(chunks, 2), "t0_ms", 0), 11000, 11000);
	recordings_call(&t, &a, &anna, "sessions.chunks", session, NULL, "{'after':1}", NULL);
	assert_int_equal(json_array_size(json_object_get(a.doc, "chunks")), 1);
	recordings_call(&t, &a, &anna, "sessions.pipeline", session, NULL, NULL, NULL);
	assert_string_equal(doc_str(a.doc, "pipeline_status", ""), "active");
	assert_int_equal(doc_int(doc_get(json_array_get(json_object_get(a.doc, "stages"), 1), "metrics"), "items_processed", 0), 7);
	end(&t, session);
	recordings_call(&t, &a, &anna, "sessions.recording.get", session, NULL, NULL, NULL);
	assert_string_equal(doc_str(a.doc, "state", ""), "complete");
	assert_int_equal(doc_int(a.doc, "chunks", 0), 3);
	assert_non_null(doc_str(a.doc, "merkle_root", NULL));
	recordings_call(&t, &a, &anna, "sessions.recording.stop", session, NULL, NULL, NULL);
	assert_int_equal(a.err, ERR_RECORDING_STATE);
	check(&t, session, &a);
	assert_true(doc_bool(a.doc, "ok", false));
	assert_true(doc_bool(a.doc, "sealed", false));
	assert_true(doc_bool(a.doc, "decrypted", false));
	recordings_call(&t, &a, &anna, "sessions.recording.activity", session, host.id, "{'step':2}", NULL);
	assert_int_equal(a.err, 0);
	assert_true(json_array_size(json_object_get(a.doc, "activity")) >= 5);
	recordings_call(&t, &a, &anna, "sessions.recording.activity", session, host.id, "{'step':0}", NULL);
	assert_int_equal(a.err, ERR_RECORDING);
	json_decref(a.doc);
	recordings_close(&t);
}

static void test_content_is_what_was_recorded(void **state)
{
	struct rig t;
	struct content whole, stored, rest, growing;
	char session[SESSION_ID_SIZE];
	recordings_open(&t, NULL, session);
	begin(&t, session);
	record_chunks(&t, 1);
	content_read(&t, &whole, &anna, session, "0", 0, false);
	assert_int_equal(whole.err, 0);
	assert_true(whole.closed);
	assert_false(whole.zstd);
	/* a full picture, and half of one */
	assert_in_range(whole.bytes.len, WIDTH * HEIGHT * 6, WIDTH * HEIGHT * 6 + 200);
	content_read(&t, &stored, &anna, session, "0", 0, true);
	assert_true(stored.zstd);
	assert_in_range(stored.bytes.len, 50, whole.bytes.len / 2);
	assert_memory_equal(stored.bytes.s, "\x28\xb5\x2f\xfd", 4); /* a zstd frame */
	content_read(&t, &rest, &anna, session, "0", 1000, true);
	assert_false(rest.zstd);
	assert_int_equal(rest.bytes.len, whole.bytes.len - 1000);
	assert_memory_equal(rest.bytes.s, whole.bytes.s + 1000, rest.bytes.len);
	content_read(&t, &growing, &anna, session, "1", 0, true);
	assert_int_equal(growing.err, 0);
	assert_false(growing.closed);
	assert_false(growing.zstd);
	assert_true(growing.bytes.len > WIDTH * HEIGHT * 4);
	struct content none;
	content_read(&t, &none, &anna, session, "1", (int64_t)growing.bytes.len, true);
	assert_int_equal(none.bytes.len, 0);
	host_picture(1200, 99);
	strbuf_done(&none.bytes);
	content_read(&t, &none, &anna, session, "1", (int64_t)growing.bytes.len, true);
	assert_true(none.bytes.len > WIDTH * HEIGHT);
	strbuf_done(&none.bytes);
	content_read(&t, &none, &anna, session, "7", 0, false);
	assert_int_equal(none.err, ERR_RECORDING_NOT_FOUND);
	content_read(&t, &none, &bert, session, "0", 0, false);
	assert_int_equal(none.err, ERR_SESSION_NOT_FOUND);
	strbuf_done(&whole.bytes);
	strbuf_done(&stored.bytes);
	strbuf_done(&rest.bytes);
	strbuf_done(&growing.bytes);
	recordings_close(&t);
}

static void test_another_user_sees_nothing(void **state)
{
	static const char *const ops[] = { "sessions.recording.start", "sessions.recording.stop", "sessions.recording.get",  "sessions.recordings",
					   "sessions.pipeline",	       "sessions.chunks",	  "sessions.recording.verify" };
	struct rig t;
	struct answer a = { 0 };
	char session[SESSION_ID_SIZE];
	recordings_open(&t, NULL, session);
	begin(&t, session);
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		recordings_call(&t, &a, &bert, ops[i], session, NULL, NULL, i ? NULL : "{}");
		assert_int_equal(a.err, ERR_SESSION_NOT_FOUND);
	}
	json_decref(a.doc);
	recordings_close(&t);
}

static void test_config_is_checked(void **state)
{
	static const char *const bad[][2] = {
		{ "{'frame_rate':0}", "frame_rate" },	     { "{'frame_rate':61}", "frame_rate" },	    { "{'quality':'best'}", "quality" },
		{ "{'compression':'xz'}", "compression" },   { "{'resolution':'big'}", "resolution" },	    { "{'resolution':'1x1'}", "resolution" },
		{ "{'resolution':'1920x'}", "resolution" },  { "{'max_mb_per_min':0}", "max_mb_per_min" },  { "{'chunk_seconds':4}", "chunk_seconds" },
		{ "{'chunk_seconds':61}", "chunk_seconds" }, { "{'source':'rdp'}", "source" },		    { "{'on_full':'ignore'}", "on_full" },
		{ "{'on_loss':''}", "on_loss" },	     { "{'enabled':false}", "enabled" },	    { "{'takeover':true}", "takeover" },
	};
	struct rig t;
	struct answer a = { 0 };
	char session[SESSION_ID_SIZE];
	recordings_open(&t, NULL, session);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		recordings_call(&t, &a, &anna, "sessions.recording.start", session, NULL, NULL, bad[i][0]);
		assert_int_equal(a.err, ERR_RECORDING_CONFIG);
		assert_non_null(strstr(a.details, bad[i][1]));
	}
	recordings_call(&t, &a, &anna, "sessions.recording.start", session, NULL, NULL, "{'speed':1}");
	assert_int_equal(a.err, ERR_INVALID);
	assert_int_equal(host.starts, 0);
	recordings_call(&t, &a, &anna, "sessions.recording.start", session, NULL, NULL, "{'frame_rate':10,'quality':'low','resolution':'1280x720'}");
	assert_int_equal(a.err, 0);
	assert_int_equal(doc_int(json_object_get(a.doc, "config"), "frame_rate", 0), 10);
	json_decref(a.doc);
	recordings_close(&t);
}

static void test_refused_start_leaves_nothing(void **state)
{
	static const struct {
		int agent, err;
	} cases[] = { { ERR_CONFLICT, ERR_RECORDING_STATE }, { ERR_INSTANCE_NOT_FOUND, ERR_RECORDING_STATE }, { ERR_DISK_FULL, ERR_DISK_FULL }, { ERR_UNAVAILABLE, ERR_UNAVAILABLE } };
	struct rig t;
	struct answer a = { 0 };
	char session[SESSION_ID_SIZE];
	recordings_open(&t, NULL, session);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		host.refuses = cases[i].agent;
		recordings_call(&t, &a, &anna, "sessions.recording.start", session, NULL, NULL, "{}");
		assert_int_equal(a.err, cases[i].err);
		RIG_UNTIL(&t, !objects_count(rig_recordings(&t)->objects));
	}
	recordings_call(&t, &a, &anna, "sessions.recordings", session, NULL, NULL, NULL);
	assert_int_equal(json_array_size(json_object_get(a.doc, "recordings")), 0);
	begin(&t, session);
	json_decref(a.doc);
	recordings_close(&t);
}

/* What was changed, and what the check must name. */
static void tamper(int how)
{
	size_t len = 0;
	_cleanup_(xfreep) char *chunk = host_read(host.id, "00000001.rck", &len), *other = NULL;
	switch (how) {
	case 0:
		chunk[len / 2] ^= 1;
		host_write(host.id, "00000001.rck", chunk, len);
		break;
	case 1:
		host_write(host.id, "00000001.rck", chunk, len - 20);
		break;
	case 2: {
		char path[200];
		host_path(path, host.id, "00000001.rck");
		assert_int_equal(unlink(path), 0);
		break;
	}
	case 3: /* the end is cut off, with the seal */
		other = host_read(host.id, RECORD_INDEX, &len);
		host_write(host.id, RECORD_INDEX, other, len - RECORD_ENTRY_BYTES);
		host_path(chunk, host.id, RECORD_SEAL);
		unlink(chunk);
		break;
	}
}

static void test_tampering_is_named(void **state)
{
	static const char *const names[] = { "modified", "cut", "missing", "00000002.rck" };
	for (int how = 0; how < 4; how++) {
		struct rig t;
		struct answer a = { 0 };
		char session[SESSION_ID_SIZE];
		recordings_open(&t, NULL, session);
		begin(&t, session);
		record_chunks(&t, 2);
		end(&t, session);
		tamper(how);
		check(&t, session, &a);
		_cleanup_(xfreep) char *faults = doc_text(json_object_get(a.doc, "faults"));
		assert_false(doc_bool(a.doc, "ok", true));
		if (!strstr(faults, names[how]))
			fail_msg("%d: %s is not in %s", how, names[how], faults);
		RIG_UNTIL(&t, object_idle(&only(&t)->o));
		recordings_call(&t, &a, &anna, "sessions.recording.get", session, NULL, NULL, NULL);
		assert_false(doc_bool(json_object_get(a.doc, "verified"), "ok", true));
		if (how == 0) {
			struct content c;
			content_read(&t, &c, &anna, session, "1", 0, false);
			assert_int_equal(c.err, -ERR_RECORDING_STORAGE);
			strbuf_done(&c.bytes);
		}
		json_decref(a.doc);
		recordings_close(&t);
	}
}

/* Events were lost, and the controller was restarted; the listing has the rest. */
static void test_missed_chunks_are_stored_later(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char session[SESSION_ID_SIZE];
	recordings_open(&t, NULL, session);
	begin(&t, session);
	record_chunks(&t, 1);
	host.mute = true;
	for (int i = 0; i < 3; i++)
		host_picture(5500, (uint8_t)i);
	rig_restart(&t);
	host_end("truncated");
	RIG_UNTIL(&t, only(&t) && only(&t)->sealed && !only(&t)->settling);
	recordings_call(&t, &a, &anna, "sessions.recording.get", session, NULL, NULL, NULL);
	assert_string_equal(doc_str(a.doc, "state", ""), "truncated");
	assert_int_equal(doc_int(a.doc, "chunks", 0), 5);
	check(&t, session, &a);
	assert_true(doc_bool(a.doc, "ok", false));
	RIG_UNTIL(&t, !host.listed); /* acknowledged */
	json_decref(a.doc);
	recordings_close(&t);
}

static void test_deletion(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char session[SESSION_ID_SIZE], id[ID_UUID_SIZE];
	recordings_open(&t, NULL, session);
	side_call(t.front, &a, &anna, "sessions.patch", session, NULL, "{'storage_config':{'hold':true}}");
	assert_int_equal(a.err, ERR_INVALID); /* only an admin sets a hold */
	side_call(t.front, &a, &admin, "sessions.patch", session, NULL, "{'storage_config':{'hold':true}}");
	assert_int_equal(a.err, 0);
	begin(&t, session);
	memcpy(id, host.id, sizeof id);
	record_chunks(&t, 1);
	recordings_call(&t, &a, &admin, "sessions.recording.delete", session, id, NULL, NULL);
	assert_int_equal(a.err, ERR_RECORDING_STATE);
	end(&t, session);
	recordings_call(&t, &a, &admin, "sessions.recording.delete", session, id, NULL, NULL);
	assert_int_equal(a.err, ERR_RECORDING_STATE);
	assert_non_null(strstr(a.message, "hold"));
	side_call(t.front, &a, &anna, "sessions.patch", session, NULL, "{'storage_config':{'hold':false}}");
	assert_int_equal(a.err, ERR_INVALID); /* nor lifts it */
	side_call(t.front, &a, &admin, "sessions.patch", session, NULL, "{'storage_config':{'hold':false}}");
	RIG_UNTIL(&t, !only(&t)->hold);
	/* a session is deleted, its recordings stay */
	side_call(t.front, &a, &anna, "sessions.delete", session, NULL, NULL);
	assert_int_equal(a.err, 0);
	recordings_call(&t, &a, &anna, "sessions.recordings", session, NULL, NULL, NULL);
	assert_int_equal(json_array_size(json_object_get(a.doc, "recordings")), 1);
	recordings_call(&t, &a, &bert, "sessions.recordings", session, NULL, NULL, NULL);
	assert_int_equal(a.err, ERR_SESSION_NOT_FOUND);
	recordings_call(&t, &a, &admin, "sessions.recording.delete", session, id, NULL, NULL);
	assert_int_equal(a.err, 0);
	assert_false(host_has(id));
	recordings_call(&t, &a, &anna, "sessions.recordings", session, NULL, NULL, NULL);
	assert_int_equal(a.err, ERR_SESSION_NOT_FOUND);
	json_decref(a.doc);
	recordings_close(&t);
}

static void test_retention_deletes_old_recordings(void **state)
{
	struct answer a = { 0 };
	struct rig t;
	char session[SESSION_ID_SIZE];
	recordings_open(&t, NULL, session);
	side_call(t.front, &a, &anna, "sessions.patch", session, NULL, "{'storage_config':{'retention_days':2}}");
	json_decref(a.doc);
	begin(&t, session);
	end(&t, session);
	RIG_UNTIL(&t, object_idle(&only(&t)->o));
	clock_shift_ms(24 * 3600 * 1000);
	loop_timer_set(rig_recordings(&t)->sweep, 1);
	loop_rig_run_ms(t.loop, 50);
	assert_true(host_has(host.id));
	clock_shift_ms(2 * 24 * 3600 * 1000);
	loop_timer_set(rig_recordings(&t)->sweep, 1);
	RIG_UNTIL(&t, !objects_count(rig_recordings(&t)->objects));
	assert_false(host_has(host.id));
	clock_shift_ms(-3 * 24 * 3600 * 1000);
	recordings_close(&t);
}

static void test_keys_are_wrapped_again(void **state)
{
	static const char *const next[] = { KEY_TWO, OLD_ONE, NULL };
	static char *no_env[] = { NULL };
	struct rig t;
	struct answer a = { 0 };
	struct content c;
	char session[SESSION_ID_SIZE], before[RECORD_KEK_ID_SIZE];
	recordings_open(&t, NULL, session);
	begin(&t, session);
	record_chunks(&t, 1);
	end(&t, session);
	str_copy(before, sizeof before, only(&t)->key_id);
	const char *set[] = { "RDP_USER_MAP=anna=ann,dora=d0", next[0], next[1], NULL }, *none[] = { NULL };
	struct config_input in = { .env = no_env, .set = set, .env_files = none };
	struct strbuf faults = { 0 }, warnings = { 0 };
	struct config *old = t.config;
	t.config = config_load(options(), options_n(), &in, &faults, &warnings);
	assert_non_null(t.config);
	rig_restart(&t);
	RIG_UNTIL(&t, only(&t) && !str_eq(only(&t)->key_id, before) && object_idle(&only(&t)->o));
	assert_string_equal(only(&t)->key_id, rig_recordings(&t)->masters[0].kek_id);
	size_t len = 0;
	_cleanup_(xfreep) char *manifest = host_read(host.id, RECORD_MANIFEST, &len);
	assert_non_null(strstr(manifest, only(&t)->key_id));
	content_read(&t, &c, &anna, session, "0", 0, false);
	assert_int_equal(c.err, 0);
	check(&t, session, &a);
	assert_true(doc_bool(a.doc, "ok", false));
	assert_true(doc_bool(a.doc, "decrypted", false));
	strbuf_done(&c.bytes);
	json_decref(a.doc);
	config_free(old);
	recordings_close(&t);
}

static void document_lost(enum store_result result, size_t index, int err, void *arg)
{
	assert_int_equal(result, STORE_OK);
	*(bool *)arg = true;
}

/* The store was lost: documents follow from the manifests. */
static void test_recording_without_a_document_is_adopted(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	struct content c;
	char session[SESSION_ID_SIZE];
	recordings_open(&t, NULL, session);
	begin(&t, session);
	record_chunks(&t, 1);
	object_drop(&only(&t)->o);
	struct store_op ops[] = { { STORE_DELETE, COL_RECORDINGS, host.id, 0, NULL } };
	bool done = false;
	store_write(t.store, ops, 1, document_lost, &done);
	RIG_UNTIL(&t, done);
	rig_restart(&t);
	RIG_UNTIL(&t, only(&t) && !only(&t)->o.unborn);
	recordings_call(&t, &a, &anna, "sessions.recording.get", session, NULL, NULL, NULL);
	assert_int_equal(a.err, 0);
	content_read(&t, &c, &anna, session, "0", 0, false);
	assert_int_equal(c.err, 0);
	strbuf_done(&c.bytes);
	json_decref(a.doc);
	recordings_close(&t);
}

static void test_recording_follows_the_configuration(void **state)
{
	struct rig t;
	struct answer a = { 0 };
	char session[SESSION_ID_SIZE];
	recordings_open(&t, NULL, session);
	side_call(t.front, &a, &anna, "sessions.patch", session, NULL, "{'recording_config':{'enabled':true,'frame_rate':5}}");
	assert_int_equal(a.err, 0);
	RIG_UNTIL(&t, only(&t) && !only(&t)->o.unborn);
	recordings_call(&t, &a, &anna, "sessions.recording.get", session, NULL, NULL, NULL);
	assert_int_equal(doc_int(json_object_get(a.doc, "config"), "frame_rate", 0), 5);
	assert_true(json_is_null(json_object_get(a.doc, "started_by")));
	json_decref(a.doc);
	recordings_close(&t);
}

int main(UNUSED int argc, char **argv)
{
	if (argv[1])
		cmocka_set_test_filter(argv[1]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_content_is_what_was_recorded),
		cmocka_unit_test(test_another_user_sees_nothing),
		cmocka_unit_test(test_config_is_checked),
		cmocka_unit_test(test_refused_start_leaves_nothing),
		cmocka_unit_test(test_tampering_is_named),
		cmocka_unit_test(test_missed_chunks_are_stored_later),
		cmocka_unit_test(test_deletion),
		cmocka_unit_test(test_retention_deletes_old_recordings),
		cmocka_unit_test(test_keys_are_wrapped_again),
		cmocka_unit_test(test_recording_without_a_document_is_adopted),
		cmocka_unit_test(test_recording_follows_the_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
