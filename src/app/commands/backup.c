#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/settings/app_config.h"
#include "app/commands/as_owner.h"
#include "app/commands/commands.h"
#include "lucid/clock.h"
#include "sys/privileges.h"

static const char help[] =
	"lucid-rdp backup [--to DIR] [OPTION…]: copies the embedded store, even while the program runs: lucid-DATE.db and its manifest\n"
	"lucid-DATE.json, a consistent and verified snapshot. Prints the file's path. Backups in the directory that are older than\n"
	"BACKUP_KEEP_DAYS are removed, but never the newest. Run it as root or as the program's own user.\n"
	"  --to DIR             directory, instead of BACKUP_DIR\n"
	"The backup contains no keys: back up JWT_SECRET, MASTER_KEY and DATA_DIR/secrets separately. It contains no recordings either.\n";

struct job {
	const char *to; /* --to */
	char *path, *dir;
	char name[BACKUP_NAME_SIZE];
	int dir_fd, out;
	int64_t now_ms, keep_days;
	struct backup_facts facts;
	char digest[ID_DIGEST_SIZE];
};

static int backup_option(struct cli *c, int argc, char **argv, int *i, void *arg)
{
	struct job *j = arg;
	return cli_value(c, "--to", argc, argv, i, &j->to);
}

static int backup_failed(const char *what, const char *why)
{
	fprintf(stderr, "backup: %s: %s\n", what, why);
	return 1;
}

static int copy(void *arg, struct backup_facts *ret, char *why, size_t size)
{
	struct job *j = arg;
	return backup_copy(j->path, j->out, ret, why, size);
}

/* A new directory belongs to root and can be listed by everyone: the program names the newest backup when its store is damaged. An
 * existing directory is not changed. */
static int open_dir(struct job *j)
{
	const struct run_user root = { 0, 0 };
	struct stat st;
	if (stat(j->dir, &st) < 0 && privileges_make_dir(j->dir, 0755, &root) < 0)
		return backup_failed(j->dir, strerror(errno));
	j->dir_fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->dir_fd < 0)
		return backup_failed(j->dir, strerror(errno));
	if (flock(j->dir_fd, LOCK_EX | LOCK_NB) < 0)
		return backup_failed(j->dir, "another backup is running in that directory; wait until it ends");
	return 0;
}

static int write_file(int dir_fd, const char *name, const char *text)
{
	_cleanup_(closep) int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t len = (ssize_t)strlen(text);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text, (size_t)len);
	if (n != len)
		return n < 0 ? -errno : -ENOSPC;
	return fsync(fd) < 0 ? -errno : 0;
}

/* Renames the copy first and then the manifest: only with a manifest is the copy a complete backup. */
static int publish(struct job *j, const char *tmp)
{
	char db[BACKUP_NAME_SIZE + 8], manifest[BACKUP_NAME_SIZE + 8];
	snprintf(db, sizeof db, "%s.db", j->name);
	snprintf(manifest, sizeof manifest, "%s.json", j->name);
	_cleanup_(doc_unrefp) json_t *doc = backup_manifest(j->name, &j->facts, j->digest, j->now_ms);
	char *text = json_dumps(doc, JSON_INDENT(2));
	int rc = write_file(j->dir_fd, tmp, text);
	free(text);
	/* not every file system supports RENAME_NOREPLACE; the name has milliseconds, and the directory is locked */
	char copy_tmp[BACKUP_NAME_SIZE + 8];
	snprintf(copy_tmp, sizeof copy_tmp, ".%s.tmp", j->name);
	if (rc == 0 && renameat(j->dir_fd, copy_tmp, j->dir_fd, db) < 0)
		rc = -errno;
	if (rc == 0 && renameat(j->dir_fd, tmp, j->dir_fd, manifest) < 0)
		rc = -errno;
	if (rc == 0)
		fsync(j->dir_fd);
	return rc;
}

static int backup_make(struct job *j, const struct config *c)
{
	char tmp[BACKUP_NAME_SIZE + 8], manifest_tmp[BACKUP_NAME_SIZE + 8], why[OWNER_WHY_SIZE];
	j->now_ms = clock_wall_ms();
	backup_name(j->name, j->now_ms);
	snprintf(tmp, sizeof tmp, ".%s.tmp", j->name);
	backup_name(manifest_tmp + 1, j->now_ms + 1);
	manifest_tmp[0] = '.';
	strcat(manifest_tmp, ".tmp");
	j->out = openat(j->dir_fd, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->out < 0)
		return backup_failed(j->dir, strerror(errno));
	int rc = as_owner(c, true, copy, j, &j->facts, why);
	if (rc == 0) {
		rc = backup_digest(j->out, j->digest);
		if (rc == 0)
			rc = publish(j, manifest_tmp);
		if (rc < 0)
			snprintf(why, sizeof why, "%s: %s", j->dir, strerror(-rc));
	}
	if (rc < 0) {
		unlinkat(j->dir_fd, tmp, 0);
		unlinkat(j->dir_fd, manifest_tmp, 0);
		return backup_failed("no backup was made", why);
	}
	printf("%s/%s.db\n", j->dir, j->name);
	return 0;
}

static void print_summary(const struct job *j, size_t gone)
{
	int64_t documents = 0;
	for (size_t i = 0; i < COL_COUNT; i++)
		documents += j->facts.counts[i];
	fprintf(stderr, "%lld documents, %lld KiB, schema %d, checked; %zu older backup%s removed.\n", (long long)documents,
		(long long)j->facts.bytes / 1024, j->facts.schema, gone, gone == 1 ? "" : "s");
	fprintf(stderr, "The backup contains no keys: back up JWT_SECRET, MASTER_KEY and DATA_DIR/secrets separately.\n");
}

int cmd_backup(struct cli *c, int argc, char **argv)
{
	struct job j = { .dir_fd = -1, .out = -1 };
	int code = 0;
	if (!command_words(c, argc, argv, help, backup_option, &j, &code))
		return code;
	c->secrets = SECRETS_SKIP;
	struct config *config = app_config_load_or_say(c);
	if (!config)
		return 1;
	if (command_store_is_elsewhere(config, "backup", "run mongodump --config=FILE --gzip --archive=BACKUP, with \"uri: …\" in FILE")) {
		config_free(config);
		return 1;
	}
	j.path = store_path(config);
	j.dir = j.to ? xstrdup(j.to) : backup_dir(config);
	code = open_dir(&j);
	if (code == 0)
		code = backup_make(&j, config);
	if (code == 0) {
		print_summary(&j, backup_sweep(j.dir, config_int(config, "BACKUP_KEEP_DAYS"), j.now_ms));
		code = fflush(stdout) == 0 ? 0 : 1;
	}
	fd_close(&j.out);
	fd_close(&j.dir_fd);
	free(j.path);
	free(j.dir);
	config_free(config);
	return code;
}
