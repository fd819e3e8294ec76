#include "host/instance/staged_files.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "host/kernel/fs.h"
#include "lucid/str.h"

static void stage_add(struct stage *s, char *consume_from, const char *to)
{
	if (s->n == STAGE_MAX)
		abort(); /* the files of an instance are a fixed set */
	s->from[s->n] = consume_from;
	s->to[s->n++] = xstrdup(to);
}

static int stage_added(struct stage *s, int r, char *consume_from, const char *to)
{
	if (r < 0)
		free(consume_from);
	else
		stage_add(s, consume_from, to);
	return r;
}

int stage_write(struct stage *s, const char *path, const char *text, mode_t mode, gid_t gid)
{
	char *from = xasprintf("%s.next", path);
	return stage_added(s, fs_write(from, text, mode, gid), from, path);
}

int stage_copy(struct stage *s, const char *source, const char *path, mode_t mode, gid_t gid)
{
	char *from = xasprintf("%s.next", path);
	return stage_added(s, fs_copy(source, from, mode, gid), from, path);
}

void stage_remove(struct stage *s, const char *path)
{
	stage_add(s, NULL, path);
}

const char *stage_path(const struct stage *s, const char *path)
{
	for (size_t n = 0; n < s->n; n++)
		if (s->from[n] && str_eq(s->to[n], path))
			return s->from[n];
	return NULL;
}

int stage_commit(struct stage *s, const char **ret_path)
{
	for (size_t n = 0; n < s->n; n++) {
		int r = s->from[n] ? rename(s->from[n], s->to[n]) : unlink(s->to[n]);
		if (r < 0 && (s->from[n] || errno != ENOENT)) {
			*ret_path = s->to[n];
			return -errno;
		}
		free(s->from[n]);
		s->from[n] = NULL;
	}
	return 0;
}

void stage_done(struct stage *s)
{
	for (size_t n = 0; n < s->n; n++) {
		if (s->from[n])
			unlink(s->from[n]);
		free(s->from[n]);
		free(s->to[n]);
	}
	s->n = 0;
}
