/* lucid-rdp verify DIR: what it prints, for people and for programs, and its exit codes. */
#include "record_rig.h"

#include <sys/wait.h>

#include "app/commands/commands.h"
#include "lucid/doc.h"

static char output[65536];
static struct record_rig *rig;

/* Runs `lucid-rdp verify` with these words in a child; its output is in `output`. Returns the exit code. */
static int verify(const char *const *words)
{
	int ends[2], status;
	char *argv[16] = { (char[]){ "verify" } };
	int argc = 1;
	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct cli c = { 0 };
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		int code = cmd_verify(&c, argc, argv);
		fflush(NULL);
		_exit(code);
	}
	close(ends[1]);
	size_t len = 0;
	for (ssize_t got; (got = read(ends[0], output + len, sizeof output - 1 - len)) > 0;)
		len += (size_t)got;
	output[len] = 0;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define VERIFY(...) verify((const char *const[]){ __VA_ARGS__, NULL })

static void expect_text(const char *text)
{
	if (!strstr(output, text))
		fail_msg("no \"%s\" in: %s", text, output);
}

static int make_recording(void **state)
{
	rig = rig_new(RECORD_ZSTD, RECORD_AES256_GCM);
	rig_start(rig);
	rig_play(rig, 10, false);
	assert_int_equal(record_writer_close_chunk(rig->writer), 0);
	rig_play(rig, 10, false);
	rig_finish(rig);
	rig_write(rig, "master", RIG_MASTER "\n", strlen(RIG_MASTER) + 1);
	return 0;
}

static int remove_recording(void **state)
{
	rig_free(rig);
	return 0;
}

static char *master_file(void)
{
	return xasprintf("%s/master", rig->dir);
}

static void a_whole_recording_exits_with_0(void **state)
{
	char public_key[2 * RECORD_PUBLIC_BYTES + 1] = "";
	_cleanup_(xfreep) char *master = master_file();
	str_hex(public_key, rig->master.public_key, RECORD_PUBLIC_BYTES);
	assert_int_equal(VERIFY(rig->dir), 0);
	expect_text("whole: recording ");
	expect_text(rig->id_text);
	expect_text("2 chunks, 20 frames");
	expect_text("this key was not compared with an expected one");
	expect_text("tags and records need the key");
	assert_int_equal(VERIFY(rig->dir, "--master-key-file", master), 0);
	expect_text("hashes, tags and records were checked");
	assert_null(strstr(output, "not compared"));
	assert_int_equal(VERIFY("--public-key", public_key, rig->dir, "--json"), 0);
	_cleanup_(doc_unrefp) json_t *doc = doc_parse(output, strlen(output), NULL, 0);
	assert_string_equal(doc_str(doc, "state", ""), "whole");
	assert_string_equal(doc_str(doc, "recording_id", ""), rig->id_text);
	assert_string_equal(doc_str(doc, "public_key", ""), public_key);
	assert_int_equal(doc_int(doc, "chunks", -1), 2);
	assert_true(doc_bool(doc, "signer_known", false) && doc_bool(doc, "sealed", false) && !doc_bool(doc, "decrypted", true));
	assert_int_equal(json_array_size(json_object_get(doc, "findings")), 0);
}

static void a_broken_one_exits_with_1_and_names_what_is_wrong(void **state)
{
	size_t len;
	_cleanup_(xfreep) uint8_t *data = rig_read(rig, "00000001.rck", &len);
	data[len - 1] ^= 1; /* the tag of the end */
	rig_write(rig, "00000001.rck", data, len);
	assert_int_equal(VERIFY(rig->dir), 1);
	expect_text("broken: recording");
	expect_text("modified: chunk 1: the chunk or its index entry was modified: its SHA-256 is another");
	assert_int_equal(VERIFY(rig->dir, "--json"), 1);
	_cleanup_(doc_unrefp) json_t *doc = doc_parse(output, strlen(output), NULL, 0);
	const json_t *f = json_array_get(json_object_get(doc, "findings"), 0);
	assert_string_equal(doc_str(f, "kind", ""), "modified");
	assert_int_equal(doc_int(f, "chunk", -1), 1);
	_cleanup_(xfreep) char *master = master_file();
	assert_int_equal(VERIFY(rig->dir, "--master-key-file", master), 1);
	expect_text("the tag does not match");
}

