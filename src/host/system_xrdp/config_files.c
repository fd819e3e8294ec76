#include "host/system_xrdp/config_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/kernel/fs.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "sys/files.h"

#define READ_MAX (256 * 1024)

char *hostcfg_path(const struct host *h, enum hostcfg_file w)
{
	return xasprintf("%s/%s", h->set.xrdp_config, hostcfg_file_name(w));
}

char *hostcfg_read(const struct host *h, enum hostcfg_file w, int *ret_err, const char **ret_why)
{
	_cleanup_(xfreep) char *path = hostcfg_path(h, w);
	char *text = file_read(path, READ_MAX, NULL);
	if (text)
		return text;
	bool none = errno == ENOENT || errno == ENOTDIR;
	*ret_err = none ? ERR_NO_XRDP : ERR_XRDP_CONFIG;
	*ret_why = none		   ? "XRDP_CONFIG_PATH does not contain this file; install the packages xrdp and xorgxrdp"
		   : errno == EFBIG ? "the file in XRDP_CONFIG_PATH is larger than 256 KiB; shorten it"
				    : "the file in XRDP_CONFIG_PATH cannot be read; it must be a regular file";
	return NULL;
}

struct inifile *hostcfg_sesman(const struct host *h)
{
	int err;
	const char *why;
	_cleanup_(xfreep) char *text = hostcfg_read(h, HOSTCFG_SESMAN, &err, &why);
	return inifile_parse(text ? text : "");
}

int64_t hostcfg_version(const char *text)
{
	uint64_t v = 1469598103934665603u; /* FNV-1a, the same in every process */
	for (; *text; text++)
		v = (v ^ (unsigned char)*text) * 1099511628211u;
	return (int64_t)((v ^ v >> 48) & 0xffffffffffffu) | 1;
}

/* --- backups: xrdp.ini.20261121-033000-123 */

static bool is_backup(enum hostcfg_file w, const char *name)
{
	static const char form[] = ".00000000-000000-000";
	const char *file = hostcfg_file_name(w), *p = str_starts(name, file) ? name + strlen(file) : "";
	if (strlen(p) != sizeof form - 1)
		return false;
	for (size_t k = 0; form[k]; k++)
		if (form[k] == '0' ? p[k] < '0' || p[k] > '9' : p[k] != form[k])
			return false;
	return true;
}

static int newest_first(const void *a, const void *b)
{
	return strcmp(b, a);
}

/* The names of all backups, newest first. Returns how many. */
static size_t find_backups(const struct host *h, enum hostcfg_file w, char (*ret)[HOSTCFG_BACKUP_NAME], size_t max)
{
	DIR *d = opendir(h->set.xrdp_config);
	struct dirent *e;
	size_t n = 0;
	while (d && n < max && (e = readdir(d)))
		if (is_backup(w, e->d_name) && str_copy(ret[n], HOSTCFG_BACKUP_NAME, e->d_name))
			n++;
	if (d)
		closedir(d);
	qsort(ret, n, HOSTCFG_BACKUP_NAME, newest_first);
	return n;
}

#define LOOK_AT 1000

static void prune(const struct host *h, enum hostcfg_file w)
{
	static char names[LOOK_AT][HOSTCFG_BACKUP_NAME];
	size_t n = find_backups(h, w, names, LOOK_AT);
	for (size_t k = HOSTCFG_BACKUPS_MAX; k < n; k++) {
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", h->set.xrdp_config, names[k]);
		unlink(path);
	}
}

static int back_up(const struct host *h, enum hostcfg_file w, const char *from, const struct stat *st,
		   char name[HOSTCFG_BACKUP_NAME])
{
	for (int64_t ms = clock_wall_ms();; ms++) {
		time_t s = ms / 1000;
		struct tm tm;
		char when[32];
		strftime(when, sizeof when, "%Y%m%d-%H%M%S", gmtime_r(&s, &tm));
		snprintf(name, HOSTCFG_BACKUP_NAME, "%s.%s-%03d", hostcfg_file_name(w), when, (int)(ms % 1000));
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", h->set.xrdp_config, name);
		if (access(path, F_OK) != 0)
			return fs_copy(from, path, st->st_mode & 0777, st->st_gid);
	}
}

int hostcfg_write(const struct host *h, enum hostcfg_file w, const char *text, char backup[HOSTCFG_BACKUP_NAME])
{
	_cleanup_(xfreep) char *path = hostcfg_path(h, w);
	struct stat st;
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ELOOP; /* a symbolic link: its target is not ours to write */
	int r = back_up(h, w, path, &st, backup);
	if (r == 0)
		r = fs_write(path, text, st.st_mode & 0777, st.st_gid);
	if (r == 0)
		prune(h, w);
	return r;
}

int hostcfg_restore(const struct host *h, enum hostcfg_file w, const char *text)
{
	_cleanup_(xfreep) char *path = hostcfg_path(h, w);
	struct stat st;
	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return -ELOOP;
	return fs_write(path, text, st.st_mode & 0777, st.st_gid);
}

static int64_t time_of(const char *name)
{
	const char *p = name + strlen(name) - 19;
	struct tm tm = { 0 };
	int ms = 0;
	if (sscanf(p, "%4d%2d%2d-%2d%2d%2d-%3d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms) != 7)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)timegm(&tm) * 1000 + ms;
}

json_t *hostcfg_backups(const struct host *h, enum hostcfg_file w)
{
	static char names[LOOK_AT][HOSTCFG_BACKUP_NAME];
	size_t n = find_backups(h, w, names, LOOK_AT);
	json_t *list = json_array();
	for (size_t k = 0; k < MIN(n, (size_t)100); k++) {
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", h->set.xrdp_config, names[k]);
		struct stat st;
		if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		json_t *d = json_object();
		doc_set_str(d, "name", names[k]);
		doc_set_str(d, "file", w == HOSTCFG_SESMAN ? "sesman" : "xrdp");
		doc_set_time(d, "created_at", time_of(names[k]));
		doc_set_int(d, "size_bytes", st.st_size);
		json_array_append_new(list, d);
	}
	return list;
}

char *hostcfg_backup_read(const struct host *h, enum hostcfg_file w, const char *name)
{
	static char names[LOOK_AT][HOSTCFG_BACKUP_NAME];
	size_t n = find_backups(h, w, names, LOOK_AT);
	for (size_t k = 0; k < n; k++) {
		if (name && *name && !str_eq(name, names[k]))
			continue;
		_cleanup_(xfreep) char *path = xasprintf("%s/%s", h->set.xrdp_config, names[k]);
		return file_read(path, READ_MAX, NULL);
	}
	return NULL;
}
