#include "roles/xrdp-integration/accounts.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "lucid/pool.h"
#include "lucid/str.h"

#define CHECKS_MAX 64	  /* checks in the queue; further ones get ERR_BUSY */
#define ENTRY_MAX (1 << 20) /* bytes of a passwd or group entry */
#define GROUPS_MAX 65536
#define IDLE_MS 10000
#define NOBODY 65534

/* --- queries to NSS */

/* Looks an account up. *ret_room holds the strings of the entry and must be freed. False: not found. */
static bool find_account(const char *name, struct passwd *ret, char **ret_room)
{
	struct passwd *found = NULL;
	int err = ERANGE;
	*ret_room = NULL;
	for (size_t size = 4096; err == ERANGE && size <= ENTRY_MAX; size *= 4) {
		*ret_room = xrealloc(*ret_room, size);
		err = getpwnam_r(name, ret, *ret_room, size, &found);
	}
	return !err && found;
}

/* The lowest uid of a normal account: UID_MIN of login.defs, as useradd uses it. */
static uid_t first_uid(void)
{
	FILE *f = fopen("/etc/login.defs", "re");
	char line[256];
	unsigned first = 1000, n;
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, " UID_MIN %u", &n) == 1)
			first = n;
	if (f)
		fclose(f);
	return first;
}

static bool is_login_shell(const char *shell)
{
	static const char *const none[] = { "nologin", "false", "true", "sync", "shutdown", "halt" };
	const char *slash = strrchr(shell, '/'), *base = slash ? slash + 1 : shell;
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		if (str_eq(base, none[i]))
			return false;
	return !*shell || access(shell, X_OK) == 0; /* an empty shell means /bin/sh */
}

static bool group_is_listed(gid_t gid, const json_t *groups)
{
	struct group entry, *found = NULL;
	_cleanup_(xfreep) char *room = NULL;
	int err = ERANGE;
	for (size_t size = 4096; err == ERANGE && size <= ENTRY_MAX; size *= 4) {
		room = xrealloc(room, size);
		err = getgrgid_r(gid, &entry, room, size, &found);
	}
	return !err && found && doc_array_has(groups, entry.gr_name);
}

static bool in_groups(const struct passwd *p, const json_t *groups)
{
	int n = 64;
	_cleanup_(xfreep) gid_t *list = xcalloc((size_t)n, sizeof *list);
	while (getgrouplist(p->pw_name, p->pw_gid, list, &n) < 0 && n <= GROUPS_MAX)
		list = xrealloc(list, (size_t)n * sizeof *list);
	for (int i = 0; n <= GROUPS_MAX && i < n; i++)
		if (group_is_listed(list[i], groups))
			return true;
	return false;
}

/* The rule of the instance's PAM file: an account on either list is allowed; without lists, every account is. */
static bool is_allowed(const struct passwd *p, const char *name, const json_t *users, const json_t *groups)
{
	if (!json_array_size(users) && !json_array_size(groups))
		return true;
	return doc_array_has(users, name) || (json_array_size(groups) && in_groups(p, groups));
}

const char *account_refused(const char *name, const json_t *users, const json_t *groups)
{
	struct passwd p;
	_cleanup_(xfreep) char *room = NULL;
	if (!find_account(name, &p, &room))
		return "unknown";
	if (p.pw_uid == 0)
		return "root";
	if (p.pw_uid < first_uid() || p.pw_uid == NOBODY)
		return "system_account";
	if (!is_login_shell(p.pw_shell))
		return "no_login_shell";
	return is_allowed(&p, name, users, groups) ? NULL : "not_allowed";
}

/* --- checks on a worker */

struct accounts {
	struct pool *pool;
};
struct check {
	struct pool_job job;
	struct call *call;
	json_t *body; /* used by the worker; a deep copy */
	const char *refused;
};

static void run(struct pool_job *j, UNUSED void *worker)
{
	struct check *w = CONTAINER_OF(j, struct check, job);
	w->refused = account_refused(doc_str(w->body, "name", ""), json_object_get(w->body, "allowed_users"),
				     json_object_get(w->body, "allowed_groups"));
}

static void check_free(struct check *w)
{
	json_decref(w->body);
	free(w);
}

static void check_done(struct pool_job *j)
{
	struct check *w = CONTAINER_OF(j, struct check, job);
	call_ok(w->call, json_pack("{s:s, s:b, s:s?}", "name", doc_str(w->body, "name", ""), "can_log_in", w->refused == NULL,
				   "reason", w->refused));
	check_free(w);
}

static void op_check_account(struct call *c, void *ctx)
{
	struct accounts *a = ctx;
	struct check *w = XNEW(struct check);
	w->job.run = run;
	w->job.done = check_done;
	w->call = c;
	w->body = json_deep_copy(call_body(c));
	if (pool_submit(a->pool, &w->job) < 0) {
		call_fail(c, ERR_BUSY, "%d account look-ups are queued on this host; retry in a few seconds", CHECKS_MAX);
		check_free(w);
	}
}

struct accounts *accounts_serve(struct bus *b, struct loop *l)
{
	struct accounts *a = XNEW(struct accounts);
	a->pool = pool_new(l, "accounts", 1, CHECKS_MAX, NULL, NULL, NULL);
	pool_let_end(a->pool, 0, IDLE_MS);
	bus_serve(b, op_find("xrdp.accounts.check"), op_check_account, a);
	return a;
}

void accounts_free(struct accounts *a)
{
	if (!a)
		return;
	pool_free(a->pool);
	free(a);
}
