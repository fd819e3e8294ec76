/* A host with recordings in real files, as the agent of a session controller (sessions_rig.h). For test_recordings*.c. */
#ifndef RECORDINGS_RIG_H
#define RECORDINGS_RIG_H

#include "sessions_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "lucid/record_papers.h"
#include "lucid/source.h"
#include "record/writer.h"
#include "roles/rdp-session-controller/recording/recordings.h"

#define WIDTH 64
#define HEIGHT 48
#define KEY_ONE "MASTER_KEY=0123456789abcdef0123456789abcdef"
#define KEY_TWO "MASTER_KEY=fedcba9876543210fedcba9876543210"
#define OLD_ONE "MASTER_KEYS_OLD=0123456789abcdef0123456789abcdef"

/* One recording at a time; an ended one keeps its files. */
static struct {
	struct loop *loop;
	struct rig *rig;
	char dir[64], id[ID_UUID_SIZE], state[16], server[ID_UUID_SIZE];
	int display, dir_fd;
	struct record_writer *writer; /* NULL: none is running */
	uint8_t key[32];
	int64_t start_us, now_ms; /* time of the recording */
	bool listed, mute;	  /* mute: no events */
	int refuses;		  /* error of the next start */
	unsigned starts, stops;
	char manifest[8192];
} host;

/* --- files */

static void host_path(char dst[200], const char *id, const char *name)
{
	snprintf(dst, 200, "%s/%s/%s", host.dir, id, name);
}

