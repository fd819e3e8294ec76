/* fs: small files and trees that root trusts. Floor F3, supervisor and its jobs; blocks on the disk, so whole trees are
 * handled in jobs. Nothing here follows a symbolic link that it did not make. */
#ifndef HOST_FS_H
#define HOST_FS_H

#include <sys/types.h>

#include "lucid/base.h"

/* mkdir -p; parents 0755. 0 or -errno. */
int fs_mkdirs(const char *path, mode_t mode);
/* Whole file, beside and then renamed over; owned by root:gid. 0 or -errno. */
int fs_write(const char *path, const char *text, mode_t mode, gid_t gid);
/* At most max bytes; NULL when it cannot be read. */
char *fs_read(const char *path, size_t max);
/* Copy one file (never a link's target that is not a file). 0 or -errno. */
int fs_copy(const char *from, const char *to, mode_t mode, gid_t gid);
/* Everything below and the directory itself; symbolic links are removed, not followed. */
void fs_remove_tree(const char *path);

#endif
