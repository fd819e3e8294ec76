/*
 * files: the files of a recording's directory: chunks that grow, the index, texts. Floor F2; blocks while the disk does. Nothing follows a
 * symbolic link, or reads anything but regular files: another account may own the directory.
 */
#ifndef RECORD_FILES_H
#define RECORD_FILES_H

#include "lucid/record.h"

/* --- a chunk that is being written */
struct chunk_file;
/* Creates it; it must not exist. 0 or -errno. */
int chunk_file_new(int dir_fd, uint32_t seq, struct chunk_file **ret);
void chunk_file_free(struct chunk_file *f); /* closes, and removes the file if nothing was added; takes NULL */
/* Appends all, or nothing: after a failure the file has the length it had. 0 or -errno. */
int chunk_file_add(struct chunk_file *f, const void *data, size_t n);
int chunk_file_sync(struct chunk_file *f);
uint32_t chunk_file_size(const struct chunk_file *f);
void chunk_file_hash(struct chunk_file *f, uint8_t ret[RECORD_HASH_BYTES]); /* SHA-256 of what was added; once, at the end */

/* --- the index */
struct index_file {
	int fd;
	uint32_t entries;
};
/* Opens and locks it, and creates it. A piece of an entry at its end, and zeros that a crash left there, are cut off. 0; -EWOULDBLOCK: another
 * process has it; another -errno. */
int index_file_open(int dir_fd, struct index_file *ret);
void index_file_close(struct index_file *f); /* takes one with fd -1 */
int index_file_read(const struct index_file *f, uint32_t seq, uint8_t ret[RECORD_ENTRY_BYTES]);
/* Appends, and waits until it is on the disk. 0 or -errno, and the file is unchanged. */
int index_file_add(struct index_file *f, const uint8_t entry[RECORD_ENTRY_BYTES]);

/* --- reading */
/* Opens a regular file for reading. The descriptor, or -errno. */
int record_open(int dir_fd, const char *name);
/* The whole file, which the caller frees, with a NUL after it. 0; -EFBIG: it is larger than max; another -errno. */
int record_read_all(int dir_fd, const char *name, size_t max, char **ret, size_t *ret_len);

#endif
