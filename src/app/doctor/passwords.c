#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "app/commands/as_owner.h"
#include "app/doctor/doctor.h"
#include "app/settings/defaults.h"
#include "lucid/seal.h"
#include "lucid/str.h"
#include "roles/contract/contract.h"
#include "store/open.h"
#include "store/sqlite/walk.h"

/* Whether the stored passwords of foreign RDP hosts can be opened with MASTER_KEY. */

struct opening {
	const char *path;
	const struct seal *seal;
	int64_t n, closed;
	char first[256]; /* of those that cannot be opened: its session and why */
};

static bool open_one(const char *id, const char *text, size_t len, UNUSED bool fits, void *arg)
{
	struct opening *o = arg;
	struct seal_place at = { SESSION_SECRET_PURPOSE, store_collections[COL_SESSION_SECRETS].name, id, SESSION_SECRET_FIELD };
	_cleanup_(doc_unrefp) json_t *doc = doc_parse(text, len, NULL, 0);
	_cleanup_(seal_forgetp) char *password = NULL;
	enum seal_result r = seal_open(o->seal, &at, doc_str(doc, SESSION_SECRET_FIELD, ""), &password, NULL);
	o->n++;
	if (r != SEAL_OK && !o->closed++)
		snprintf(o->first, sizeof o->first, "that of session %.40s %s", id, seal_result_to_string(r));
	return true;
}

/* In the process that may read the store. Its outputs are the counts: of all passwords, and why not all of them can be opened. */
static int open_all(void *arg, struct backup_facts *ret, char *why, size_t size)
{
	struct opening *o = arg;
	int rc = store_walk(o->path, COL_SESSION_SECRETS, open_one, o, why, size);
	if (rc == 0 && o->closed) {
		snprintf(why, size, "%lld of %lld stored passwords cannot be opened: %s", (long long)o->closed, (long long)o->n, o->first);
		rc = -ERR_CONFLICT;
	}
	ret->counts[COL_SESSION_SECRETS] = o->n;
	return rc;
}

/* MASTER_KEY, or the one that was generated; NULL with a reason, or without one if there is none yet. The caller wipes and frees it. */
static char *master_key(const struct config *c, char *why, size_t size)
{
	if (config_given(c, "MASTER_KEY"))
		return xstrdup(config_str(c, "MASTER_KEY"));
	_cleanup_(xfreep) char *path = xasprintf("%s/secrets/master-key", config_str(c, "DATA_DIR"));
	return secret_keep(path, false, why, size);
}

void doctor_passwords(const struct config *c, struct finding *f)
{
	_cleanup_(xfreep) char *path = store_path(c);
	_cleanup_(seal_forgetp) char *key = NULL;
	struct backup_facts facts = { 0 };
	char why[OWNER_WHY_SIZE] = "";
	if (config_given(c, "MONGODB_URL")) {
		doctor_say(f, DOCTOR_OK, "", "in MongoDB (MONGODB_URL); the log of the running program reports those that cannot be opened");
		return;
	}
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		doctor_say(f, DOCTOR_OK, "", "none: there is no store yet");
		return;
	}
	key = master_key(c, why, sizeof why);
	struct seal *seal = seal_new(key ? key : "", config_list(c, "MASTER_KEYS_OLD"));
	if (!seal) {
		doctor_say(f, DOCTOR_WARN, "set MASTER_KEY (at least 32 bytes), or run this as root", "not checked: there is no usable MASTER_KEY%s%s", *why ? ": " : "", why);
		return;
	}
	int rc = as_owner(c, false, open_all, &(struct opening){ .path = path, .seal = seal }, &facts, why);
	seal_free(seal);
	if (rc == -ERR_CONFLICT)
		doctor_say(f, DOCTOR_WARN, "add the MASTER_KEY that sealed them to MASTER_KEYS_OLD, or have users set the passwords again", "%s", why);
	else if (rc < 0)
		doctor_say(f, DOCTOR_WARN, "see the check of the store", "not checked: %s", why);
	else
		doctor_say(f, DOCTOR_OK, "", "%lld stored for foreign RDP hosts; MASTER_KEY opens all of them", (long long)facts.counts[COL_SESSION_SECRETS]);
}
