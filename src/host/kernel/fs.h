/* fs: small files and directory trees that root trusts. Floor F3, supervisor and its jobs. Blocks on the disk, so trees are handled in
 * jobs. Follows no symbolic link that it did not make. */
#ifndef HOST_KERNEL_FS_H
#define HOST_KERNEL_FS_H

#include <sys/types.h>

#include "lucid/base.h"

/* As dir_make, but sets the mode of an existing directory too. 0 or -errno. */
int fs_mkdirs(const char *path, mode_t mode);
/* file_replace for a text. 0 or -errno. */
int fs_write(const char *path, const char *text, mode_t mode, gid_t gid);
/* Copies a regular file of at most 4 MiB. 0 or -errno. */
int fs_copy(const char *from, const char *to, mode_t mode, gid_t gid);
/* Removes a file or a directory tree of any depth, with three descriptors and little memory. Symbolic links are removed, not followed;
 * other file systems are not entered. 0, or -errno if something is left. */
int fs_remove_tree(const char *path);
/* Moves the tree by one rename to the directory `trash` (root's, created if missing) on the same file system, for later removal. If that
 * fails, removes it now. */
int fs_discard(const char *path, const char *trash);
/* Removes everything in that directory. 0 or -errno, as fs_remove_tree. */
int fs_empty(const char *trash);

#endif
