#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "store/sqlite/backup.h"

#define NAME_FORMAT "lucid-%04d%02d%02dT%02d%02d%02d.%03dZ"
#define NAME_LEN 26

void backup_name(char ret[BACKUP_NAME_SIZE], int64_t wall_ms)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;
	gmtime_r(&t, &tm);
	snprintf(ret, BACKUP_NAME_SIZE, NAME_FORMAT, (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		 tm.tm_sec, (int)(wall_ms % 1000));
}

/* The time in the name of a file of ours with this ending, or -1. */
static int64_t time_of(const char *file, const char *ending)
{
	struct tm tm = { 0 };
	int ms, used = 0;
	if (strlen(file) != NAME_LEN + strlen(ending) || !str_ends(file, ending) ||
	    sscanf(file, "lucid-%4d%2d%2dT%2d%2d%2d.%3dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec,
		   &ms, &used) != 7 || used != NAME_LEN)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)timegm(&tm) * 1000 + ms;
}

static bool has_manifest(int dir_fd, const char *file)
{
	char name[BACKUP_NAME_SIZE + 8];
	struct stat st;
	snprintf(name, sizeof name, "%.*s.json", NAME_LEN, file);
	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

/* The time of the newest complete backup, and its name; -1: there is none. */
static int64_t newest_in(DIR *d, char ret[BACKUP_NAME_SIZE])
{
	int64_t newest = -1;
	struct dirent *e;
	rewinddir(d);
	while ((e = readdir(d))) {
		int64_t at = time_of(e->d_name, ".db");
		if (at <= newest || !has_manifest(dirfd(d), e->d_name))
			continue;
		newest = at;
		str_copy(ret, BACKUP_NAME_SIZE, e->d_name);
	}
	return newest;
}

char *backup_newest(const char *dir)
{
	char name[BACKUP_NAME_SIZE];
	DIR *d = dir && *dir ? opendir(dir) : NULL;
	if (!d)
		return NULL;
	int64_t at = newest_in(d, name);
	closedir(d);
	return at < 0 ? NULL : xasprintf("%s/%s", dir, name);
}

size_t backup_sweep(const char *dir, int64_t days, int64_t now_ms)
{
	char newest_name[BACKUP_NAME_SIZE];
	size_t gone = 0;
	DIR *d = opendir(dir);
	if (!d)
		return 0;
	int64_t newest = newest_in(d, newest_name), oldest = now_ms - days * 86400000;
	struct dirent *e;
	rewinddir(d);
	while ((e = readdir(d))) {
		int64_t db = time_of(e->d_name, ".db"), manifest = time_of(e->d_name, ".json"), at = MAX(db, manifest);
		bool old = at >= 0 && at != newest && at < oldest;
		if (!old && !(e->d_name[0] == '.' && time_of(e->d_name + 1, ".tmp") >= 0))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0 && db >= 0)
			gone++;
	}
	closedir(d);
	return gone;
}

int backup_digest(int fd, char ret[ID_DIGEST_SIZE])
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0) {
		id_digest(ret, "", 0);
		return 0;
	}
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	id_digest(ret, p, (size_t)st.st_size);
	munmap(p, (size_t)st.st_size);
	return 0;
}

json_t *backup_manifest(const char *name, const struct backup_facts *f, const char *digest, int64_t wall_ms)
{
	char time[CLOCK_ISO_SIZE];
	json_t *doc = json_object(), *counts = json_object();
	clock_iso(time, wall_ms);
	doc_set_int(doc, "format", 1);
	doc_set_str(doc, "program", "lucid-rdp " LUCID_VERSION);
	doc_set_str(doc, "made_at", time);
	json_object_set_new(doc, "file", json_sprintf("%s.db", name));
	doc_set_int(doc, "bytes", f->bytes);
	doc_set_str(doc, "sha256", digest);
	doc_set_int(doc, "schema", f->schema);
	for (size_t i = 0; i < COL_COUNT; i++)
		doc_set_int(counts, store_collections[i].name, f->counts[i]);
	json_object_set_new(doc, "counts", counts);
	doc_set_str(doc, "keys", "not included: JWT_SECRET, MASTER_KEY and the files in DATA_DIR/secrets; back them up separately");
	doc_set_str(doc, "recordings", "not included");
	return doc;
}

bool backup_manifest_fits(const json_t *doc, const struct backup_facts *f, const char *digest, char *why, size_t size)
{
	if (!str_eq(doc_str(doc, "sha256", ""), digest)) {
		snprintf(why, size, "the file differs from the backup: its digest is %s, the manifest has %.64s", digest,
			 doc_str(doc, "sha256", "none"));
		return false;
	}
	for (size_t i = 0; f && i < COL_COUNT; i++) {
		const char *name = store_collections[i].name;
		const json_t *n = json_object_get(json_object_get(doc, "counts"), name);
		if (n && json_integer_value(n) != f->counts[i]) {
			snprintf(why, size, "it has %lld documents in %s, the manifest has %lld", (long long)f->counts[i], name,
				 (long long)json_integer_value(n));
			return false;
		}
	}
	return true;
}