static char *host_read(const char *id, const char *name, size_t *ret_len)
{
	char path[200];
	struct stat st;
	host_path(path, id, name);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return NULL;
	assert_int_equal(fstat(fd, &st), 0);
	char *text = xcalloc(1, (size_t)st.st_size + 1);
	assert_int_equal(read(fd, text, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_len = (size_t)st.st_size;
	return text;
}

static void host_write(const char *id, const char *name, const void *data, size_t len)
{
	char path[200];
	host_path(path, id, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

UNUSED static bool host_has(const char *id)
{
	char path[200];
	host_path(path, id, "");
	return access(path, F_OK) == 0;
}

static void host_remove(const char *id)
{
	char path[200];
	host_path(path, id, "");
	DIR *d = opendir(path);
	struct dirent *e;
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}

/* --- the recorder */

static void host_chunk(UNUSED void *arg, const struct record_index_entry *e)
{
	json_t *doc = record_entry_doc(e);
	doc_set_str(doc, "recording_id", host.id);
	if (host.mute)
		json_decref(doc);
	else
		bus_publish(host.rig->front->bus, "xrdp.recording.chunk", host.server, "", doc);
}

/* A picture of one colour, this many ms after the one before. */
static void host_picture(int64_t later_ms, uint8_t colour)
{
	static uint8_t pixels[WIDTH * HEIGHT * 4];
	struct record_rect all = { 0, 0, WIDTH, HEIGHT, pixels, WIDTH * 4 };
	host.now_ms += later_ms;
	int64_t us = host.start_us + host.now_ms * 1000;
	for (size_t i = 0; i < sizeof pixels; i++)
		pixels[i] = i % 4 == 3 ? 0 : (uint8_t)(colour + i / 999);
	assert_int_equal(record_writer_tick(host.writer, us), 0);
	bool key = record_writer_wants_key(host.writer, us, WIDTH, HEIGHT);
	if (!key)
		all.h = HEIGHT / 2;
	assert_int_equal(record_writer_frame(host.writer, us, WIDTH, HEIGHT, key, WIDTH * HEIGHT, &all, 1), 0);
	assert_int_equal(record_writer_tick(host.writer, us + 1100000), 0); /* it is written */
}

static int from_base64(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : 0;
}

static json_t *host_item(void)
{
	return json_pack("{s:s, s:s, s:i, s:s, s:i, s:i, s:{s:{s:i, s:i, s:i, s:i}}}", "recording_id", host.id, "server_id", host.server, "display", host.display, "state", host.state,
			 "width", WIDTH, "height", HEIGHT, "figures", "compression", "items", 7, "bytes_out", 700, "ns_sum", 14000000, "ns_max", 3000000);
}

static void host_begin(const json_t *body)
{
	const char *key = doc_str(body, "key", "");
	char path[200];
	str_copy(host.id, sizeof host.id, doc_str(body, "recording_id", ""));
	str_copy(host.server, sizeof host.server, doc_str(body, "server_id", ""));
	str_copy(host.manifest, sizeof host.manifest, doc_str(body, "manifest", ""));
	str_copy(host.state, sizeof host.state, "recording");
	host.display = (int)doc_int(body, "display", 0);
	host.now_ms = 0;
	host.start_us = clock_mono_us();
	host.listed = true;
	host_path(path, host.id, "");
	mkdir(path, 0700);
	host.dir_fd = open(path, O_RDONLY | O_DIRECTORY);
	host_write(host.id, RECORD_MANIFEST, host.manifest, strlen(host.manifest));
	for (size_t i = 0, n = 0; n < 32; i += 4) {
		int v = from_base64(key[i]) << 18 | from_base64(key[i + 1]) << 12 | from_base64(key[i + 2]) << 6 | from_base64(key[i + 3]);
		for (int k = 16; k >= 0 && n < 32; k -= 8)
			host.key[n++] = (uint8_t)(v >> k);
	}
	struct record_writer_args a = { .dir_fd = host.dir_fd, .key = host.key, .codec = RECORD_ZSTD, .cipher = record_cipher_here(), .chunk_ms = 5000, .start_us = host.start_us,
					.on_chunk = host_chunk };
	assert_true(record_id_parse(host.id, a.id));
	assert_int_equal(record_writer_new(&a, &host.writer), 0);
	host_picture(0, 10);
}

static void host_end(const char *state)
{
	if (host.writer) {
		assert_int_equal(record_writer_close_chunk(host.writer), 0);
		record_writer_free(TAKE_PTR(host.writer));
		close(host.dir_fd);
	}
	str_copy(host.state, sizeof host.state, state);
}

/* --- the operations of the agent */

static void host_start(struct call *c, UNUSED void *arg)
{
	host.starts++;
	if (host.refuses) {
		call_fail(c, host.refuses, NULL);
		host.refuses = 0;
		return;
	}
	host_begin(call_body(c));
	json_t *doc = host_item();
	doc_set_str(doc, "first_picture_at", LATER);
	call_ok(c, doc);
}

static void host_stop(struct call *c, UNUSED void *arg)
{
	host.stops++;
	if (!str_eq(call_param(c, "recording_id"), host.id)) {
		call_fail(c, ERR_RECORDING_NOT_FOUND, NULL);
		return;
	}
	if (host.writer)
		host_end("complete");
	host.listed = false;
	call_ok(c, json_pack("{s:s, s:s, s:s}", "recording_id", host.id, "state", host.state, "reason", "stopped"));
}

static void host_list(struct call *c, UNUSED void *arg)
{
	json_t *list = json_array();
	if (host.listed)
		json_array_append_new(list, host_item());
	call_ok(c, json_pack("{s:o}", "recordings", list));
}

static void host_files(struct call *c, UNUSED void *arg)
{
	const char *id = call_param(c, "recording_id");
	size_t len = 0, n = 0;
	_cleanup_(xfreep) char *manifest = host_read(id, RECORD_MANIFEST, &len), *seal = host_read(id, RECORD_SEAL, &len), *index = NULL;
	if (!manifest) {
		call_fail(c, ERR_RECORDING_NOT_FOUND, NULL);
		return;
	}
	json_t *out = json_object(), *entries = json_array(), *chunks = json_array();
	doc_set_str(out, "manifest", manifest);
	doc_set_str(out, "seal", seal);
	len = 0;
	index = host_read(id, RECORD_INDEX, &len);
	for (; (n + 1) * RECORD_ENTRY_BYTES <= len; n++) {
		struct record_index_entry e;
		if ((int64_t)n < doc_int(call_query(c), "from_seq", 0) || !record_entry_get(&e, (const uint8_t *)index + n * RECORD_ENTRY_BYTES))
			continue;
		json_array_append_new(entries, record_entry_doc(&e));
		json_array_append_new(chunks, json_pack("{s:i, s:i, s:b}", "seq", (int)e.seq, "bytes", (int)e.bytes, "closed", 1));
	}
	char name[RECORD_NAME_SIZE];
	_cleanup_(xfreep) char *open_chunk = host_read(id, record_chunk_name(name, (uint32_t)n), &len);
	if (open_chunk)
		json_array_append_new(chunks, json_pack("{s:i, s:i, s:b}", "seq", (int)n, "bytes", (int)len, "closed", 0));
	doc_set(out, "index", entries);
	doc_set(out, "chunks", chunks);
	doc_set_bool(out, "more", false);
	call_ok(c, out);
}

struct host_file {
	char *text;
	size_t len, at;
};

static void host_want(struct source *s, void *ctx)
{
	struct host_file *f = ctx;
	size_t n = MIN(f->len - f->at, (size_t)333);
	if (!n) {
		source_end(s);
		return;
	}
	struct blob *piece = blob_new(f->text + f->at, n);
	f->at += n;
	source_put(s, piece);
}

static void host_close(void *ctx)
{
	free(((struct host_file *)ctx)->text);
	free(ctx);
}

static void host_file(struct call *c, UNUSED void *arg)
{
	static const struct source_ops ops = { host_want, host_close };
	struct host_file *f = XNEW(struct host_file);
	f->text = host_read(call_param(c, "recording_id"), call_param(c, "name"), &f->len);
	if (f->text) {
		call_ok_source(c, source_new(host.loop, &ops, f), "application/octet-stream");
		return;
	}
	free(f);
	call_fail(c, ERR_RECORDING_NOT_FOUND, NULL);
}

static void host_write_op(struct call *c, UNUSED void *arg)
{
	const char *text = doc_str(call_body(c), "text", "");
	host_write(call_param(c, "recording_id"), call_param(c, "name"), text, strlen(text));
	call_ok(c, json_pack("{s:s, s:i}", "name", call_param(c, "name"), "bytes", (int)strlen(text)));
}

static void host_remove_op(struct call *c, UNUSED void *arg)
{
	host_remove(call_param(c, "recording_id"));
	call_ok(c, NULL);
}

static void host_serve(struct bus *b)
{
	static const struct {
		const char *op;
		call_handler fn;
	} rows[] = {
		{ "xrdp.recordings.start", host_start }, { "xrdp.recordings.stop", host_stop },	  { "xrdp.recordings.list", host_list },
		{ "xrdp.recordings.files", host_files }, { "xrdp.recordings.file", host_file },	  { "xrdp.recordings.write", host_write_op },
		{ "xrdp.recordings.remove", host_remove_op },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		bus_serve(b, op_find(rows[i].op), rows[i].fn, NULL);
}

/* --- the rig, with a session of anna on display 10 */

static void recordings_open(struct rig *t, const char *const *settings, char session[SESSION_ID_SIZE])
{
	static const char *const key[] = { KEY_ONE, NULL };
	memset(&host, 0, sizeof host);
	str_copy(host.dir, sizeof host.dir, "/tmp/lrdp-recordings-XXXXXX");
	assert_non_null(mkdtemp(host.dir));
	rig_serve_more = host_serve;
	rig_open(t, 1, settings ? settings : key);
	host.loop = t->loop;
	host.rig = t;
	rig_desktop(t, ONE, "ann", 10, EARLY, "active", "c1");
	SHOWN(t, "active 10");
	rig_id(t, 0, session);
}

static void recordings_close(struct rig *t)
{
	host_end("complete");
	rig_close(t);
	if (*host.id)
		host_remove(host.id);
	assert_int_equal(rmdir(host.dir), 0);
}

static struct recordings *rig_recordings(struct rig *t)
{
	return side_controller(t->front)->recordings;
}

static void recordings_call(struct rig *t, struct answer *a, const struct caller *who, const char *op, const char *session, const char *second, const char *query, const char *body)
{
	const char *texts[2] = { query, body };
	json_t *docs[2] = { NULL, NULL };
	for (int i = 0; i < 2; i++) {
		_cleanup_(xfreep) char *text = xstrdup(texts[i] ? texts[i] : "");
		for (char *p = text; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		docs[i] = texts[i] ? doc_parse(text, strlen(text), NULL, 0) : NULL;
	}
	json_decref(a->doc);
	*a = (struct answer){ 0 };
	bus_call(t->front->bus, &(struct call_args){ .op = op_find(op), .caller = who, .params = { session, second }, .query = docs[0], .body = docs[1] }, rig_answered, a);
	json_decref(docs[0]);
	json_decref(docs[1]);
	RIG_UNTIL(t, a->over);
}

/* The content of a chunk. */
struct content {
	bool over, closed, zstd;
	int err;
	struct strbuf bytes;
	struct source *source;
};

static void content_piece(struct blob *piece, int err, UNUSED const char *why, void *arg)
{
	struct content *c = arg;
	if (piece) {
		strbuf_add(&c->bytes, piece->data, piece->len);
		source_read(c->source, content_piece, c);
		return;
	}
	c->err = err;
	c->over = true;
}

static void content_answered(const struct reply *r, void *arg)
{
	struct content *c = arg;
	for (size_t i = 0; i < REPLY_HEADERS && r->headers[i].name; i++) {
		c->closed |= str_eq(r->headers[i].name, "X-Chunk-Closed") && str_eq(r->headers[i].value, "true");
		c->zstd |= str_eq(r->headers[i].name, "Content-Encoding") && str_eq(r->headers[i].value, "zstd");
	}
	if (r->err) {
		c->err = r->err;
		c->over = true;
		return;
	}
	c->source = source_ref(r->source);
	source_read(c->source, content_piece, c);
}

static void content_read(struct rig *t, struct content *c, const struct caller *who, const char *session, const char *n, int64_t from, bool zstd)
{
	json_t *query = json_object();
	doc_set_int(query, "from", from);
	*c = (struct content){ 0 };
	bus_call(t->front->bus, &(struct call_args){ .op = op_find("sessions.chunk_records"), .caller = who, .params = { session, n }, .query = query, .accepts_zstd = zstd },
		 content_answered, c);
	json_decref(query);
	RIG_UNTIL(t, c->over);
	source_close(c->source);
}

#endif