static void one_without_a_seal_exits_with_3(void **state)
{
	char hash[2 * RECORD_HASH_BYTES + 1] = "";
	assert_int_equal(unlinkat(rig->fd, RECORD_SEAL, 0), 0);
	assert_int_equal(VERIFY(rig->dir), 3);
	expect_text("there is no seal: the recording is still running, or it was cut short and its seal removed");
	str_hex(hash, rig->entries[1].hash, RECORD_HASH_BYTES);
	_cleanup_(xfreep) char *head = xasprintf("1:%s", hash), *beyond = xasprintf("2:%s", hash), *other = xasprintf("0:%s", hash);
	assert_int_equal(VERIFY(rig->dir, "--head", head), 3);
	assert_int_equal(VERIFY(rig->dir, "--head", beyond), 1);
	expect_text("the recording was cut short");
	assert_int_equal(VERIFY(rig->dir, "--head", other), 1);
	expect_text("the recording was replaced");
}

static void what_cannot_be_read_exits_with_4(void **state)
{
	assert_int_equal(VERIFY("/nowhere/at/all"), 4);
	expect_text("cannot open /nowhere/at/all: No such file or directory");
	assert_int_equal(VERIFY("/usr/bin"), 4);
	expect_text("unreadable: this is not a recording");
	assert_int_equal(VERIFY("/usr/bin", "--json"), 4);
	expect_text("\"state\":\"unreadable\"");
	assert_int_equal(VERIFY(rig->dir, "--master-key-file", "/nowhere/key"), 4);
	expect_text("cannot read the MASTER_KEY in /nowhere/key");
	rig_write(rig, "short", "too short\n", 10);
	_cleanup_(xfreep) char *path = xasprintf("%s/short", rig->dir);
	assert_int_equal(VERIFY(rig->dir, "--master-key-file", path), 4);
	expect_text("too short: 9 bytes, at least 32 are required");
}

static void wrong_usage_exits_with_2(void **state)
{
	assert_int_equal(VERIFY("--json"), 2);
	expect_text("name what to verify");
	assert_int_equal(VERIFY(rig->dir, "--public-key", "abc"), 2);
	expect_text("--public-key must be 64 lower-case hex digits");
	assert_int_equal(VERIFY(rig->dir, "--head", "1:abc"), 2);
	assert_int_equal(VERIFY(rig->dir, "--head", "x"), 2);
	assert_int_equal(VERIFY(rig->dir, "another"), 2);
	assert_int_equal(VERIFY(rig->dir, "--jsno"), 2);
	expect_text("did you mean --json?");
	assert_int_equal(VERIFY("--audit", "--json"), 2);
	assert_int_equal(VERIFY("--help"), 0);
	expect_text("Exit codes: 0 whole, 1 broken, 2 wrong usage, 3 without a seal");
}

/* As root it reads with the rights of the account that owns the directory. */
static void root_reads_with_the_rights_of_the_owner(void **state)
{
	_cleanup_(xfreep) char *master = master_file();
	if (geteuid() != 0)
		skip();
	assert_int_equal(fchown(rig->fd, 65533, 65533), 0);
	assert_int_equal(VERIFY(rig->dir, "--master-key-file", master), 4); /* files of root, mode 0600 */
	expect_text("Permission denied");
	DIR *d = opendir(rig->dir);
	for (struct dirent *e; (e = readdir(d));)
		assert_int_equal(e->d_name[0] == '.' || str_eq(e->d_name, "master") ? 0 : fchownat(rig->fd, e->d_name, 65533, 65533, 0), 0);
	closedir(d);
	assert_int_equal(VERIFY(rig->dir, "--master-key-file", master), 0); /* the key was read before */
	expect_text("hashes, tags and records were checked");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, make_recording, remove_recording)
	static const struct CMUnitTest tests[] = {
		CASE(a_whole_recording_exits_with_0),
		CASE(a_broken_one_exits_with_1_and_names_what_is_wrong),
		CASE(one_without_a_seal_exits_with_3),
		CASE(what_cannot_be_read_exits_with_4),
		CASE(wrong_usage_exits_with_2),
		CASE(root_reads_with_the_rights_of_the_owner),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
