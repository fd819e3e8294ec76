/* Recordings of a host: their recorders, directories, ends, and what happens when each part fails. The desktop is an X server of this test
 * (Xvfb); the recorder is this program itself (test/lib/fake_recorder.h), a process of its own account. Needs root and Xvfb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/core.h"
#include "host/host.h"
#include "host/instance/run.h"
#include "host/kernel/fs.h"
#include "host/kernel/proc.h"
#include "host/observe/observed.h"
#include "host/recording/recording.h"
#include "host/recording/recordings.h"
#include "lucid/id.h"
#include "lucid/record_verify.h"
#include "sys/files.h"
#include "test/lib/fake_recorder.h"

#define PATIENCE_MS 60000
#define KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define MANIFEST "{\"format\":\"rck1\"}\n"

static char dir[64], program[4096], server[ID_UUID_SIZE];
static struct loop *loop;
static struct host *host;
static pid_t xvfb;
static int display;
static int64_t started_ms;
static json_t *events; /* [{topic, data}] */
static struct recording_settings settings;
static const char *recorder, *chunk_dir;

/* --- a host with one desktop */

static void on_event(UNUSED void *arg, const char *topic, UNUSED const char *server_id, UNUSED const char *user, json_t *consume_data)
{
	json_t *e = json_object();
	doc_set_str(e, "topic", topic);
	doc_set(e, "data", consume_data);
	json_array_append_new(events, e);
}

