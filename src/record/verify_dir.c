#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lucid/record_verify.h"
#include "record/files.h"

#define PIECE ((size_t)256 << 10)

struct directory {
	int fd;
	uint8_t *piece;
	void (*progress)(void *arg, uint64_t bytes);
	void *arg;
	uint64_t done;
};

/* Reads the chunk into the check. */
static int read_chunk(struct directory *d, struct record_check *c, uint32_t seq)
{
	char name[RECORD_NAME_SIZE];
	ssize_t got;
	uint64_t size = 0;
	_cleanup_(closep) int fd = record_open(d->fd, record_chunk_name(name, seq));
	if (fd < 0)
		return fd;
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while ((got = read(fd, d->piece, PIECE)) > 0 || (got < 0 && errno == EINTR)) {
		if (got < 0)
			continue;
		record_check_chunk_data(c, d->piece, (size_t)got);
		size += (uint64_t)got;
		d->done += (uint64_t)got;
		if (d->progress)
			d->progress(d->arg, d->done);
		if (size > RECORD_FILE_MAX)
			return -EFBIG;
	}
	return got < 0 ? -errno : 0;
}

static void check_chunk(struct directory *d, struct record_check *c, uint32_t seq)
{
	record_check_chunk_begin(c, seq);
	record_check_chunk_end(c, read_chunk(d, c, seq));
}

/* Chunk files beyond those that index and seal list. */
static void check_others(struct directory *d, struct record_check *c)
{
	int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		fd_close(&fd);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		unsigned seq;
		char name[RECORD_NAME_SIZE];
		if (sscanf(e->d_name, "%8u.rck", &seq) != 1 || seq < record_check_chunks(c) || strcmp(record_chunk_name(name, seq), e->d_name) != 0)
			continue;
		if (record_check_extra(c, seq))
			check_chunk(d, c, seq);
	}
	if (dir)
		closedir(dir);
}

static bool nothing_there(struct record_verdict *ret, const char *name, int rc)
{
	*ret = (struct record_verdict){ .state = RECORD_UNREADABLE, .n_findings = 1, .n_kept = 1 };
	ret->findings[0].kind = RECORD_FOUND_IO;
	ret->findings[0].seq = -1;
	snprintf(ret->findings[0].text, sizeof ret->findings[0].text, "%s: %s", name, strerror(-rc));
	return false;
}

/* The three small files. False: one of them cannot be read, or there is no recording. */
static bool check_papers(struct directory *d, struct record_check *c, struct record_verdict *ret)
{
	_cleanup_(xfreep) char *manifest = NULL, *seal = NULL, *index = NULL;
	size_t manifest_len = 0, seal_len = 0, index_len = 0;
	int m = record_read_all(d->fd, RECORD_MANIFEST, RECORD_PAPER_MAX, &manifest, &manifest_len);
	int s = record_read_all(d->fd, RECORD_SEAL, RECORD_PAPER_MAX, &seal, &seal_len);
	int i = record_read_all(d->fd, RECORD_INDEX, (size_t)RECORD_CHUNKS_MAX * RECORD_ENTRY_BYTES, &index, &index_len);
	if (m < 0 && m != -ENOENT && m != -EFBIG)
		return nothing_there(ret, RECORD_MANIFEST, m);
	if (s < 0 && s != -ENOENT && s != -EFBIG)
		return nothing_there(ret, RECORD_SEAL, s);
	if (i < 0 && i != -ENOENT)
		return nothing_there(ret, RECORD_INDEX, i);
	if (m == -ENOENT && i == -ENOENT)
		return nothing_there(ret, RECORD_MANIFEST, m);
	record_check_manifest(c, m == -EFBIG ? "" : manifest, manifest_len);
	record_check_seal(c, s == -EFBIG ? "" : seal, seal_len);
	record_check_index(c, (const uint8_t *)(index ? index : ""), index_len);
	return true;
}

void record_verify_dir(int dir_fd, const struct record_check_args *a, void (*progress)(void *arg, uint64_t bytes), void *arg, struct record_verdict *ret)
{
	struct directory d = { dir_fd, xmalloc(PIECE), progress, arg, 0 };
	struct record_check *c = record_check_new(a);
	if (check_papers(&d, c, ret)) {
		for (uint32_t seq = 0; seq < record_check_chunks(c); seq++)
			check_chunk(&d, c, seq);
		check_others(&d, c);
		record_check_finish(c, ret);
	}
	record_check_free(c);
	free(d.piece);
}
