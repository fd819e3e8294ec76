#include "api/audit/logins.h"

#include <stdio.h>

#include "api/audit/audit.h"
#include "lucid/str.h"

/* The reasons of xrdp.login.failed (src/host/login/logins.c), and the error code of each in an entry. */
static const struct {
	const char *reason;
	int err;
} failures[] = {
	{ "bad_password", ERR_UNAUTHENTICATED },   { "unknown_account", ERR_UNAUTHENTICATED }, { "account_refused", ERR_FORBIDDEN },
	{ "not_from_xrdp", ERR_FORBIDDEN },	   { "address_blocked", ERR_RATE_LIMITED },    { "max_sessions", ERR_QUOTA },
	{ "user_sessions", ERR_QUOTA },		   { "all_sessions", ERR_QUOTA },
	{ "start_failed", ERR_XRDP_SERVICE },	   { "no_display", ERR_UNAVAILABLE },
};

static void note_login(struct audit *a, const struct event *e, const char *reason, int err)
{
	char from[64];
	int64_t uid = doc_int(e->data, "local_uid", -1);
	const char *address = doc_str(e->data, "client_address", NULL);
	if (uid >= 0)
		snprintf(from, sizeof from, "uid %lld of this host", (long long)uid);
	audit_note(a, &(struct audit_fact){
				     .actor = doc_str(e->data, "username", NULL),
				     .action = err ? "xrdp.login.failed" : "xrdp.login.succeeded",
				     .object = e->object_id,
				     .from = uid >= 0 ? from : address,
				     .reason = reason,
				     .err = err,
			     });
}

static void on_login(const struct event *e, void *arg)
{
	struct audit *a = arg;
	/* the events of another process are in the audit log of that process */
	if (e->origin[0])
		return;
	if (str_eq(e->topic, "xrdp.login.succeeded")) {
		note_login(a, e, NULL, 0);
		return;
	}
	for (size_t n = 0; n < ARRAY_LEN(failures); n++)
		if (str_eq(doc_str(e->data, "reason", ""), failures[n].reason))
			note_login(a, e, failures[n].reason, failures[n].err);
}

struct subscription *audit_logins(struct bus *b, struct audit *a)
{
	return a ? bus_subscribe(b, "xrdp.login.*", on_login, a) : NULL;
}
