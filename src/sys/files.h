/* files: reads and replaces regular files, makes directories with their parents, and finds this program and its files. Floor F1, any
 * thread; blocks on the disk. Not for: the server's loop, and files that may be long (lucid/source.h). */
#ifndef SYS_FILES_H
#define SYS_FILES_H

#include <sys/stat.h>

#include "lucid/base.h"

/* Open a regular file for reading. It never blocks, even if the path is a FIFO or a terminal (O_NONBLOCK, O_NOCTTY). `flags`: 0 or
 * O_NOFOLLOW. -1 with errno: EISDIR for a directory, EINVAL for anything else that is not a regular file. */
int file_open(const char *path, int flags, struct stat *ret);

/* Reads the rest of the file and adds a NUL; ret_len may be NULL. NULL with errno; EFBIG: it is more than max bytes (a file is never
 * truncated). The caller frees. No other copy stays in memory, so keys may be read with it. */
char *file_read_fd(int fd, size_t max, size_t *ret_len);
/* The same for a path; links are followed. */
char *file_read(const char *path, size_t max, size_t *ret_len);

/* Writes a file beside `path` and renames it to that, so that a reader sees the old text or the new one. If we are root, its owner is root
 * and its group `gid`. Not forced to the disk. 0 or -errno. */
int file_replace(const char *path, const char *text, size_t len, mode_t mode, gid_t gid);

/* mkdir -p: parents with 0755, the last one with `mode`, less the umask; directories that exist are not changed. 0 or -errno. */
int dir_make(const char *path, mode_t mode);
/* Only the parents of a path. */
int dir_make_parents(const char *path);

/* This program's path; the caller frees. If the file was replaced since the start, the same path leads to the new one. */
char *program_path(void);
/* The path of a file that was built or installed with the program: beside it, or in ../lib/lucid-rdp; the caller frees. NULL if there
 * is no readable one. */
char *program_file(const char *name);

#endif
