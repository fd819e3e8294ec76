#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "app/app_config.h"
#include "app/as_owner.h"
#include "app/commands.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "store/open.h"

#define MANIFEST_MAX 65536

static const char help[] =
	"lucid-rdp restore FILE [--yes] [OPTION…]: puts a backup in the place of the embedded store. It is rehearsed first: copied beside\n"
	"the store, checked whole and against its manifest, and migrated; without --yes that is all, and the program may run. With --yes\n"
	"the store is then replaced; that is refused while a program has it open, and what was there is kept beside it with the date.\n"
	"  --yes                replace the store\n"
	"Keys are not in a backup: sealed parts can be read only with the MASTER_KEY of that time.\n";

struct job {
	const char *file;
	bool yes;
	int in;
	char *path, *fresh, *aside;
	json_t *manifest; /* NULL: there is none */
	char digest[ID_DIGEST_SIZE];
	struct backup_facts facts;
};

static int take(struct cli *c, int argc, char **argv, int *i, void *arg)
{
	struct job *j = arg;
	if (str_eq(argv[*i], "--yes"))
		return j->yes = true;
	if (argv[*i][0] == '-' || j->file)
		return 0;
	j->file = argv[*i];
	return 1;
}

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "restore: %s: %s\n", what, why);
	return 1;
}

/* All of it with the rights of the store's owner. */
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
		fprintf(stderr, "restore: there is no manifest %s: only what is in the file itself can be checked\n", path);
		return 0;
	}
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (n < 0)
		return fail(path, strerror(errno));
	j->manifest = doc_parse(text, (size_t)n, why, sizeof why);
	return j->manifest ? 0 : fail(path, why);
}

static int prepare(struct job *j, const struct config *c)
{
	char why[OWNER_WHY_SIZE], name[BACKUP_NAME_SIZE];
	j->in = open(j->file, O_RDONLY | O_CLOEXEC);
	if (j->in < 0)
		return fail(j->file, strerror(errno));
	int rc = backup_digest(j->in, j->digest);
	if (rc < 0)
		return fail(j->file, strerror(-rc));
	if (read_manifest(j) != 0)
		return 1;
	if (j->manifest && !backup_manifest_fits(j->manifest, NULL, j->digest, why, sizeof why))
		return fail(j->file, why);
	backup_name(name, clock_wall_ms());
	j->path = store_path(c);
	j->fresh = xasprintf("%s.rehearsal-%d", j->path, (int)getpid());
	j->aside = xasprintf("%s.replaced-%s", j->path, name + strlen("lucid-"));
	return geteuid() == 0 && !owner_make_dirs(c, why) ? fail("nothing was done", why) : 0;
}

static void tell(const struct job *j)
{
	printf("%s: whole, schema %d:", j->file, j->facts.schema);
	for (size_t i = 0; i < COL_COUNT; i++)
		printf(" %s %lld", store_collections[i].name, (long long)j->facts.counts[i]);
	putchar('\n');
	if (!j->yes)
		printf("It can be restored; nothing was replaced. Stop the program and give --yes to do it.\n");
	else if (access(j->aside, F_OK) == 0 || errno == EACCES)
		printf("It is the store now. What was there before is kept as %s.\n", j->aside);
	else
		printf("It is the store now; there was none before.\n");
	printf("Keys are not in a backup: sealed parts can be read only with the MASTER_KEY of that time.\n");
}

int cmd_restore(struct cli *c, int argc, char **argv)
{
	struct job j = { .in = -1 };
	char why[OWNER_WHY_SIZE];
	int code = 0;
	if (!command_words(c, argc, argv, help, take, &j, &code))
		return code;
	if (!j.file) {
		fprintf(stderr, "restore: name the backup to restore; lucid-rdp restore --help says more\n");
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
	if (code == 0 && as_owner(config, false, work, &j, &j.facts, why) < 0)
		code = fail("nothing was replaced", why);
	if (code == 0) {
		tell(&j);
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
