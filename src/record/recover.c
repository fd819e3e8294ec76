#include "record/recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

#include "lucid/record_reader.h"
#include "record/files.h"

#define PIECE 65536

static int recover_fail(char why[RECORD_WHY_SIZE], int rc, const char *fmt, ...) PRINTF(3, 4);
static int recover_fail(char why[RECORD_WHY_SIZE], int rc, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, RECORD_WHY_SIZE, fmt, ap);
	va_end(ap);
	return rc;
}

/* One more than the greatest number of a chunk file; 0: there are none. -errno. */
static int64_t count_files(int dir_fd)
{
	int64_t n = 0;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int err = errno;
		fd_close(&fd);
		return -err;
	}
	for (struct dirent *e; (e = readdir(d));) {
		unsigned seq;
		char name[RECORD_NAME_SIZE];
		if (sscanf(e->d_name, "%8u.rck", &seq) == 1 && seq < RECORD_CHUNKS_MAX && strcmp(record_chunk_name(name, seq), e->d_name) == 0)
			n = MAX(n, (int64_t)seq + 1);
	}
	closedir(d);
	return n;
}

/* Reads the file into reader and hash. 0 or -errno. */
static int scan_file(int fd, struct record_reader *r, uint64_t *ret_size, uint8_t ret_hash[RECORD_HASH_BYTES])
{
	_cleanup_(xfreep) uint8_t *piece = xmalloc(PIECE);
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	ssize_t got = -1;
	uint64_t size = 0;
	if (!hash || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
		abort(); /* libcrypto without SHA-256 */
	while (size <= RECORD_FILE_MAX && ((got = read(fd, piece, PIECE)) > 0 || (got < 0 && errno == EINTR))) {
		if (got < 0)
			continue;
		size += (uint64_t)got;
		EVP_DigestUpdate(hash, piece, (size_t)got);
		record_reader_feed(r, piece, (size_t)got);
	}
	int err = errno;
	EVP_DigestFinal_ex(hash, ret_hash, NULL);
	EVP_MD_CTX_free(hash);
	*ret_size = size;
	return got < 0 ? -err : size > RECORD_FILE_MAX ? -EFBIG : 0;
}

/* The entry of a chunk that the index does not list. `end_ms`: end of the chunk before. */
static int describe_chunk(int dir_fd, const uint8_t id[RECORD_ID_BYTES], const struct record_recovered *at, struct record_index_entry *ret, char why[RECORD_WHY_SIZE])
{
	char name[RECORD_NAME_SIZE];
	uint64_t size;
	uint32_t seq = at->next_seq;
	_cleanup_(closep) int fd = record_open(dir_fd, record_chunk_name(name, seq));
	if (fd < 0)
		return recover_fail(why, fd, "%s: %s", name, strerror(-fd));
	struct record_reader *r = record_reader_new(&(struct record_reader_args){ .id = id, .seq = seq });
	const struct record_progress *p = record_reader_progress(r);
	*ret = (struct record_index_entry){ .seq = seq, .t0_ms = at->end_ms, .flags = RECORD_ENTRY_REBUILT };
	int rc = scan_file(fd, r, &size, ret->hash);
	const struct record_header *h = record_reader_header(r);
	if (rc == 0 && record_reader_feed(r, "", 0) == RECORD_OTHER_CHUNK)
		rc = recover_fail(why, -EBADMSG, "%s: %s", name, record_reader_why(r));
	else if (rc == 0 && h && (memcmp(h->prev_hash, at->prev_hash, sizeof h->prev_hash) != 0 || h->t0_ms < at->end_ms))
		rc = recover_fail(why, -EBADMSG, "%s does not continue the chunk before it", name);
	else if (rc < 0)
		recover_fail(why, rc, "%s: %s", name, strerror(-rc));
	if (h) {
		ret->width = h->width;
		ret->height = h->height;
		ret->t0_ms = h->t0_ms;
	}
	ret->flags |= (p->complete && p->valid == size ? 0 : RECORD_ENTRY_TORN) | (p->gap ? RECORD_ENTRY_GAP : 0);
	ret->duration_ms = p->last_ms;
	ret->frames = p->frames;
	ret->bytes = (uint32_t)size;
	memcpy(ret->activity, p->activity, sizeof ret->activity);
	memcpy(ret->prev_hash, at->prev_hash, sizeof ret->prev_hash);
	record_reader_free(r);
	if (rc == 0 && (fsync(fd) < 0 && errno != EROFS))
		rc = recover_fail(why, -errno, "%s: %s", name, strerror(errno));
	return rc;
}

/* What the index says last. */
static int begin_after_index(int dir_fd, const struct index_file *f, struct record_recovered *ret, char why[RECORD_WHY_SIZE])
{
	uint8_t bytes[RECORD_ENTRY_BYTES];
	char name[RECORD_NAME_SIZE];
	struct record_index_entry e;
	ret->next_seq = f->entries;
	if (!f->entries)
		return 0;
	int rc = index_file_read(f, f->entries - 1, bytes);
	if (rc < 0)
		return recover_fail(why, rc, "the index: %s", strerror(-rc));
	if (!record_entry_get(&e, bytes) || e.seq != f->entries - 1)
		return recover_fail(why, -EBADMSG, "entry %u of the index was modified", f->entries - 1);
	if (faccessat(dir_fd, record_chunk_name(name, e.seq), F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return recover_fail(why, errno == ENOENT ? -EBADMSG : -errno, "%s, which the index lists: %s", name, strerror(errno));
	memcpy(ret->prev_hash, e.hash, sizeof ret->prev_hash);
	ret->end_ms = e.t0_ms + e.duration_ms;
	return 0;
}

static int list_chunk(struct index_file *f, const struct record_index_entry *e, struct record_recovered *at, char why[RECORD_WHY_SIZE])
{
	uint8_t bytes[RECORD_ENTRY_BYTES];
	record_entry_put(bytes, e);
	int rc = index_file_add(f, bytes);
	if (rc < 0)
		return recover_fail(why, rc, "the index: %s", strerror(-rc));
	at->next_seq++;
	at->added++;
	at->torn += e->flags & RECORD_ENTRY_TORN;
	at->end_ms = e->t0_ms + e->duration_ms;
	memcpy(at->prev_hash, e->hash, sizeof at->prev_hash);
	return 0;
}

int record_recover(int dir_fd, const uint8_t id[RECORD_ID_BYTES], void (*on_entry)(void *arg, const struct record_index_entry *e), void *arg,
		   struct record_recovered *ret, char why[RECORD_WHY_SIZE])
{
	struct index_file f;
	struct record_recovered at = { 0 };
	struct record_index_entry e;
	int rc = index_file_open(dir_fd, &f);
	if (rc < 0)
		return recover_fail(why, rc, rc == -EWOULDBLOCK ? "another process writes this recording" : "the index: %s", strerror(-rc));
	int64_t files = count_files(dir_fd);
	rc = files < 0 ? recover_fail(why, (int)files, "the directory: %s", strerror((int)-files)) : begin_after_index(dir_fd, &f, &at, why);
	while (rc == 0 && at.next_seq < files) {
		rc = describe_chunk(dir_fd, id, &at, &e, why);
		if (rc == 0)
			rc = list_chunk(&f, &e, &at, why);
		if (rc == 0 && on_entry)
			on_entry(arg, &e);
	}
	index_file_close(&f);
	if (rc == 0)
		*ret = at;
	return rc;
}
