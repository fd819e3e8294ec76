#include "host/login/login_quota.h"

#include "host/login/quota_statement.h"
#include "host/observe/observe.h"
#include "host/observe/observed.h"
#include "lucid/account.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

#define AWAITED_MAX 64

/* The user who has the session of this account: as the session controller determines it. */
static void user_of(const struct instance *i, const char *account, char dst[CALLER_NAME_MAX + 1])
{
	account_user(i->host->set.user_map, account, dst);
	if (!*dst)
		str_copy(dst, CALLER_NAME_MAX + 1, i->user_id);
}

/* sesman leads a client to it. It knows nothing of an orphaned desktop, and forgets one whose leader has ended. */
static bool is_known_to_sesman(const struct desktop *d)
{
	return d->state != DESKTOP_ORPHANED && desktop_alive(d);
}

bool login_has_desktop(const struct instance *i, const char *account)
{
	const struct desktop *d;
	LIST_FOREACH (d, &i->observed->desktops, node)
		if (str_eq(d->user, account) && is_known_to_sesman(d))
			return true;
	return false;
}

/* Its first login has passed PAM, and its desktop is about to start. */
static bool awaits_desktop(const struct instance *i, const char *account)
{
	const char *awaited[AWAITED_MAX];
	size_t n = logins_awaited(i, awaited, AWAITED_MAX);
	for (size_t k = 0; k < n; k++)
		if (str_eq(awaited[k], account))
			return true;
	return false;
}

static bool is_of(const struct instance *i, const char *account, const char *user)
{
	char its_user[CALLER_NAME_MAX + 1];
	user_of(i, account, its_user);
	return *account && str_eq(its_user, user);
}

static void count_instance(const struct instance *i, const struct instance *of, const char *user, struct quota_counts *c)
{
	const char *awaited[AWAITED_MAX];
	const struct desktop *d;
	size_t n = logins_awaited(i, awaited, AWAITED_MAX);
	LIST_FOREACH (d, &i->observed->desktops, node) {
		c->all++;
		c->user += is_of(i, d->user, user);
		c->desktops += i == of && is_known_to_sesman(d);
	}
	for (size_t k = 0; k < n; k++) {
		c->all++;
		c->user += is_of(i, awaited[k], user);
		c->desktops += i == of;
	}
}

static void count_for(struct instance *i, const char *user, struct quota_counts *ret)
{
	struct instance *other;
	*ret = (struct quota_counts){ .desktops_max = doc_int(doc_get(i->spec, "desktop"), "max_sessions", 10) };
	INSTANCE_FOREACH (other, i->host)
		if (other->observed)
			count_instance(other, i, user, ret);
	quota_statement_apply(i->host->observer->quotas, i->id, user, clock_mono_ms(), ret);
}

static const char *refusal(struct instance *i, const char *user, struct quota_counts *ret)
{
	count_for(i, user, ret);
	return quota_refusal(ret);
}

/* The last sweep may have been a second ago. */
static void sweep_all(struct host *h)
{
	struct instance *i;
	INSTANCE_FOREACH (i, h)
		if (i->observed)
			desktops_sweep(i);
}

const char *login_quota_refusal(struct instance *i, const char *account, char **ret_why)
{
	char user[CALLER_NAME_MAX + 1];
	struct quota_counts c;
	user_of(i, account, user);
	if (login_has_desktop(i, account) || awaits_desktop(i, account) || !refusal(i, user, &c))
		return NULL;
	sweep_all(i->host);
	const char *reason = refusal(i, user, &c);
	if (reason)
		*ret_why = quota_sentence(&c, reason);
	return reason;
}

static bool has_another(const struct desktop *d)
{
	const struct desktop *other;
	LIST_FOREACH (other, &d->instance->observed->desktops, node)
		if (other != d && str_eq(other->user, d->user) && is_known_to_sesman(other))
			return true;
	return false;
}

static void on_exceeding_ended(UNUSED void *arg, UNUSED int err, json_t *consume_doc, UNUSED size_t processes, UNUSED size_t forced)
{
	json_decref(consume_doc);
}

static void end_if_exceeding(struct desktop *d, const char *user)
{
	struct quota_counts c;
	count_for(d->instance, user, &c);
	c.desktops--; /* it is counted itself */
	c.user--;
	c.all--;
	const char *reason = quota_refusal(&c);
	if (!reason)
		return;
	log_info("host", "ending desktop :%d of server %s: its account has another one there, and there may be no further one (%s)", d->display,
		 d->instance->id, reason);
	login_exceeds(d->instance, d->user, reason, quota_sentence(&c, reason));
	d->end_reason = reason;
	desktop_end(d, on_exceeding_ended, NULL);
}

void login_quota_started(struct desktop *d)
{
	char user[CALLER_NAME_MAX + 1];
	user_of(d->instance, d->user, user);
	if (has_another(d))
		end_if_exceeding(d, user);
	if (!d->ending)
		quota_statement_take(d->instance->host->observer->quotas, d->instance->id, user);
}

/* --- the entry */

void host_quotas(struct host *h, const json_t *in, host_done done, void *arg)
{
	json_t *out = json_object();
	quota_statement_set(h->observer->quotas, in, clock_mono_ms());
	doc_set_int(out, "valid_seconds", QUOTA_VALID_MS / 1000);
	host_answer(h, done, arg, ERR_OK, NULL, out);
}
