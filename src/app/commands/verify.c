#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/audit/chain.h"
#include "app/settings/app_config.h"
#include "app/commands/as_owner.h"
#include "app/commands/commands.h"
#include "app/commands/verify_recording.h"
#include "lucid/str.h"
#include "store/sqlite/walk.h"
#include "sys/privileges.h"

static const char help[] =
	"lucid-rdp verify DIR [--master-key-file FILE]… [--public-key KEY]… [--head SEQ:HASH] [--json]: checks the directory of a recording, and names\n"
	"what was modified, cut short, moved, removed or spliced in. It needs no settings, no store and no running program, and changes nothing.\n"
	"  --master-key-file FILE  a MASTER_KEY (repeat it for old ones): also checks the tag of each segment, decodes every record, and expects\n"
	"                          the signatures to be made with this key. Without it, hashes, chain, index and signatures are checked.\n"
	"  --public-key KEY        64 hex digits: the signatures must be of this key (or one of them). Without any key, a recording that was\n"
	"                          written anew and signed by someone else cannot be detected; compare the printed key.\n"
	"  --head SEQ:HASH         this chunk must be there, with this hash, as the audit log has it. Detects what was cut off an unsealed recording.\n"
	"  --json                  the result as JSON: {state, recording_id, chunks, …, findings: [{kind, chunk, text}]}\n"
	"Exit codes: 0 whole, 1 broken, 2 wrong usage, 3 without a seal (still running, or it was removed) but otherwise right, 4 unreadable.\n\n"
	"lucid-rdp verify --audit [FILE|DATA_DIR] [--head SEQ:HASH] [OPTION…]: checks the audit log entry by entry, and prints\n"
	"whether its hash chain is intact; otherwise it names the first entry that was modified, removed or moved, and exits 1. It reads\n"
	"a store, a backup of one, or the store in a data directory (by default that of the settings), even while the program runs,\n"
	"and changes nothing.\n"
	"  --head SEQ:HASH  this entry must be there, with this hash: the program logs \"head of the audit log\" with both from time to\n"
	"                   time. Without it, entries removed from the end, or a log rewritten from some entry on, cannot be detected.\n";

struct wanted {
	bool audit;
	struct verify_recording recording;
	const char *path, *head;
	struct audit_head expected;
	bool met;
	struct audit_check check;
};

/* Options of a recording; a key that is one too many is refused as an unexpected argument. */
static int recording_option(struct cli *c, int argc, char **argv, int *i, struct verify_recording *r)
{
	int rc = 0;
	if (str_eq(argv[*i], "--json"))
		return r->json = true;
	if (r->n_master_key_files < VERIFY_KEYS_MAX && (rc = cli_value(c, "--master-key-file", argc, argv, i, &r->master_key_files[r->n_master_key_files])) != 0)
		r->n_master_key_files += rc > 0;
	else if (r->n_public_keys < VERIFY_KEYS_MAX && (rc = cli_value(c, "--public-key", argc, argv, i, &r->public_keys[r->n_public_keys])) != 0)
		r->n_public_keys += rc > 0;
	return rc;
}

static int verify_option(struct cli *c, int argc, char **argv, int *i, void *arg)
{
	struct wanted *w = arg;
	if (str_eq(argv[*i], "--audit"))
		return w->audit = true;
	int rc = recording_option(c, argc, argv, i, &w->recording);
	if (rc)
		return rc;
	rc = cli_value(c, "--head", argc, argv, i, &w->head);
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
	if (w.path && !w.audit) {
		w.recording.dir = w.path;
		w.recording.head = w.head;
		return verify_recording(&w.recording);
	}
	bool others = w.recording.json || w.recording.n_master_key_files || w.recording.n_public_keys;
	if (!w.audit || others || !parse_head(&w)) {
		fprintf(stderr, !w.audit ? "verify: name what to verify: the directory of a recording, or --audit\n" :
			others ? "verify: --json, --master-key-file and --public-key are for recordings, not for --audit\n" : "verify: --head must be SEQ:HASH\n");
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
