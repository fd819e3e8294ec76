#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/settings/app_config.h"
#include "app/commands/as_owner.h"
#include "app/commands/commands.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "store/open.h"

#define MANIFEST_MAX 65536

static const char help[] =
	"lucid-rdp restore FILE [--yes] [OPTION…]: replaces the embedded store with a backup. The backup is first copied beside\n"
	"the store, verified completely and against its manifest, and migrated. Without --yes, nothing more happens, and the program may run. With --yes,\n"
	"the store is then replaced, unless a program has it open; the previous store is kept beside it, with the date in its name.\n"
	"  --yes                replace the store\n"
	"A backup contains no keys: its sealed parts can be read only with the MASTER_KEY in use when it was made.\n";

struct job {
	const char *file;
	bool yes;
	int in;
	char *path, *fresh, *aside;
	json_t *manifest; /* NULL: there is none */
	char digest[ID_DIGEST_SIZE];
	struct backup_facts facts;
};

static int restore_option(struct cli *c, int argc, char **argv, int *i, void *arg)
{
	struct job *j = arg;
	if (str_eq(argv[*i], "--yes"))
		return j->yes = true;
	if (argv[*i][0] == '-' || j->file)
		return 0;
	j->file = argv[*i];
	return 1;
}

static int restore_failed(const char *what, const char *why)
{
	fprintf(stderr, "restore: %s: %s\n", what, why);
	return 1;
}

/* The rehearsal works on a copy under another name; replaces that name in its message by the name of the backup. */
static void name_given_file(const struct job *j, char *why, size_t size)
{
	char *at = strstr(why, j->fresh);
	if (!at)
		return;
	_cleanup_(xfreep) char *text = xasprintf("%.*s%s%s", (int)(at - why), why, j->file, at + strlen(j->fresh));
	snprintf(why, size, "%s", text);
}

/* Runs with the rights of the store's owner. */
static int work(void *arg, struct backup_facts *ret, char *why, size_t size)
{
	struct job *j = arg;
	_cleanup_(closep) int lock = -1;
	int r = j->yes ? store_lock(j->path, &lock, why, size) : 0;
	if (r == 0)
		r = backup_rehearse(j->in, j->fresh, ret, why, size);
	if (r == 0 && j->manifest && !backup_manifest_fits(j->manifest, ret, j->digest, why, size))
		r = -ERR_INVALID;
	if (r == 0 && j->yes)
		r = backup_replace(j->fresh, j->path, j->aside, why, size);
	if (r < 0 || !j->yes)
		unlink(j->fresh);
	return r;
}

static int read_manifest(struct job *j)
{
	char text[MANIFEST_MAX], why[160];
	size_t len = strlen(j->file);
	_cleanup_(xfreep) char *path = xasprintf("%.*s.json", (int)(str_ends(j->file, ".db") ? len - 3 : len), j->file);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		fprintf(stderr, "restore: no manifest %s exists: only the file itself can be checked\n", path);
		return 0;
	}
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (n < 0)
		return restore_failed(path, strerror(errno));
	j->manifest = doc_parse(text, (size_t)n, why, sizeof why);
	return j->manifest ? 0 : restore_failed(path, why);
}

static int prepare(struct job *j, const struct config *c)
{
	char why[OWNER_WHY_SIZE], name[BACKUP_NAME_SIZE];
	j->in = open(j->file, O_RDONLY | O_CLOEXEC);
	if (j->in < 0)
		return restore_failed(j->file, strerror(errno));
	struct stat st;
	if (fstat(j->in, &st) == 0 && !S_ISREG(st.st_mode))
		return restore_failed(j->file, "not a regular file; name the .db file of a backup");
	int rc = backup_digest(j->in, j->digest);
	if (rc < 0)
		return restore_failed(j->file, strerror(-rc));
	if (read_manifest(j) != 0)
		return 1;
	if (j->manifest && !backup_manifest_fits(j->manifest, NULL, j->digest, why, sizeof why))
		return restore_failed(j->file, why);
	backup_name(name, clock_wall_ms());
	j->path = store_path(c);
	j->fresh = xasprintf("%s.rehearsal-%d", j->path, (int)getpid());
	j->aside = xasprintf("%s.replaced-%s", j->path, name + strlen("lucid-"));
	return geteuid() == 0 && !owner_make_dirs(c, why) ? restore_failed("nothing was done", why) : 0;
}

static void print_contents(const struct job *j)
{
	printf("%s: whole, schema %d:", j->file, j->facts.schema);
	for (size_t i = 0; i < COL_COUNT; i++)
		printf(" %s %lld", store_collections[i].name, (long long)j->facts.counts[i]);
	putchar('\n');
	if (!j->yes)
		printf("The backup can be restored; nothing was replaced. To restore it, stop the program and add --yes.\n");
	else if (access(j->aside, F_OK) == 0 || errno == EACCES)
		printf("The backup is now the store. The previous store is kept as %s.\n", j->aside);
	else
		printf("The backup is now the store; there was no store before.\n");
	printf("A backup contains no keys: its sealed parts can be read only with the MASTER_KEY in use when it was made.\n");
}

int cmd_restore(struct cli *c, int argc, char **argv)
{
	struct job j = { .in = -1 };
	char why[OWNER_WHY_SIZE];
	int code = 0;
	if (!command_words(c, argc, argv, help, restore_option, &j, &code))
		return code;
	if (!j.file) {
		fprintf(stderr, "restore: name the backup to restore; see lucid-rdp restore --help\n");
		return EXIT_USAGE;
	}
	c->secrets = SECRETS_SKIP;
	struct config *config = app_config_load_or_say(c);
	if (!config)
		return 1;
	if (command_store_is_elsewhere(config, "restore", "stop the program and run mongorestore --config=FILE --drop --gzip --archive=BACKUP, with \"uri: …\" in FILE")) {
		config_free(config);
		return 1;
	}
	code = prepare(&j, config);
	if (code == 0 && as_owner(config, false, work, &j, &j.facts, why) < 0) {
		name_given_file(&j, why, sizeof why);
		code = restore_failed("nothing was replaced", why);
	}
	if (code == 0) {
		print_contents(&j);
		code = fflush(stdout) == 0 ? 0 : 1;
	}
	fd_close(&j.in);
	json_decref(j.manifest);
	free(j.path);
	free(j.fresh);
	free(j.aside);
	config_free(config);
	return code;
}
