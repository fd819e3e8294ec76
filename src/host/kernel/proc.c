#include "host/kernel/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lucid/str.h"

ssize_t proc_read_file(const char *path, char *dst, size_t size)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	dst[0] = 0;
	if (fd < 0)
		return -1;
	size_t len = 0;
	while (len < size - 1) {
		ssize_t n = read(fd, dst + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	dst[len] = 0;
	return len < size - 1 ? (ssize_t)len : -1;
}

bool proc_uid(pid_t pid, uid_t *ret_uid, gid_t *ret_gid)
{
	char path[40], status[4096];
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (proc_read_file(path, status, sizeof status) < 0)
		return false;
	int64_t uid = proc_keyed_number(status, "Uid:"), gid = proc_keyed_number(status, "Gid:");
	if (uid < 0 || gid < 0)
		return false;
	*ret_uid = (uid_t)uid;
	if (ret_gid)
		*ret_gid = (gid_t)gid;
	return true;
}

size_t proc_cmdline(pid_t pid, char *dst, size_t max)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	dst[0] = 0;
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, dst, max - 1);
	if (n <= 0)
		return 0;
	dst[n] = 0;
	return (size_t)n;
}

const char *proc_arg_after(const char *args, size_t len, const char *name)
{
	const char *end = args + len;
	for (const char *a = args; a < end; a += strlen(a) + 1) {
		const char *next = a + strlen(a) + 1;
		if (str_eq(a, name))
			return next < end ? next : NULL;
	}
	return NULL;
}

bool proc_is_x_server(const char *args, size_t len, int *ret_display, bool *ret_vnc)
{
	static const struct {
		const char *name;
		bool vnc;
	} servers[] = { { "Xorg", false }, { "Xvnc", true }, { "Xtigervnc", true }, { "Xtightvnc", true } };
	const char *end = args + len, *slash = len ? strrchr(args, '/') : NULL;
	const char *base = slash ? slash + 1 : args;
	size_t kind = 0;
	while (kind < ARRAY_LEN(servers) && (!len || !str_eq(base, servers[kind].name)))
		kind++;
	if (kind == ARRAY_LEN(servers))
		return false;
	for (const char *a = args + strlen(args) + 1; a < end; a += strlen(a) + 1) {
		int64_t n;
		if (a[0] == ':' && str_int(a + 1, 0, 65535, &n)) {
			*ret_display = (int)n;
			*ret_vnc = servers[kind].vnc;
			return true;
		}
	}
	return false;
}

void proc_socket_inodes(pid_t pid, bool (*fn)(uint64_t inode, void *arg), void *arg)
{
	char path[40], link[64];
	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *d = opendir(path);
	if (!d)
		return;
	struct dirent *e;
	while ((e = readdir(d))) {
		unsigned long long inode;
		ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof link - 1);
		if (n <= 0)
			continue;
		link[n] = 0;
		if (sscanf(link, "socket:[%llu]", &inode) == 1 && !fn(inode, arg))
			break;
	}
	closedir(d);
}

int64_t proc_keyed_number(const char *text, const char *key)
{
	size_t n = strlen(key);
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		if (strncmp(line, key, n) != 0 || (line[n] != ' ' && line[n] != '\t'))
			continue;
		return strtoll(line + n, NULL, 10);
	}
	return -1;
}
