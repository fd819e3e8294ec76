#include "host/login/quota_statement.h"

#include <stdio.h>

#include "lucid/caller.h"
#include "lucid/id.h"
#include "lucid/str.h"

struct quota_statement {
	int64_t all_max, user_max;
	int64_t elsewhere;  /* sessions that are not on a desktop of this host */
	json_t *users;	    /* user → how many of them are the user's */
	json_t *declared;   /* "server_id user" → how many of them wait for a login there */
	int64_t stated_ms; /* monotonic; 0: never */
};

struct quota_statement *quota_statement_new(void)
{
	struct quota_statement *q = XNEW(struct quota_statement);
	q->users = json_object();
	q->declared = json_object();
	return q;
}

void quota_statement_free(struct quota_statement *q)
{
	if (!q)
		return;
	json_decref(q->users);
	json_decref(q->declared);
	free(q);
}

static void declared_key(char dst[ID_UUID_SIZE + CALLER_NAME_MAX + 2], const char *server_id, const char *user)
{
	snprintf(dst, ID_UUID_SIZE + CALLER_NAME_MAX + 2, "%s %s", server_id, user);
}

void quota_statement_set(struct quota_statement *q, const json_t *in, int64_t now_ms)
{
	const json_t *item;
	size_t i;
	json_object_clear(q->users);
	json_object_clear(q->declared);
	q->all_max = doc_int(in, "max_concurrent_sessions", 0);
	q->user_max = doc_int(in, "max_sessions_per_user", 0);
	q->elsewhere = doc_int(in, "elsewhere", 0);
	q->stated_ms = now_ms;
	json_array_foreach (json_object_get(in, "users"), i, item)
		doc_set_int(q->users, doc_str(item, "user_id", ""), doc_int(item, "elsewhere", 0));
	json_array_foreach (json_object_get(in, "declared"), i, item) {
		char key[ID_UUID_SIZE + CALLER_NAME_MAX + 2];
		declared_key(key, doc_str(item, "server_id", ""), doc_str(item, "user_id", ""));
		doc_set_int(q->declared, key, doc_int(item, "sessions", 0));
	}
}

static int64_t number(const json_t *counts, const char *key)
{
	return json_integer_value(json_object_get(counts, key));
}

void quota_statement_take(struct quota_statement *q, const char *server_id, const char *user)
{
	char key[ID_UUID_SIZE + CALLER_NAME_MAX + 2];
	declared_key(key, server_id, user);
	int64_t n = number(q->declared, key), of_user = number(q->users, user);
	if (n <= 0)
		return;
	doc_set_int(q->declared, key, n - 1);
	doc_set_int(q->users, user, MAX(of_user - 1, 0));
	q->elsewhere = MAX(q->elsewhere - 1, 0);
}

void quota_statement_apply(const struct quota_statement *q, const char *server_id, const char *user, int64_t now_ms, struct quota_counts *c)
{
	char key[ID_UUID_SIZE + CALLER_NAME_MAX + 2];
	c->stated = q->stated_ms && now_ms - q->stated_ms < QUOTA_VALID_MS;
	if (!c->stated)
		return;
	declared_key(key, server_id, user);
	c->declared = number(q->declared, key) > 0;
	c->user += number(q->users, user);
	c->user_max = q->user_max;
	c->all += q->elsewhere;
	c->all_max = q->all_max;
}

/* --- the decision */

const char *quota_refusal(const struct quota_counts *c)
{
	if (c->desktops >= c->desktops_max)
		return "max_sessions";
	if (!c->stated || c->declared)
		return NULL;
	if (c->user >= c->user_max)
		return "user_sessions";
	return c->all >= c->all_max ? "all_sessions" : NULL;
}

char *quota_sentence(const struct quota_counts *c, const char *reason)
{
	if (str_eq(reason, "max_sessions"))
		return xasprintf("the server has %lld desktops, as many as its desktop.max_sessions allows; end one, or raise it",
				 (long long)c->desktops);
	if (str_eq(reason, "user_sessions"))
		return xasprintf("its user has %lld sessions that have not ended, as many as MAX_SESSIONS_PER_USER allows; end one first",
				 (long long)c->user);
	return xasprintf("%lld sessions have not ended, as many as MAX_CONCURRENT_SESSIONS allows; end one first", (long long)c->all);
}
