#include "sys/source_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lucid/errs.h"

struct source_file {
	int fd;
	off_t at, size;
};

static void want(struct source *s, void *ctx)
{
	struct source_file *f = ctx;
	size_t most = (size_t)MIN(f->size - f->at, (off_t)SOURCE_PIECE);
	if (!most) {
		source_end(s);
		return;
	}
	struct blob *piece = blob_new(NULL, most);
	ssize_t n;
	do
		n = pread(f->fd, piece->data, most, f->at);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		f->at += n;
		piece->len = (size_t)n;
		piece->data[n] = 0;
		source_put(s, piece);
		return;
	}
	blob_unref(piece);
	if (n < 0)
		source_break(s, -ERR_INTERNAL, "a read error occurred in the file; see the kernel log of the host");
	else /* shorter than when it was opened: truncated, not the end */
		source_break(s, -ERR_CONFLICT, "the file was truncated while it was read, for example by log rotation; retry");
}

static void source_file_close(void *ctx)
{
	struct source_file *f = ctx;
	close(f->fd);
	free(f);
}

struct source *source_file_new(struct loop *l, int fd)
{
	static const struct source_ops ops = { want, source_file_close };
	struct source_file *f = XNEW(struct source_file);
	struct stat st;
	*f = (struct source_file){ .fd = fd, .at = MAX(lseek(fd, 0, SEEK_CUR), 0), .size = fstat(fd, &st) == 0 ? st.st_size : 0 };
	f->at = MIN(f->at, f->size);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return source_new(l, &ops, f);
}
