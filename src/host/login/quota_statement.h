/*
 * quota_statement: what the session controller says about the sessions outside this host, and the decision that follows from it. Floor F3,
 * one thread; in memory only. Not for: the desktops of this host, which login_quota.h counts.
 *
 * The controller repeats its statement every few seconds. One that is older than QUOTA_VALID_MS is void, so that a controller that stopped
 * locks nobody out.
 */
#ifndef HOST_LOGIN_QUOTA_STATEMENT_H
#define HOST_LOGIN_QUOTA_STATEMENT_H

#include "lucid/doc.h"

#define QUOTA_VALID_MS 60000

struct quota_statement;
struct quota_statement *quota_statement_new(void);
void quota_statement_free(struct quota_statement *q); /* takes NULL */
/* Replaces the statement. `in` has the form of host.quotas. */
void quota_statement_set(struct quota_statement *q, const json_t *in, int64_t now_ms);
/* A login has taken the oldest declared session of this user on this server: it is a session of this host from now on. */
void quota_statement_take(struct quota_statement *q, const char *server_id, const char *user);

/* What decides about a new desktop. Numbers do not include it. */
struct quota_counts {
	int64_t desktops, desktops_max; /* of the server */
	bool stated;			/* false: the following members are not known */
	bool declared;			/* the user has declared a session on the server, which the login takes: no session is added */
	int64_t user, user_max;		/* sessions of the user */
	int64_t all, all_max;
};
/* Sets `stated`, `declared` and the bounds, and adds the sessions outside this host to `user` and `all`. */
void quota_statement_apply(const struct quota_statement *q, const char *server_id, const char *user, int64_t now_ms, struct quota_counts *c);

/* Why there may be no further desktop: "max_sessions" (of the server), "user_sessions" or "all_sessions". NULL: there may. Pure. */
const char *quota_refusal(const struct quota_counts *c);
/* The same as a sentence that says what to do; the caller frees. */
char *quota_sentence(const struct quota_counts *c, const char *reason);

#endif
