#include "record/files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/fault.h"

#define LOCK_TRIES 8

/* Writes all at the end of a file of `size` bytes. After a failure the file is cut back to that. */
static int write_all(int fd, const uint8_t *data, size_t n, off_t size)
{
	size_t done = 0;
	while (done < n) {
		ssize_t got = fault_hit("record.write") ? (errno = ENOSPC, -1) : pwrite(fd, data + done, n - done, size + (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			int err = got < 0 ? errno : EIO;
			if (done && ftruncate(fd, size) < 0)
				return -EIO; /* recovery finds the torn end */
			return -err;
		}
		done += (size_t)got;
	}
	return 0;
}

static int sync_file(int fd)
{
	if (fault_hit("record.sync"))
		return -EIO;
	return fdatasync(fd) < 0 ? -errno : 0;
}

/* --- chunks */

struct chunk_file {
	int fd, dir_fd;
	uint32_t seq;
	bool named; /* the directory's entry is on the disk */
	uint32_t size;
	EVP_MD_CTX *hash;
};

int chunk_file_new(int dir_fd, uint32_t seq, struct chunk_file **ret)
{
	char name[RECORD_NAME_SIZE];
	int fd = openat(dir_fd, record_chunk_name(name, seq), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	struct chunk_file *f = XNEW(struct chunk_file);
	f->fd = fd;
	f->dir_fd = dir_fd;
	f->seq = seq;
	f->hash = EVP_MD_CTX_new();
	if (!f->hash || EVP_DigestInit_ex(f->hash, EVP_sha256(), NULL) != 1)
		abort(); /* libcrypto without SHA-256 */
	*ret = f;
	return 0;
}

void chunk_file_free(struct chunk_file *f)
{
	char name[RECORD_NAME_SIZE];
	if (!f)
		return;
	if (!f->size) /* the first write failed */
		unlinkat(f->dir_fd, record_chunk_name(name, f->seq), 0);
	close(f->fd);
	EVP_MD_CTX_free(f->hash);
	free(f);
}

int chunk_file_add(struct chunk_file *f, const void *data, size_t n)
{
	int rc = write_all(f->fd, data, n, f->size);
	if (rc < 0)
		return rc;
	if (EVP_DigestUpdate(f->hash, data, n) != 1)
		abort();
	f->size += (uint32_t)n;
	return 0;
}

int chunk_file_sync(struct chunk_file *f)
{
	int rc = sync_file(f->fd);
	if (rc == 0 && !f->named) {
		rc = fsync(f->dir_fd) < 0 && errno != EINVAL ? -errno : 0;
		f->named = rc == 0;
	}
	return rc;
}

uint32_t chunk_file_size(const struct chunk_file *f)
{
	return f->size;
}

void chunk_file_hash(struct chunk_file *f, uint8_t ret[RECORD_HASH_BYTES])
{
	if (EVP_DigestFinal_ex(f->hash, ret, NULL) != 1)
		abort();
}

/* --- index */

static bool is_zero_entry(int fd, uint32_t seq)
{
	static const uint8_t zero[RECORD_ENTRY_BYTES];
	uint8_t entry[RECORD_ENTRY_BYTES];
	return pread(fd, entry, sizeof entry, (off_t)seq * RECORD_ENTRY_BYTES) == sizeof entry && memcmp(entry, zero, sizeof entry) == 0;
}

/* A crash may leave a piece of an entry; or zeros, if the length was on the disk before the data. */
static int cut_index(struct index_file *f, off_t size)
{
	uint32_t n = (uint32_t)(size / RECORD_ENTRY_BYTES);
	while (n && is_zero_entry(f->fd, n - 1))
		n--;
	f->entries = n;
	if ((off_t)n * RECORD_ENTRY_BYTES == size)
		return 0;
	return ftruncate(f->fd, (off_t)n * RECORD_ENTRY_BYTES) < 0 ? -errno : sync_file(f->fd);
}

static int lock_index(int dir_fd, int *ret_fd, struct stat *ret_stat)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		struct stat named;
		_cleanup_(closep) int fd = openat(dir_fd, RECORD_INDEX, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, ret_stat) < 0)
			return -errno;
		if (!S_ISREG(ret_stat->st_mode))
			return -EBADMSG;
		/* it may have been replaced before it was locked */
		if (fstatat(dir_fd, RECORD_INDEX, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == ret_stat->st_ino) {
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
	}
	return -EWOULDBLOCK;
}

int index_file_open(int dir_fd, struct index_file *ret)
{
	struct stat st;
	struct index_file f = { .fd = -1 };
	int rc = lock_index(dir_fd, &f.fd, &st);
	if (rc < 0)
		return rc;
	rc = st.st_size > (off_t)RECORD_CHUNKS_MAX * RECORD_ENTRY_BYTES ? -EFBIG : cut_index(&f, st.st_size);
	if (rc < 0)
		fd_close(&f.fd);
	else
		*ret = f;
	return rc;
}

void index_file_close(struct index_file *f)
{
	fd_close(&f->fd);
}

int index_file_read(const struct index_file *f, uint32_t seq, uint8_t ret[RECORD_ENTRY_BYTES])
{
	ssize_t got = pread(f->fd, ret, RECORD_ENTRY_BYTES, (off_t)seq * RECORD_ENTRY_BYTES);
	return got == RECORD_ENTRY_BYTES ? 0 : got < 0 ? -errno : -EBADMSG;
}

int index_file_add(struct index_file *f, const uint8_t entry[RECORD_ENTRY_BYTES])
{
	off_t size = (off_t)f->entries * RECORD_ENTRY_BYTES;
	if (f->entries >= RECORD_CHUNKS_MAX)
		return -EFBIG;
	int rc = write_all(f->fd, entry, RECORD_ENTRY_BYTES, size);
	if (rc == 0 && (rc = sync_file(f->fd)) < 0 && ftruncate(f->fd, size) < 0)
		return rc;
	f->entries += rc == 0;
	return rc;
}

/* --- reading */

int record_open(int dir_fd, const char *name)
{
	struct stat st;
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EBADMSG;
}

int record_read_all(int dir_fd, const char *name, size_t max, char **ret, size_t *ret_len)
{
	struct stat st;
	_cleanup_(closep) int fd = record_open(dir_fd, name);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > (off_t)max)
		return -EFBIG;
	_cleanup_(xfreep) char *text = xmalloc((size_t)st.st_size + 1);
	size_t len = 0;
	while (len < (size_t)st.st_size) {
		ssize_t got = read(fd, text + len, (size_t)st.st_size - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		len += (size_t)got;
	}
	text[len] = 0;
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}
