/* cgroup_fs: the files of one directory of cgroupfs. Floor F3; for the files of this folder alone. */
#ifndef HOST_CGROUP_CGROUP_FS_H
#define HOST_CGROUP_CGROUP_FS_H

#include "lucid/base.h"

#define CG_LIST_MAX (16 << 20) /* bytes of a list of processes or mounts */

bool cg_write(const char *dir, const char *file, const char *text);
char *cg_read(const char *dir, const char *file); /* NULL if it cannot be read or is larger than CG_LIST_MAX */
bool cg_reads(const char *dir, const char *file, const char *text); /* whether it holds exactly this text and a newline */
/* The number after `key`, or with NULL the only one in the file; -1: there is none. */
int64_t cg_number(const char *dir, const char *file, const char *key);

#endif