static void x_start(void)
{
	char digits[16] = "", auth[100];
	int fds[2];
	snprintf(auth, sizeof auth, "%s/xauth", dir);
	static const unsigned char entry[] = "\xff\xff\0\0\0\0\0\x12MIT-MAGIC-COOKIE-1\0\x10" "0123456789abcdef";
	assert_int_equal(pipe(fds), 0);
	/* the display is not known yet: the authority file is written again when it is */
	int fd = open(auth, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, entry, sizeof entry - 1), sizeof entry - 1);
	close(fd);
	xvfb = fork();
	assert_true(xvfb >= 0);
	if (xvfb == 0) {
		int null = open("/dev/null", O_RDWR);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < 3; i++)
			dup2(null, i);
		dup2(fds[1], 3);
		close_range(4, ~0U, 0);
		execlp("Xvfb", "Xvfb", "-displayfd", "3", "-noreset", "-screen", "0", "640x480x24", "-nolisten", "tcp", "-auth", auth, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	for (size_t n = 0; !strchr(digits, '\n'); n++) {
		assert_true(n < sizeof digits - 1);
		assert_int_equal(read(fds[0], digits + n, 1), 1);
	}
	close(fds[0]);
	display = atoi(digits);
	snprintf(digits, sizeof digits, "%d", display);
	fd = open(auth, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	unsigned char head[] = { 0xff, 0xff, 0, 0, 0, (unsigned char)strlen(digits) };
	assert_int_equal(write(fd, head, sizeof head), sizeof head);
	assert_int_equal(write(fd, digits, strlen(digits)), (ssize_t)strlen(digits));
	assert_int_equal(write(fd, entry + 6, sizeof entry - 7), sizeof entry - 7);
	close(fd);
}

static void x_stop(void)
{
	if (!xvfb)
		return;
	kill(xvfb, SIGKILL);
	waitpid(xvfb, NULL, 0);
	xvfb = 0;
}

static struct desktop *desktop_make(void)
{
	_cleanup_(doc_unrefp) json_t *spec = json_pack("{s:s,s:s,s:s,s:i,s:{s:s,s:i}}", "server_id", server, "name", "seen", "user_id", "olga", "port", 20000,
						       "desktop", "session", "xorg", "max_sessions", 5);
	struct instance *i = instance_new(host, spec);
	i->state = INSTANCE_RUNNING;
	host->hooks.opened(i);
	struct desktop *d = desktop_new(i, display);
	d->started_ms = started_ms;
	d->x_pid = xvfb;
	d->x_start = proc_start(xvfb);
	d->uid = d->gid = 0;
	str_copy(d->user, sizeof d->user, "anna");
	d->told = true;
	return d;
}

static struct desktop *desktop(void)
{
	return desktop_find(instance_find(host, server), display);
}

static void host_begin(void)
{
	_cleanup_(xfreep) char *data = xasprintf("%s/data", dir), *logs = xasprintf("%s/log", dir), *run = xasprintf("%s/run", dir);
	const struct host_settings s = { .data_dir = data, .log_dir = logs, .runtime_dir = run, .program = "/bin/true", .recorder = recorder,
					 .chunk_storage = chunk_dir, .recording = settings };
	host = host_new_with(loop, &s, on_event, NULL);
	recordings_adopt(host);
	desktop_make();
}

static void host_end(void)
{
	host_free(host);
	host = NULL;
}

static int set_up(UNUSED void **state)
{
	settings = (struct recording_settings){ .timeout_s = 20 };
	recorder = program;
	chunk_dir = NULL;
	events = json_array();
	id_uuid(server);
	started_ms = clock_wall_ms() - 60000;
	x_start();
	host_begin();
	return 0;
}

static int tear_down(UNUSED void **state)
{
	if (host)
		host_end();
	x_stop();
	json_decref(events);
	_cleanup_(xfreep) char *data = xasprintf("%s/data", dir);
	fs_remove_tree(data);
	return 0;
}

/* --- calls */

struct answer {
	bool come;
	int err;
	char message[400];
	json_t *out;
};

static void on_done(void *arg, int err, const char *message, json_t *consume_out)
{
	struct answer *a = arg;
	assert_false(a->come);
	a->come = true;
	a->err = abs(err);
	snprintf(a->message, sizeof a->message, "%s", message ? message : "");
	a->out = consume_out;
	loop_stop(loop);
}

static void on_time(UNUSED void *arg)
{
	loop_stop(loop);
}

static bool wait_for(bool (*f)(void *), void *arg)
{
	struct loop_timer *t = loop_timer_new(loop, on_time, NULL);
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	bool ok;
	while (!(ok = f(arg)) && clock_mono_ms() < until) {
		loop_timer_set(t, 10);
		loop_run(loop);
	}
	loop_timer_free(t);
	return ok;
}

static bool is_later(void *until)
{
	return clock_mono_ms() >= *(int64_t *)until;
}

static void wait_ms(int64_t ms)
{
	int64_t until = clock_mono_ms() + ms;
	assert_true(wait_for(is_later, &until));
}

static bool has_come(void *arg)
{
	return ((struct answer *)arg)->come;
}

static void ask_begin(struct answer *a, const char *op, json_t *in)
{
	*a = (struct answer){ 0 };
	assert_non_null(in);
	for (size_t n = 0; n < host_entries_n; n++)
		if (str_eq(host_entries[n].op, op))
			host_entries[n].fn(host, in, on_done, a);
	json_decref(in);
}

static struct answer ask(const char *op, json_t *in)
{
	static struct answer a;
	json_decref(a.out);
	ask_begin(&a, op, in);
	assert_false(a.come);
	assert_true(wait_for(has_come, &a));
	return a;
}

static json_t *start_doc(const char *id, int manner)
{
	char started[CLOCK_ISO_SIZE];
	return json_pack("{s:s,s:s,s:i,s:s,s:s,s:s,s:{s:i,s:s}}", "recording_id", id, "server_id", server, "display", display, "started_at",
			 clock_iso(started, started_ms), "manifest", MANIFEST, "key", KEY, "config", "frame_rate", manner, "codec", "none");
}

static json_t *of(const char *id)
{
	return json_pack("{s:s}", "recording_id", id);
}

static void must_start(const char *id, int manner)
{
	struct answer a = ask("host.recording.start", start_doc(id, manner));
	if (a.err)
		fail_msg("%s: %s", err_name(a.err), a.message);
	assert_string_equal(doc_str(a.out, "state", ""), "recording");
	assert_int_equal(doc_int(a.out, "width", 0), FAKE_SIDE);
}

static json_t *row(const char *id)
{
	struct answer a = ask("host.recording.list", json_object());
	json_t *r;
	size_t n;
	json_array_foreach (json_object_get(a.out, "recordings"), n, r)
		if (str_eq(doc_str(r, "recording_id", ""), id))
			return r;
	return NULL;
}

static struct {
	const char *id, *state;
} wanted;

static bool is_in_state(UNUSED void *arg)
{
	return str_eq(doc_str(row(wanted.id), "state", ""), wanted.state);
}

static void wait_state(const char *id, const char *state)
{
	wanted.id = id;
	wanted.state = state;
	if (!wait_for(is_in_state, NULL))
		fail_msg("%s, not %s", doc_str(row(id), "state", "none"), state);
}

static size_t events_of(const char *topic, const char *state)
{
	json_t *e;
	size_t n, found = 0;
	json_array_foreach (events, n, e)
		found += str_eq(doc_str(e, "topic", ""), topic) && (!state || str_eq(doc_str(json_object_get(e, "data"), "state", ""), state));
	return found;
}

static char *path_of(const char *id, const char *name)
{
	return xasprintf("%s/data/recordings/%s%s%s", dir, id, *name ? "/" : "", name);
}

static pid_t pid_of(const char *id)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/data/xrdp/recordings/%s.json", dir, id), *text = file_read(path, 65536, NULL);
	_cleanup_(doc_unrefp) json_t *d = text ? doc_parse(text, strlen(text), NULL, 0) : NULL;
	return (pid_t)doc_int(d, "pid", 0);
}

