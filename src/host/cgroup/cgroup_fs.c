#include "host/cgroup/cgroup_fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sys/files.h"

bool cg_write(const char *dir, const char *file, const char *text)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/%s", dir, file);
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	return fd >= 0 && write(fd, text, len) == (ssize_t)len;
}

char *cg_read(const char *dir, const char *file)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/%s", dir, file);
	return file_read(path, CG_LIST_MAX, NULL); /* NULL rather than a part: a truncated list of processes would be taken for the whole */
}

bool cg_reads(const char *dir, const char *file, const char *text)
{
	_cleanup_(xfreep) char *s = cg_read(dir, file);
	size_t len = strlen(text);
	return s && strncmp(s, text, len) == 0 && s[len] == '\n';
}

int64_t cg_number(const char *dir, const char *file, const char *key)
{
	_cleanup_(xfreep) char *s = cg_read(dir, file);
	const char *p = s;
	if (key && p) {
		size_t len = strlen(key);
		while (p && !(strncmp(p, key, len) == 0 && p[len] == ' ')) {
			p = strchr(p, '\n');
			p = p ? p + 1 : NULL;
		}
		p = p ? p + len + 1 : NULL;
	}
	return p && *p >= '0' && *p <= '9' ? (int64_t)strtoll(p, NULL, 10) : -1;
}
