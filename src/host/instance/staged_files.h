/*
 * staged_files: replaces several files together or not at all. Each is written beside its path; stage_commit renames all of them. If the
 * disk is full or the certificate is unusable, a running server keeps its previous files. Floor F3; runs in jobs.
 */
#ifndef HOST_INSTANCE_STAGED_FILES_H
#define HOST_INSTANCE_STAGED_FILES_H

#include <sys/types.h>

#include "lucid/base.h"

#define STAGE_MAX 64

struct stage {
	char *from[STAGE_MAX], *to[STAGE_MAX]; /* from NULL: `to` is removed */
	size_t n;
};

/* 0 or -errno. */
int stage_write(struct stage *s, const char *path, const char *text, mode_t mode, gid_t gid);
int stage_copy(struct stage *s, const char *source, const char *path, mode_t mode, gid_t gid);
void stage_remove(struct stage *s, const char *path);
/* The path of the file before stage_commit; NULL: it is not staged. */
const char *stage_path(const struct stage *s, const char *path);
/* In the order of the calls above; 0, or -errno with the path that failed in *ret_path (borrowed). */
int stage_commit(struct stage *s, const char **ret_path);
void stage_done(struct stage *s); /* removes what was not committed */

#endif