/* --- tests */

static void test_start_answers_with_the_first_picture_and_stop_with_the_end(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	struct stat st;
	id_uuid(id);
	must_start(id, FAKE_GOOD);
	_cleanup_(xfreep) char *own = path_of(id, ""), *manifest = path_of(id, "manifest.json");
	assert_int_equal(stat(own, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_uid, recorder_account().uid);
	assert_int_equal(stat(manifest, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_string_equal(doc_str(row(id), "state", ""), "recording");
	struct answer a = ask("host.recording.stop", of(id));
	assert_int_equal(a.err, 0);
	assert_string_equal(doc_str(a.out, "state", ""), "complete");
	assert_string_equal(doc_str(a.out, "reason", ""), "stopped");
	assert_int_equal(doc_int(a.out, "chunks", 0), 1);
	assert_int_equal(strlen(doc_str(a.out, "head", "")), 64);
	assert_null(row(id));
	assert_int_equal(events_of("xrdp.recording.state", "recording"), 1);
	assert_int_equal(events_of("xrdp.recording.state", "complete"), 1);
	assert_int_equal(events_of("xrdp.recording.chunk", NULL), 1);
	a = ask("host.recording.stop", of(id));
	assert_int_equal(a.err, ERR_RECORDING_NOT_FOUND);
}

static void test_files_are_listed_read_written_and_removed(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	const char *why = NULL;
	id_uuid(id);
	must_start(id, FAKE_GOOD);
	ask("host.recording.stop", of(id));
	struct answer a = ask("host.recording.files", of(id));
	assert_int_equal(a.err, 0);
	assert_string_equal(doc_str(a.out, "manifest", ""), MANIFEST);
	assert_true(json_is_null(json_object_get(a.out, "seal")));
	json_t *entry = json_array_get(json_object_get(a.out, "index"), 0), *chunk = json_array_get(json_object_get(a.out, "chunks"), 0);
	assert_int_equal(json_array_size(json_object_get(a.out, "index")), 1);
	assert_int_equal(doc_int(entry, "width", 0), FAKE_SIDE);
	assert_int_equal(doc_int(chunk, "bytes", 0), doc_int(entry, "bytes", -1));
	assert_true(doc_bool(chunk, "closed", false));
	assert_false(doc_bool(a.out, "more", true));
	a = ask("host.recording.write", json_pack("{s:s,s:s,s:s}", "recording_id", id, "name", "seal.json", "text", "{\"seal\":1}\n"));
	assert_int_equal(a.err, 0);
	_cleanup_(doc_unrefp) json_t *want = json_pack("{s:s,s:s,s:i}", "recording_id", id, "name", "seal.json", "from", 2);
	int fd = host_recording_file(host, want, &why);
	char text[16] = "";
	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof text - 1), 9);
	assert_string_equal(text, "seal\":1}\n");
	close(fd);
	static const char *const others[] = { "..", "passwd", ".seal.json.new", "0.rck", "00000007.rck", "index.new", "" };
	for (size_t n = 0; n < ARRAY_LEN(others); n++) {
		doc_set_str(want, "name", others[n]);
		assert_int_equal(host_recording_file(host, want, &why), -ERR_RECORDING_NOT_FOUND);
	}
	a = ask("host.recording.remove", of(id));
	assert_int_equal(a.err, 0);
	_cleanup_(xfreep) char *own = path_of(id, "");
	assert_int_equal(access(own, F_OK), -1);
	a = ask("host.recording.remove", of(id));
	assert_int_equal(a.err, 0);
	a = ask("host.recording.files", of(id));
	assert_int_equal(a.err, ERR_RECORDING_NOT_FOUND);
	a = ask("host.recording.write", json_pack("{s:s,s:s,s:s}", "recording_id", id, "name", "seal.json", "text", "{}"));
	assert_int_equal(a.err, ERR_RECORDING_NOT_FOUND);
}

/* The account of recorders owns the directory, so a link in it may lead anywhere. */
static void test_links_in_a_directory_are_not_followed(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	const char *why = NULL;
	id_uuid(id);
	must_start(id, FAKE_GOOD);
	ask("host.recording.stop", of(id));
	_cleanup_(xfreep) char *seal = path_of(id, "seal.json"), *chunk = path_of(id, "00000001.rck"), *kept = xasprintf("%s/kept", dir);
	assert_int_equal(fs_write(kept, "kept", 0600, 0), 0);
	assert_int_equal(symlink(kept, seal), 0);
	assert_int_equal(symlink(kept, chunk), 0);
	_cleanup_(doc_unrefp) json_t *want = json_pack("{s:s,s:s}", "recording_id", id, "name", "seal.json");
	assert_int_equal(host_recording_file(host, want, &why), -ERR_RECORDING_NOT_FOUND);
	doc_set_str(want, "name", "00000001.rck");
	assert_int_equal(host_recording_file(host, want, &why), -ERR_RECORDING_NOT_FOUND);
	unlink(chunk);
	assert_int_equal(link(kept, chunk), 0);
	assert_int_equal(host_recording_file(host, want, &why), -ERR_RECORDING_NOT_FOUND);
	unlink(chunk);
	struct answer a = ask("host.recording.files", of(id));
	assert_true(json_is_null(json_object_get(a.out, "seal")));
	a = ask("host.recording.write", json_pack("{s:s,s:s,s:s}", "recording_id", id, "name", "seal.json", "text", "{}"));
	assert_int_equal(a.err, 0);
	ask("host.recording.remove", of(id));
	_cleanup_(xfreep) char *text = file_read(kept, 100, NULL);
	assert_string_equal(text, "kept");
}

static void test_unsuitable_starts_are_refused(UNUSED void **state)
{
	char id[ID_UUID_SIZE], other[ID_UUID_SIZE];
	id_uuid(id);
	id_uuid(other);
	json_t *in = start_doc(id, FAKE_GOOD);
	doc_set_int(in, "display", display + 1);
	assert_int_equal(ask("host.recording.start", in).err, ERR_INSTANCE_NOT_FOUND);
	in = start_doc(id, FAKE_GOOD);
	doc_set_str(in, "started_at", "2020-01-01T00:00:00Z");
	assert_int_equal(ask("host.recording.start", in).err, ERR_INSTANCE_NOT_FOUND);
	in = start_doc(id, FAKE_GOOD);
	doc_set_str(in, "username", "berta");
	assert_int_equal(ask("host.recording.start", in).err, ERR_INSTANCE_NOT_FOUND);
	in = start_doc(id, FAKE_GOOD);
	doc_set_str(in, "key", "c2hvcnQ=");
	assert_int_equal(ask("host.recording.start", in).err, ERR_RECORDING);
	assert_null(row(id));
	must_start(id, FAKE_GOOD);
	assert_string_equal(doc_str(ask("host.recording.start", start_doc(id, FAKE_GOOD)).out, "state", ""), "recording"); /* a repetition */
	assert_int_equal(ask("host.recording.start", start_doc(other, FAKE_GOOD)).err, ERR_RECORDING_STATE);
	assert_int_equal(ask("host.recording.remove", of(id)).err, ERR_RECORDING_STATE);
	ask("host.recording.stop", of(id));
	/* its directory exists, and nothing says that it may be continued */
	assert_int_equal(ask("host.recording.start", start_doc(id, FAKE_GOOD)).err, ERR_RECORDING_STATE);
	struct answer a = ask("host.recording.files", of(id));
	assert_int_equal(json_array_size(json_object_get(a.out, "index")), 1);
}

static void test_missing_recorder_is_reported(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	host_end();
	recorder = "/nonexistent/lucid-rdp-recorder";
	host_begin();
	struct answer a = ask("host.recording.start", start_doc(id, FAKE_GOOD));
	assert_int_equal(a.err, ERR_UNAVAILABLE);
	assert_non_null(strstr(a.message, RECORDER_FILE));
	assert_null(row(id));
	_cleanup_(xfreep) char *own = path_of(id, "");
	assert_int_equal(access(own, F_OK), -1);
}

/* A start that fails leaves nothing, so that the same recording can be started again. */
static void test_failed_start_leaves_nothing(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	_cleanup_(xfreep) char *own = path_of(id, "");
	struct answer a = ask("host.recording.start", start_doc(id, FAKE_NO_PICTURE));
	assert_int_equal(a.err, ERR_PIPELINE);
	assert_int_equal(access(own, F_OK), -1);
	a = ask("host.recording.start", start_doc(id, FAKE_FAILS));
	assert_int_equal(a.err, ERR_PIPELINE);
	assert_non_null(strstr(a.message, "no damage?extension"));
	assert_int_equal(access(own, F_OK), -1);
	assert_null(row(id));
	must_start(id, FAKE_GOOD);
	ask("host.recording.stop", of(id));
}

static void test_key_and_cookie_are_in_no_argument_environment_or_file(UNUSED void **state)
{
	char id[ID_UUID_SIZE], text[4096];
	id_uuid(id);
	json_t *in = start_doc(id, FAKE_GOOD);
	json_incref(in);
	assert_int_equal(ask("host.recording.start", in).err, 0);
	assert_null(strstr(doc_str(in, "key", ""), "MDEy")); /* the copy in the request is wiped */
	json_decref(in);
	pid_t pid = pid_of(id);
	uid_t uid;
	assert_true(pid > 0 && proc_uid(pid, &uid, NULL));
	assert_int_equal(uid, recorder_account().uid);
	_cleanup_(xfreep) char *command = xasprintf("grep -rlq -e '%.20s' -e 30313233343536 -e 0123456789abcdef %s/data %s/log", KEY, dir, dir);
	assert_int_not_equal(system(command), 0);
	snprintf(text, sizeof text, "/proc/%d/environ", (int)pid);
	_cleanup_(xfreep) char *env = file_read(text, 4096, NULL);
	assert_string_equal(env, "");
	size_t n = proc_cmdline(pid, text, sizeof text);
	assert_int_equal(n, sizeof RECORDER_FILE);
	assert_string_equal(text, RECORDER_FILE);
	snprintf(text, sizeof text, "/proc/%d/status", (int)pid);
	_cleanup_(xfreep) char *status = file_read(text, 8192, NULL);
	assert_non_null(strstr(status, "NoNewPrivs:\t1"));
	assert_non_null(strstr(status, "CapEff:\t0000000000000000"));
	assert_non_null(strstr(status, "Groups:\t \n"));
	ask("host.recording.stop", of(id));
}

static bool has_restarted(void *id)
{
	json_t *r = row(id);
	return doc_int(r, "restarts", 0) >= 1 && str_eq(doc_str(r, "state", ""), "recording");
}

static bool has_gap(const char *id)
{
	struct answer a = ask("host.recording.files", of(id));
	json_t *e;
	size_t n;
	json_array_foreach (json_object_get(a.out, "index"), n, e)
		if (doc_bool(e, "gap", false))
			return true;
	return false;
}

static void test_crashed_recorder_is_replaced_with_a_gap(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	must_start(id, FAKE_CRASHES);
	assert_true(wait_for(has_restarted, id));
	struct answer a = ask("host.recording.stop", of(id));
	assert_int_equal(a.err, 0);
	assert_true(doc_int(a.out, "chunks", 0) >= 2);
	a = ask("host.recording.files", of(id));
	json_t *first = json_array_get(json_object_get(a.out, "index"), 0), *second = json_array_get(json_object_get(a.out, "index"), 1);
	assert_true(doc_bool(first, "torn", false));
	assert_string_equal(doc_str(first, "hash", "1"), doc_str(second, "prev_hash", "2"));
	assert_true(events_of("xrdp.recording.state", "lost") >= 1);
	assert_true(has_gap(id));
}

static void test_silent_recorder_is_replaced(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	host_end();
	settings.timeout_s = 1;
	host_begin();
	must_start(id, FAKE_SILENT);
	pid_t pid = pid_of(id);
	assert_true(wait_for(has_restarted, id));
	assert_int_equal(proc_start(pid), 0);
	struct answer a = ask("host.recording.stop", of(id));
	assert_string_equal(doc_str(a.out, "state", ""), "truncated");
}

static void test_recorder_that_breaks_the_protocol_is_replaced(UNUSED void **state)
{
	static const int manners[] = { FAKE_BABBLES, FAKE_LARGE, FAKE_LEAVES };
	for (size_t n = 0; n < ARRAY_LEN(manners); n++) {
		char id[ID_UUID_SIZE];
		id_uuid(id);
		must_start(id, manners[n]);
		assert_true(wait_for(has_restarted, id));
		ask("host.recording.stop", of(id));
	}
}

static void test_recorder_that_does_not_end_is_killed(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	must_start(id, FAKE_STAYS);
	pid_t pid = pid_of(id);
	struct answer a = ask("host.recording.stop", of(id));
	assert_int_equal(a.err, 0);
	assert_string_equal(doc_str(a.out, "state", ""), "truncated");
	assert_true(doc_int(a.out, "chunks", 0) >= 1);
	assert_int_equal(proc_start(pid), 0);
}

static bool was_lost(void *id)
{
	return doc_int(row(id), "lost", 0) == 1 && is_in_state(NULL);
}

static void test_recorder_that_was_cut_off_is_connected_again(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	must_start(id, FAKE_LOST);
	pid_t pid = pid_of(id);
	wanted.id = id;
	wanted.state = "recording";
	assert_true(wait_for(was_lost, id));
	assert_int_equal(events_of("xrdp.recording.state", "lost"), 1);
	assert_int_equal(pid_of(id), pid);
	assert_string_equal(doc_str(ask("host.recording.stop", of(id)).out, "state", ""), "complete");
}

static void test_loss_ends_the_session_if_the_policy_says_so(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	json_t *in = start_doc(id, FAKE_LOST);
	doc_set_str(json_object_get(in, "config"), "on_loss", "terminate_session");
	assert_int_equal(ask("host.recording.start", in).err, 0);
	x_stop(); /* what ending the desktop does */
	wait_state(id, "complete");
	assert_string_equal(doc_str(row(id), "reason", ""), "desktop_ended");
}

static void test_pause_and_resume(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	must_start(id, FAKE_GOOD);
	assert_string_equal(doc_str(ask("host.recording.pause", of(id)).out, "state", ""), "paused");
	assert_string_equal(doc_str(ask("host.recording.pause", of(id)).out, "reason", ""), "requested");
	assert_string_equal(doc_str(ask("host.recording.resume", of(id)).out, "state", ""), "recording");
	assert_string_equal(doc_str(ask("host.recording.resume", of(id)).out, "state", ""), "recording");
	ask("host.recording.stop", of(id));
	assert_int_equal(ask("host.recording.pause", of(id)).err, ERR_RECORDING_NOT_FOUND);
	assert_int_equal(events_of("xrdp.recording.state", "paused"), 1);
}

static void test_no_recording_starts_below_the_high_water_mark(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	host_end();
	settings.high_water = INT64_MAX / 2;
	host_begin();
	struct answer a = ask("host.recording.start", start_doc(id, FAKE_GOOD));
	assert_int_equal(a.err, ERR_DISK_FULL);
	assert_int_equal(err_status(a.err), 507);
	assert_null(row(id));
}

static bool is_counted(UNUSED void *arg)
{
	return doc_int(doc_get(ask("host.recording.list", json_object()).out, "storage"), "used_bytes", 0) > 0;
}

static void test_no_recording_starts_beyond_the_maximum_size(UNUSED void **state)
{
	char id[ID_UUID_SIZE], other[ID_UUID_SIZE];
	id_uuid(id);
	id_uuid(other);
	must_start(id, FAKE_GOOD);
	ask("host.recording.stop", of(id));
	host_end();
	settings.max_bytes = 100;
	host_begin();
	assert_true(wait_for(is_counted, NULL));
	assert_int_equal(ask("host.recording.start", start_doc(other, FAKE_GOOD)).err, ERR_DISK_FULL);
	assert_true(doc_bool(doc_get(ask("host.recording.list", json_object()).out, "storage"), "full", false));
}

static void test_full_disk_pauses_and_space_resumes(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	must_start(id, FAKE_GOOD);
	host->set.recording.low_water = INT64_MAX / 2;
	wait_state(id, "paused");
	assert_string_equal(doc_str(row(id), "reason", ""), "disk_full");
	assert_string_equal(doc_str(ask("host.recording.resume", of(id)).out, "state", ""), "paused");
	host->set.recording.low_water = 0;
	wait_state(id, "recording");
	ask("host.recording.stop", of(id));
}

static void test_failed_write_pauses_and_is_tried_again(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	must_start(id, FAKE_FULL);
	wait_state(id, "paused");
	clock_shift_ms(15000);
	wait_state(id, "recording");
	ask("host.recording.stop", of(id));
	clock_shift_ms(-15000);
}

static void test_desktop_that_ends_completes_its_recording(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	must_start(id, FAKE_GOOD);
	desktop_gone(desktop(), "ended", 0, 0);
	wait_state(id, "complete");
	assert_string_equal(doc_str(row(id), "reason", ""), "desktop_ended");
	/* until it is acknowledged, also across a restart of the supervisor */
	host_end();
	host_begin();
	assert_string_equal(doc_str(row(id), "state", ""), "complete");
	assert_string_equal(doc_str(ask("host.recording.stop", of(id)).out, "reason", ""), "desktop_ended");
	assert_null(row(id));
	host_end();
	host_begin();
	assert_null(row(id));
}

static bool has_ended(void *pid)
{
	return proc_start(*(pid_t *)pid) == 0;
}

static void test_recording_is_continued_after_the_death_of_the_supervisor(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	must_start(id, FAKE_GOOD);
	pid_t pid = pid_of(id);
	host_end();
	host_begin();
	assert_string_equal(doc_str(row(id), "state", ""), "interrupted");
	assert_true(wait_for(has_ended, &pid));
	must_start(id, FAKE_GOOD);
	struct answer a = ask("host.recording.stop", of(id));
	assert_int_equal(doc_int(a.out, "chunks", 0), 2);
	a = ask("host.recording.files", of(id));
	assert_int_equal(doc_int(json_array_get(json_object_get(a.out, "index"), 1), "seq", 0), 1);
	assert_false(doc_bool(json_array_get(json_object_get(a.out, "index"), 0), "torn", true));
	assert_true(has_gap(id));
}

/* Two recorders never write to one directory: the second one waits for the first, which is slow to see the end of its socket. */
static void test_slow_predecessor_is_waited_for(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	must_start(id, FAKE_DEAF);
	pid_t pid = pid_of(id);
	host_end();
	host_begin();
	json_t *in = start_doc(id, FAKE_GOOD);
	assert_true(proc_start(pid) != 0);
	struct answer a = ask("host.recording.start", in);
	assert_int_equal(a.err, 0);
	assert_int_equal(proc_start(pid), 0);
	ask("host.recording.stop", of(id));
}

static void test_interrupted_recording_is_truncated_when_its_desktop_has_ended(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	must_start(id, FAKE_CRASHES);
	kill(pid_of(id), SIGKILL);
	host_end();
	host_begin();
	desktop_gone(desktop(), "ended", 0, 0);
	wait_state(id, "truncated");
	assert_int_equal(doc_int(row(id), "chunks", 0), 1);
	assert_int_equal(ask("host.recording.start", start_doc(id, FAKE_GOOD)).err, ERR_INSTANCE_NOT_FOUND);
}

static void test_chunks_may_have_a_path_of_their_own(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	_cleanup_(xfreep) char *chunks = xasprintf("%s/data/elsewhere/chunks", dir);
	id_uuid(id);
	host_end();
	chunk_dir = chunks;
	host_begin();
	must_start(id, FAKE_GOOD);
	ask("host.recording.stop", of(id));
	_cleanup_(xfreep) char *chunk = xasprintf("%s/%s/00000000.rck", chunks, id), *manifest = path_of(id, "manifest.json");
	assert_int_equal(access(chunk, F_OK), 0);
	assert_int_equal(access(manifest, F_OK), 0);
	struct answer a = ask("host.recording.files", of(id));
	assert_int_equal(json_array_size(json_object_get(a.out, "chunks")), 1);
	ask("host.recording.remove", of(id));
	assert_int_equal(access(chunk, F_OK), -1);
	assert_int_equal(access(manifest, F_OK), -1);
	chunk_dir = NULL;
}

static bool removed_is_gone(void *path)
{
	return access(path, F_OK) < 0;
}

static void test_interrupted_removal_is_completed_at_the_next_start(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	must_start(id, FAKE_GOOD);
	ask("host.recording.stop", of(id));
	_cleanup_(xfreep) char *own = path_of(id, ""), *moved = xasprintf("%s/data/recordings/.removed-%s", dir, id);
	assert_int_equal(rename(own, moved), 0);
	host_end();
	host_begin();
	assert_true(wait_for(removed_is_gone, moved));
}

static void test_recording_that_was_stopping_is_complete_after_a_restart(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	struct answer a;
	id_uuid(id);
	must_start(id, FAKE_GOOD);
	pid_t pid = pid_of(id);
	ask_begin(&a, "host.recording.stop", of(id));
	host_end(); /* the recorder closes its chunk, but nobody hears it */
	host_begin();
	assert_true(wait_for(has_ended, &pid));
	desktop_gone(desktop(), "ended", 0, 0);
	wait_state(id, "complete");
	assert_int_equal(doc_int(row(id), "chunks", 0), 1);
}

static void test_requested_pause_outlives_the_supervisor(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	id_uuid(id);
	must_start(id, FAKE_GOOD);
	ask("host.recording.pause", of(id));
	host_end();
	host_begin();
	struct answer a = ask("host.recording.start", start_doc(id, FAKE_GOOD));
	assert_int_equal(a.err, 0);
	assert_string_equal(doc_str(a.out, "state", ""), "paused");
	assert_string_equal(doc_str(ask("host.recording.resume", of(id)).out, "state", ""), "recording");
	ask("host.recording.stop", of(id));
}

/* What is written is whole and one chain, whatever dies when: the recorder, the supervisor, both, in the middle of a start too. */
static void verify(const char *id, unsigned at_least)
{
	static struct record_verdict v;
	const struct record_check_args a = { 0 };
	_cleanup_(xfreep) char *own = path_of(id, "");
	_cleanup_(closep) int fd = open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	record_verify_dir(fd, &a, NULL, NULL, &v);
	for (size_t n = 0; n < v.n_kept; n++)
		if (v.findings[n].kind != RECORD_FOUND_MANIFEST) /* that of this test is not signed */
			fail_msg("%s: %s", record_finding_to_string(v.findings[n].kind), v.findings[n].text);
	assert_true(v.chunks >= at_least);
}

#define KILLS 50

static void test_kills_at_random_moments_leave_a_valid_recording(UNUSED void **state)
{
	char id[ID_UUID_SIZE];
	unsigned char r[2], started = 0;
	id_uuid(id);
	must_start(id, FAKE_GOOD);
	for (int n = 0; n < KILLS; n++) {
		struct answer a;
		id_random(r, sizeof r);
		wait_ms(r[0]);
		pid_t pid = pid_of(id);
		if (r[1] & 1 && pid > 0)
			kill(pid, SIGKILL);
		if (r[1] & 1 && r[1] & 2)
			continue; /* the recorder alone: it is replaced */
		host_end();
		host_begin();
		ask_begin(&a, "host.recording.start", start_doc(id, FAKE_GOOD));
		if (r[1] & 4) {
			wait_ms(r[0] / 4);
			json_decref(a.out);
			if (a.come)
				continue;
			host_end(); /* while it starts */
			host_begin();
			ask_begin(&a, "host.recording.start", start_doc(id, FAKE_GOOD));
		}
		assert_true(wait_for(has_come, &a));
		if (a.err)
			fail_msg("%s: %s", err_name(a.err), a.message);
		json_decref(a.out);
		started++;
	}
	struct answer a = ask("host.recording.stop", of(id));
	assert_true(str_eq(doc_str(a.out, "state", ""), "complete") || str_eq(doc_str(a.out, "state", ""), "truncated"));
	verify(id, started);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(UNUSED int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(test_start_answers_with_the_first_picture_and_stop_with_the_end),
		T(test_files_are_listed_read_written_and_removed),
		T(test_links_in_a_directory_are_not_followed),
		T(test_unsuitable_starts_are_refused),
		T(test_missing_recorder_is_reported),
		T(test_failed_start_leaves_nothing),
		T(test_key_and_cookie_are_in_no_argument_environment_or_file),
		T(test_crashed_recorder_is_replaced_with_a_gap),
		T(test_silent_recorder_is_replaced),
		T(test_recorder_that_breaks_the_protocol_is_replaced),
		T(test_recorder_that_does_not_end_is_killed),
		T(test_recorder_that_was_cut_off_is_connected_again),
		T(test_loss_ends_the_session_if_the_policy_says_so),
		T(test_pause_and_resume),
		T(test_no_recording_starts_below_the_high_water_mark),
		T(test_no_recording_starts_beyond_the_maximum_size),
		T(test_full_disk_pauses_and_space_resumes),
		T(test_failed_write_pauses_and_is_tried_again),
		T(test_desktop_that_ends_completes_its_recording),
		T(test_recording_is_continued_after_the_death_of_the_supervisor),
		T(test_slow_predecessor_is_waited_for),
		T(test_interrupted_recording_is_truncated_when_its_desktop_has_ended),
		T(test_recording_that_was_stopping_is_complete_after_a_restart),
		T(test_requested_pause_outlives_the_supervisor),
		T(test_kills_at_random_moments_leave_a_valid_recording),
		T(test_chunks_may_have_a_path_of_their_own),
		T(test_interrupted_removal_is_completed_at_the_next_start),
	};
	if (str_eq(argv[0], RECORDER_FILE))
		return fake_recorder();
	char *self = program_path();
	str_copy(program, sizeof program, self);
	free(self);
	snprintf(dir, sizeof dir, "/tmp/lrdp-rec-XXXXXX");
	if (geteuid() != 0 || !mkdtemp(dir)) {
		fprintf(stderr, "recordings need root\n");
		return 1;
	}
	loop = loop_new();
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	loop_free(loop);
	fs_remove_tree(dir);
	return r;
}
