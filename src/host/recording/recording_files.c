#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "host/recording/recording.h"
#include "host/recording/recordings.h"
#include "lucid/record.h"
#include "lucid/str.h"
#include "sys/child/job.h"
#include "sys/files.h"

/* The files of recordings that run or are over: what there is, one of them, the two documents, and removal. */

#define FILES_MS 15000
#define WRITE_MS 8000
#define REMOVE_MS 55000
#define DOCUMENT_MAX 65536
#define CHUNKS_MAX 4096 /* in an answer */
#define CHUNK_DIGITS 8

static const char no_files[] = "this host has no files of this recording";

/* --- what there is */

/* A request in progress. The job prints: three lengths, "MANIFEST SEAL ENTRIES MORE\n"; manifest; seal; entries as stored; then a line "SEQ
 * BYTES" for each chunk. */
struct files_request {
	struct host *host;
	struct recording_dirs dirs;
	uint32_t from, limit;
	host_done done;
	void *arg;
};

static char *document_read(const struct recording_dirs *d, const char *name)
{
	_cleanup_(closep) int fd = recording_dirs_open(d, name);
	return fd < 0 ? NULL : file_read_fd(fd, DOCUMENT_MAX, NULL);
}

static bool write_whole(int out, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		ssize_t n = write(out, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool chunk_number(const char *name, uint32_t *ret)
{
	char want[RECORD_NAME_SIZE];
	int64_t n;
	if (strlen(name) <= CHUNK_DIGITS)
		return false;
	_cleanup_(xfreep) char *digits = xstrndup(name, CHUNK_DIGITS);
	if (!str_int(digits, 0, 99999999, &n))
		return false;
	*ret = (uint32_t)n;
	return str_eq(record_chunk_name(want, *ret), name);
}

/* Chunks from `from` to `to`, and those without an entry, which has the number `closed`. */
static bool chunks_print(const char *dir, uint32_t from, uint32_t to, uint32_t closed, int out)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;
	while (d && (e = readdir(d)) && n < CHUNKS_MAX) {
		uint32_t seq;
		struct stat st;
		if (!chunk_number(e->d_name, &seq) || seq < from || (seq >= to && seq < closed) ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		n++;
		if (dprintf(out, "%u %lld\n", seq, (long long)st.st_size) < 0)
			break;
	}
	if (d)
		closedir(d);
	return d != NULL;
}

static int files_run(void *arg, int out)
{
	const struct files_request *q = arg;
	_cleanup_(xfreep) char *manifest = document_read(&q->dirs, RECORD_MANIFEST), *seal = document_read(&q->dirs, RECORD_SEAL);
	_cleanup_(closep) int fd = recording_dirs_open(&q->dirs, RECORD_INDEX);
	_cleanup_(xfreep) uint8_t *entries = xmalloc((size_t)q->limit * RECORD_ENTRY_BYTES);
	struct stat st = { 0 };
	if (!manifest && fd < 0)
		return 1;
	if (fd >= 0 && fstat(fd, &st) < 0)
		return PREPARE_FAILED;
	uint32_t all = (uint32_t)MIN(st.st_size / RECORD_ENTRY_BYTES, (off_t)RECORD_CHUNKS_MAX);
	ssize_t got = fd < 0 ? 0 : pread(fd, entries, (size_t)q->limit * RECORD_ENTRY_BYTES, (off_t)q->from * RECORD_ENTRY_BYTES);
	uint32_t n = got > 0 ? (uint32_t)(got / RECORD_ENTRY_BYTES) : 0;
	size_t m = manifest ? strlen(manifest) : 0, s = seal ? strlen(seal) : 0;
	bool ok = dprintf(out, "%zu %zu %u %u\n", m, s, n, all) > 0 && write_whole(out, manifest, m) && write_whole(out, seal, s) &&
		  write_whole(out, entries, (size_t)n * RECORD_ENTRY_BYTES) && chunks_print(q->dirs.chunks, q->from, q->from + n, all, out);
	return ok ? 0 : PREPARE_FAILED;
}

static json_t *text_or_null(const char *s, size_t len)
{
	return len ? json_stringn(s, len) : json_null();
}

static json_t *entries_doc(const char *raw, uint32_t n)
{
	json_t *list = json_array();
	struct record_index_entry e;
	for (uint32_t k = 0; k < n; k++)
		if (record_entry_get(&e, (const uint8_t *)raw + (size_t)k * RECORD_ENTRY_BYTES))
			json_array_append_new(list, record_entry_doc(&e));
	return list;
}

static int by_seq(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	int64_t p = doc_int(*x, "seq", 0), q = doc_int(*y, "seq", 0);
	return p < q ? -1 : p > q;
}

static json_t *chunks_doc(const char *lines, uint32_t closed)
{
	json_t *list = json_array();
	static json_t *found[CHUNKS_MAX];
	size_t n = 0;
	unsigned seq;
	long long bytes;
	for (const char *p = lines; n < CHUNKS_MAX && sscanf(p, "%u %lld", &seq, &bytes) == 2; p++) {
		json_t *d = json_object();
		doc_set_int(d, "seq", seq);
		doc_set_int(d, "bytes", bytes);
		doc_set_bool(d, "closed", seq < closed);
		found[n++] = d;
		p = strchr(p, '\n');
		if (!p)
			break;
	}
	qsort(found, n, sizeof found[0], by_seq);
	for (size_t k = 0; k < n; k++)
		json_array_append_new(list, found[k]);
	return list;
}

/* NULL: the text is not complete. */
static json_t *files_doc(const struct files_request *q, const char *text, size_t len)
{
	size_t m, s;
	uint32_t n, all;
	const char *p = memchr(text, '\n', len);
	if (!p || sscanf(text, "%zu %zu %u %u", &m, &s, &n, &all) != 4 || n > q->limit || m > DOCUMENT_MAX || s > DOCUMENT_MAX)
		return NULL;
	p++;
	if ((size_t)(text + len - p) < m + s + (size_t)n * RECORD_ENTRY_BYTES)
		return NULL;
	json_t *out = json_object();
	doc_set(out, "manifest", text_or_null(p, m));
	doc_set(out, "seal", text_or_null(p + m, s));
	doc_set(out, "index", entries_doc(p + m + s, n));
	doc_set(out, "chunks", chunks_doc(p + m + s + (size_t)n * RECORD_ENTRY_BYTES, all));
	doc_set_bool(out, "more", n && q->from + n < all);
	return out;
}

static void on_files(void *arg, int code, const char *text, size_t len)
{
	struct files_request *q = arg;
	json_t *out = code == 0 ? files_doc(q, text, len) : NULL;
	if (out)
		host_answer(q->host, q->done, q->arg, ERR_OK, NULL, out);
	else if (code == 1)
		host_answer(q->host, q->done, q->arg, ERR_RECORDING_NOT_FOUND, no_files, NULL);
	else
		host_answer(q->host, q->done, q->arg, ERR_RECORDING_STORAGE, NULL, NULL);
	recording_dirs_done(&q->dirs);
	free(q);
}

static bool id_of_request(struct host *h, const json_t *in, host_done done, void *arg)
{
	if (id_is_uuid(doc_str(in, "recording_id", "")))
		return true;
	host_answer(h, done, arg, ERR_RECORDING_NOT_FOUND, NULL, NULL);
	return false;
}

void host_recording_files(struct host *h, const json_t *in, host_done done, void *arg)
{
	if (!id_of_request(h, in, done, arg))
		return;
	struct files_request *q = XNEW(struct files_request);
	*q = (struct files_request){ .host = h, .done = done, .arg = arg };
	recording_dirs_of(&q->dirs, h, doc_str(in, "recording_id", ""));
	q->from = (uint32_t)MIN(MAX(doc_int(in, "from_seq", 0), 0), (int64_t)RECORD_CHUNKS_MAX);
	q->limit = (uint32_t)MIN(MAX(doc_int(in, "limit", 500), 1), 1000);
	job_start(h->children, files_run, q, FILES_MS, on_files, q);
}

/* --- one of them */

int host_recording_file(struct host *h, const json_t *in, const char **ret_why)
{
	struct recording_dirs d;
	const char *id = doc_str(in, "recording_id", ""), *name = doc_str(in, "name", "");
	uint32_t seq;
	*ret_why = "this recording has no such file on this host; its files are manifest.json, seal.json, index and chunks such as 00000000.rck";
	if (!id_is_uuid(id) || !(recording_is_document(name) || str_eq(name, RECORD_INDEX) || chunk_number(name, &seq)))
		return -ERR_RECORDING_NOT_FOUND;
	recording_dirs_of(&d, h, id);
	_cleanup_(closep) int fd = recording_dirs_open(&d, name);
	recording_dirs_done(&d);
	if (fd < 0 || lseek(fd, (off_t)MAX(doc_int(in, "from", 0), 0), SEEK_SET) < 0)
		return -ERR_RECORDING_NOT_FOUND;
	return TAKE_FD(fd);
}

/* --- the documents */

struct write_request {
	struct host *host;
	struct recording_document doc;
	host_done done;
	void *arg;
};

static void on_written(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct write_request *q = arg;
	json_t *out = code == 0 ? json_object() : NULL;
	if (out) {
		doc_set_str(out, "name", q->doc.name);
		doc_set_int(out, "bytes", (int64_t)strlen(q->doc.text));
		host_answer(q->host, q->done, q->arg, ERR_OK, NULL, out);
	} else if (code == PREPARE_EXISTS) {
		host_answer(q->host, q->done, q->arg, ERR_RECORDING_NOT_FOUND, no_files, NULL);
	} else {
		_cleanup_(xfreep) char *why = xasprintf("a document of the recording cannot be written: %s", *text ? text : "the storage does not respond");
		host_answer(q->host, q->done, q->arg, code == PREPARE_FULL ? ERR_DISK_FULL : ERR_RECORDING_STORAGE, code == PREPARE_FULL ? NULL : why, NULL);
	}
	recording_dirs_done(&q->doc.dirs);
	free(q->doc.name);
	free(q->doc.text);
	free(q);
}

void host_recording_write(struct host *h, const json_t *in, host_done done, void *arg)
{
	const char *name = doc_str(in, "name", "");
	if (!id_of_request(h, in, done, arg))
		return;
	if (!recording_is_document(name)) {
		host_answer(h, done, arg, ERR_RECORDING_NOT_FOUND, "only manifest.json and seal.json can be written", NULL);
		return;
	}
	struct write_request *q = XNEW(struct write_request);
	*q = (struct write_request){ .host = h, .done = done, .arg = arg };
	recording_dirs_of(&q->doc.dirs, h, doc_str(in, "recording_id", ""));
	q->doc.name = xstrdup(name);
	q->doc.text = xstrdup(doc_str(in, "text", ""));
	job_start(h->children, recording_document_run, &q->doc, WRITE_MS, on_written, q);
}

/* --- removal */

struct remove_request {
	struct host *host;
	struct recording_dirs dirs;
	host_done done;
	void *arg;
};

static void on_removed(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct remove_request *q = arg;
	if (code == 0) {
		json_t *out = json_object();
		doc_set_str(out, "recording_id", q->dirs.id);
		host_answer(q->host, q->done, q->arg, ERR_OK, NULL, out);
	} else if (code == -ERR_DEADLINE) {
		host_answer(q->host, q->done, q->arg, ERR_DEADLINE, "the recording is being removed, but the storage is slow; repeat the request", NULL);
	} else {
		_cleanup_(xfreep) char *why = xasprintf("the recording cannot be removed: %s; repeat the request", *text ? text : "the job failed");
		host_answer(q->host, q->done, q->arg, ERR_RECORDING_STORAGE, why, NULL);
	}
	recording_dirs_done(&q->dirs);
	free(q);
}

void host_recording_remove(struct host *h, const json_t *in, host_done done, void *arg)
{
	if (!id_of_request(h, in, done, arg))
		return;
	if (!recordings_forget(h, doc_str(in, "recording_id", ""))) {
		host_answer(h, done, arg, ERR_RECORDING_STATE, "the recording has not ended; stop it first", NULL);
		return;
	}
	struct remove_request *q = XNEW(struct remove_request);
	*q = (struct remove_request){ .host = h, .done = done, .arg = arg };
	recording_dirs_of(&q->dirs, h, doc_str(in, "recording_id", ""));
	job_start(h->children, recording_remove_run, &q->dirs, REMOVE_MS, on_removed, q);
}
