#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/audit/chain.h"
#include "app/settings/app_config.h"
#include "app/commands/as_owner.h"
#include "app/commands/commands.h"
#include "lucid/str.h"
#include "store/sqlite/walk.h"
#include "sys/privileges.h"

static const char help[] =
	"lucid-rdp verify --audit [FILE|DATA_DIR] [--head SEQ:HASH] [OPTION…]: checks the audit log entry by entry, and prints\n"
	"whether its hash chain is intact; otherwise it names the first entry that was modified, removed or moved, and exits 1. It reads\n"
	"a store, a backup of one, or the store in a data directory (by default that of the settings), even while the program runs,\n"
	"and changes nothing.\n"
	"  --head SEQ:HASH  this entry must be there, with this hash: the program logs \"head of the audit log\" with both from time to\n"
	"                   time. Without it, entries removed from the end, or a log rewritten from some entry on, cannot be detected.\n";

struct wanted {
	bool audit;
	const char *path, *head;
	struct audit_head expected;
	bool met;
	struct audit_check check;
};

static int verify_option(struct cli *c, int argc, char **argv, int *i, void *arg)
{
	struct wanted *w = arg;
	if (str_eq(argv[*i], "--audit"))
		return w->audit = true;
	int rc = cli_value(c, "--head", argc, argv, i, &w->head);
	if (rc || argv[*i][0] == '-' || w->path)
		return rc;
	w->path = argv[*i];
	return 1;
}

static bool parse_head(struct wanted *w)
{
	if (!w->head)
		return true;
	const char *colon = strchr(w->head, ':');
	_cleanup_(xfreep) char *number = xstrndup(w->head, colon ? (size_t)(colon - w->head) : 0);
	return colon && str_int(number, 1, INT64_MAX, &w->expected.seq) && strlen(colon + 1) == ID_DIGEST_SIZE - 1 &&
	       str_copy(w->expected.hash, sizeof w->expected.hash, colon + 1);
}

static bool on_entry(const char *id, const char *text, size_t len, bool fits, void *arg)
{
	struct wanted *w = arg;
	if (!audit_check_next(&w->check, id, text, len))
		return false;
	if (!fits) {
		snprintf(w->check.why, sizeof w->check.why, "entry %.40s was changed: its indexed fields differ from those in its document", id);
		return false;
	}
	w->met |= w->check.last.seq == w->expected.seq && str_eq(w->check.last.hash, w->expected.hash);
	return true;
}

/* The process that reads the network wrote the file, so it is read with the rights of its owner, not with those of root. */
static bool become_owner(const char *path)
{
	struct stat st;
	if (geteuid() != 0 || stat(path, &st) < 0 || st.st_uid == 0)
		return true;
	return privileges_drop(&(struct run_user){ st.st_uid, st.st_gid }) == 0;
}

static int verify(struct wanted *w, const char *path)
{
	char why[600];
	audit_check_init(&w->check);
	if (!become_owner(path)) {
		fprintf(stderr, "verify: cannot switch to the account that owns %s: %s\n", path, strerror(errno));
		return 1;
	}
	if (store_walk(path, COL_AUDIT, on_entry, w, why, sizeof why) < 0) {
		fprintf(stderr, "verify: %s\n", why);
		return 1;
	}
	if (!*w->check.why && w->head && !w->met)
		snprintf(w->check.why, sizeof w->check.why, "no entry %lld with that hash exists: the log was truncated or rewritten",
			 (long long)w->expected.seq);
	if (*w->check.why) {
		printf("broken: %s\n%lld entries before it are intact.\n", w->check.why, (long long)w->check.entries);
		return 1;
	}
	printf("whole: %lld entries, %s to %s; head %lld:%s\n", (long long)w->check.entries, w->check.first_time, w->check.last_time,
	       (long long)w->check.last.seq, w->check.last.hash);
	return fflush(stdout) == 0 ? 0 : 1;
}

int cmd_verify(struct cli *c, int argc, char **argv)
{
	struct wanted w = { 0 };
	struct stat st;
	int code = EXIT_USAGE;
	if (!command_words(c, argc, argv, help, verify_option, &w, &code))
		return code;
	if (!w.audit || !parse_head(&w)) {
		fprintf(stderr, w.audit ? "verify: --head must be SEQ:HASH\n" : "verify: name what to verify: --audit\n");
		return EXIT_USAGE;
	}
	_cleanup_(xfreep) char *path = NULL;
	if (w.path) {
		bool dir = stat(w.path, &st) == 0 && S_ISDIR(st.st_mode);
		path = xasprintf("%s%s", w.path, dir ? "/store/lucid.db" : "");
	} else {
		c->secrets = SECRETS_SKIP;
		struct config *config = app_config_load_or_say(c);
		if (!config)
			return 1;
		if (command_store_is_elsewhere(config, "verify", "name a file to verify one anyway")) {
			config_free(config);
			return 1;
		}
		path = store_path(config);
		config_free(config);
	}
	return verify(&w, path);
}
