#include <stdio.h>
#include <stdlib.h>

#include "host/desktop/desktop_log.h"
#include "host/instance/launch.h"
#include "host/login/login_guard.h"
#include "host/login/login_quota.h"
#include "host/kernel/proc.h"
#include "host/observe/observed.h"
#include "host/login/sesman_peer.h"
#include "lucid/account.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "lucid/text.h"

/* The hook reports the steps of a login through PAM: it begins, its password was accepted ("passed"), its account may log in ("allowed"). A
 * failure is not reported. It shows when sesman closes the connection of the request, or starts with the next request, because sesman
 * handles one at a time. */

#define POLL_MS 100
#define AT_SESMAN_MS 60000 /* a PAM module may wait for a directory service */
#define DESKTOP_MS 30000   /* from the answer of PAM to the desktop */
#define WAITING_MAX 64	   /* xrdp has no more connections to sesman at once */
#define STRANGERS_TELL_MS 10000
#define AT_SESMANS_MAX 1024 /* sockets of one dump for all servers; with more, each server is checked by itself */

enum stage { BEGUN, PASSED, ALLOWED };

struct login {
	struct list node; /* observed->logins */
	struct instance *instance;
	char user[ACCOUNT_MAX + 1]; /* "" if it is not reported */
	char connection[17];	    /* id; "" if unknown */
	char address[46];
	uint16_t port, sesman_port; /* of the client; of xrdp's end of the connection to sesman */
	bool account;		    /* the account exists */
	const char *quota;	    /* static: the reason for which login_quota.h refuses it; NULL: it does not */
	char *why;		    /* the same as a sentence; NULL */
	enum stage stage;
	int64_t since_ms;
};

static void login_free(struct login *l)
{
	list_remove(&l->node);
	free(l->why);
	free(l);
}

static struct login *login_new(struct instance *i)
{
	struct login *l = XNEW(struct login);
	l->instance = i;
	l->since_ms = clock_mono_ms();
	list_append(&i->observed->logins, &l->node);
	return l;
}

/* --- the outcome */

static json_t *login_doc(const struct login *l)
{
	json_t *doc = json_object();
	doc_set_str(doc, "username", l->user[0] ? l->user : NULL);
	doc_set_str(doc, "client_address", l->address[0] ? l->address : NULL);
	doc_set(doc, "client_port", l->port ? json_integer(l->port) : NULL);
	doc_set_str(doc, "connection_id", l->connection[0] ? l->connection : NULL);
	return doc;
}

/* The filter of fail2ban (deploy/fail2ban) reads these lines too. Text that the client chose is at their end. */
static void login_succeed(struct login *l)
{
	struct instance *i = l->instance;
	log_info("login", "RDP login succeeded from %s on server %s, account %s", l->address[0] ? l->address : "-", i->id,
		 l->user[0] ? l->user : "-");
	host_tell(i->host, "xrdp.login.succeeded", i, login_doc(l));
	login_free(l);
}

/* Reasons that a client sees who guesses accounts or passwords. */
static bool is_guess(const char *reason)
{
	static const char *const guesses[] = { "bad_password", "unknown_account", "account_refused" };
	for (size_t n = 0; n < ARRAY_LEN(guesses); n++)
		if (str_eq(guesses[n], reason))
			return true;
	return false;
}

static void login_fail(struct login *l, const char *reason, int64_t local_uid)
{
	struct instance *i = l->instance;
	json_t *doc = login_doc(l);
	if (local_uid >= 0)
		log_warn("login", "RDP login failed from uid %lld of this host on server %s (%s), account %s", (long long)local_uid, i->id,
			 reason, l->user[0] ? l->user : "-");
	else
		log_warn("login", "RDP login failed from %s on server %s (%s), account %s", l->address[0] ? l->address : "-", i->id, reason,
			 l->user[0] ? l->user : "-");
	if (reason == l->quota)
		desktop_log(i, "refused login", l->user, l->why);
	doc_set_str(doc, "reason", reason);
	doc_set_str(doc, "detail", reason == l->quota ? l->why : NULL);
	doc_set(doc, "local_uid", local_uid >= 0 ? json_integer(local_uid) : NULL);
	host_tell(i->host, "xrdp.login.failed", i, doc);
	if (l->address[0] && is_guess(reason))
		login_guard_failed(i->host->observer->guard, &i->host->set.login, l->address, clock_mono_ms());
	login_free(l);
}

static bool has_desktop(const struct login *l)
{
	struct desktop *d;
	LIST_FOREACH (d, &l->instance->observed->desktops, node)
		if (l->user[0] && str_eq(d->user, l->user))
			return true;
	return false;
}

static bool root_may(const struct instance *i)
{
	const json_t *v;
	size_t n;
	json_array_foreach (doc_get(doc_get(i->spec, "security"), "allowed_users"), n, v)
		if (json_is_string(v) && str_eq(json_string_value(v), "root"))
			return true;
	return false;
}

/* PAM allowed it, but its connection never showed a desktop. */
static void login_settle_allowed(struct login *l)
{
	struct instance_sessions n;
	struct instance *i = l->instance;
	i->host->hooks.sessions(i, &n);
	size_t max = (size_t)doc_int(doc_get(i->spec, "desktop"), "max_sessions", 10);
	if (has_desktop(l))
		login_succeed(l); /* the client disconnected at once */
	else if (str_eq(l->user, "root") && !root_may(i))
		login_fail(l, "account_refused", -1);
	else if (n.active + n.disconnected >= max) /* sesman does not count orphans; only a login with another color depth gets here */
		login_fail(l, "max_sessions", -1);
	else if (taken_names_exhausted(i))
		login_fail(l, "no_display", -1);
	else
		login_fail(l, "start_failed", -1);
}

static void login_settle(struct login *l)
{
	if (l->stage == ALLOWED)
		login_settle_allowed(l);
	else if (l->stage == PASSED)
		login_fail(l, "account_refused", -1);
	else
		login_fail(l, l->account ? "bad_password" : "unknown_account", -1);
}

/* --- the way through PAM */

static struct login *at_sesman(struct instance *i)
{
	struct login *l;
	LIST_FOREACH (l, &i->observed->logins, node)
		if (l->stage != ALLOWED)
			return l;
	return NULL;
}

struct wanted {
	uint64_t inode;
	bool found;
};

static bool is_inode(uint64_t inode, void *arg)
{
	struct wanted *w = arg;
	w->found |= inode == w->inode;
	return !w->found;
}

static struct connection *connection_of_inode(struct instance *i, uint64_t inode)
{
	struct connection *c;
	LIST_FOREACH (c, &i->observed->connections, node) {
		struct wanted w = { .inode = inode };
		if (c->pid)
			proc_socket_inodes(c->pid, is_inode, &w);
		if (w.found)
			return c;
	}
	return NULL;
}

/* Finds the RDP client of the request through the socket of its xrdp process to sesman. */
static void find_client(struct login *l, uint64_t inode)
{
	connections_sweep(l->instance->host);
	const struct connection *c = inode ? connection_of_inode(l->instance, inode) : NULL;
	if (!c)
		return;
	str_copy(l->connection, sizeof l->connection, c->id);
	str_copy(l->address, sizeof l->address, c->peer);
	l->port = c->peer_port;
}

static size_t login_count(const struct instance *i)
{
	const struct login *l;
	size_t n = 0;
	LIST_FOREACH (l, &i->observed->logins, node)
		n++;
	return n;
}

bool login_begins(struct instance *i, const char *user, const char *detail)
{
	int ours, account;
	unsigned long long inode;
	unsigned port, uid;
	if (sscanf(detail, "%d %llu %u %u %d", &ours, &inode, &port, &uid, &account) != 5)
		return true;
	struct login *l = at_sesman(i);
	if (l)
		login_settle(l);
	if (login_count(i) >= WAITING_MAX)
		login_settle(CONTAINER_OF(i->observed->logins.next, struct login, node));
	l = login_new(i);
	l->account = account;
	l->sesman_port = (uint16_t)port;
	/* a stranger's text in logs and the audit log: no invisible characters, unless the host has such an account */
	if (account_name_ok(user) && (account || !text_unfit(user, TEXT_NAME)))
		str_copy(l->user, sizeof l->user, user);
	if (!ours) {
		login_fail(l, "not_from_xrdp", port ? (int64_t)uid : -1);
		return false;
	}
	find_client(l, inode);
	if (login_guard_blocks(i->host->observer->guard, &i->host->set.login, l->address, clock_mono_ms())) {
		login_fail(l, "address_blocked", -1);
		return false;
	}
	loop_timer_set(i->host->observer->login_poll, POLL_MS);
	return true;
}

/* The login of this account that sesman handles; NULL: its beginning was not reported, or a PAM module has changed the name since. */
static struct login *passing(struct instance *i, const char *user)
{
	struct login *l = at_sesman(i);
	return l && (!l->user[0] || str_eq(l->user, user)) ? l : NULL;
}

/* A login that a quota refuses passes through the rest of PAM's account step, which may have another reason to refuse it. */
bool login_passes(struct instance *i, const char *user, bool limited)
{
	struct login *l = passing(i, user);
	char *why = NULL;
	const char *quota = limited ? login_quota_refusal(i, user, &why) : NULL;
	if (l)
		l->stage = PASSED;
	if (!quota)
		return true;
	bool known = l != NULL;
	if (!known)
		l = login_new(i);
	l->quota = quota;
	l->why = why;
	if (!known) {
		str_copy(l->user, sizeof l->user, account_name_ok(user) ? user : "");
		login_fail(l, quota, -1);
	}
	return false;
}

void login_allowed(struct instance *i, const char *user)
{
	struct login *l = passing(i, user);
	if (!l)
		return;
	if (l->quota) {
		login_fail(l, l->quota, -1);
		return;
	}
	l->stage = ALLOWED;
	l->since_ms = clock_mono_ms();
	observe_soon(i->host);
}

void login_exceeds(struct instance *i, const char *user, const char *reason, char *consume_why)
{
	struct login *l, *last = NULL;
	LIST_FOREACH (l, &i->observed->logins, node)
		if (l->stage == ALLOWED && str_eq(l->user, user))
			last = l;
	if (!last) {
		last = login_new(i);
		str_copy(last->user, sizeof last->user, user);
	}
	last->quota = reason;
	last->why = consume_why;
	login_fail(last, reason, -1);
}

size_t logins_awaited(const struct instance *i, const char **dst, size_t max)
{
	const struct login *l;
	size_t n = 0;
	LIST_FOREACH (l, &i->observed->logins, node) {
		bool listed = l->stage != ALLOWED || !l->user[0] || login_has_desktop(i, l->user);
		for (size_t k = 0; k < n && !listed; k++)
			listed = str_eq(dst[k], l->user);
		if (!listed && n < max)
			dst[n++] = l->user;
	}
	return n;
}

static bool is_open(const struct login *l)
{
	struct tcp_sock s[64];
	uint16_t port = (uint16_t)l->instance->sesman_port;
	int n = sock_diag_tcp(port, port, s, ARRAY_LEN(s));
	for (int k = 0; k < n; k++)
		if (s[k].peer_port == l->sesman_port)
			return true;
	return n < 0; /* unknown: it ends by its deadline */
}

void logins_poll(void *host)
{
	struct host *h = host;
	struct instance *i;
	bool any = false;
	INSTANCE_FOREACH (i, h) {
		struct login *l = i->observed ? at_sesman(i) : NULL;
		if (!l)
			continue;
		if (clock_mono_ms() - l->since_ms > AT_SESMAN_MS || (l->sesman_port && !is_open(l)))
			login_settle(l);
		else
			any = true;
	}
	if (any)
		loop_timer_set(h->observer->login_poll, POLL_MS);
}

/* --- what connections show */

void login_connected(const struct connection *c)
{
	struct login *l, *next;
	LIST_FOREACH_SAFE (l, next, &c->instance->observed->logins, node)
		if (l->stage == ALLOWED && (str_eq(l->connection, c->id) || (!l->connection[0] && str_eq(l->user, c->user))))
			login_succeed(l);
}

void login_left(const struct connection *c)
{
	struct login *l, *next;
	LIST_FOREACH_SAFE (l, next, &c->instance->observed->logins, node)
		if (l->stage == ALLOWED && str_eq(l->connection, c->id))
			login_settle(l);
}

/* --- once a second */

/* Closes connections to sesman's port that are not from this server's xrdp: they could use up all that sesman accepts. While this server has
 * no sesman, another program may have the port. */
static void cut_strangers(struct instance *i, int64_t now)
{
	struct sesman_pair p[64];
	int n = sesman_pairs((uint16_t)i->sesman_port, p, ARRAY_LEN(p));
	bool own = false;
	for (int k = 0; k < n; k++) {
		if (p[k].client.inode && p[k].client.uid == i->uid)
			continue;
		if (!own && !(own = i->sesman.pid && daemon_listens(&i->sesman)))
			return;
		sock_diag_destroy(&p[k].sesman);
		if (now - i->observed->strangers_ms < STRANGERS_TELL_MS && i->observed->strangers_ms)
			continue;
		i->observed->strangers_ms = now;
		login_fail(login_new(i), "not_from_xrdp", p[k].client.inode ? (int64_t)p[k].client.uid : -1);
	}
}

bool logins_expected(const struct instance *i)
{
	const struct login *l;
	LIST_FOREACH (l, &i->observed->logins, node)
		if (l->stage == ALLOWED)
			return true;
	return false;
}

void logins_sweep(struct instance *i)
{
	struct login *l, *next;
	int64_t now = clock_mono_ms();
	LIST_FOREACH_SAFE (l, next, &i->observed->logins, node)
		if (l->stage == ALLOWED && now - l->since_ms > DESKTOP_MS)
			login_settle(l);
}

static bool has_own_sesman(const struct instance *i)
{
	return i->observed && !i->shared && i->sesman_port;
}

static bool has_port(const struct tcp_sock *s, int n, int port)
{
	for (int k = 0; k < n; k++)
		if (s[k].local_port == port)
			return true;
	return false;
}

void logins_cut_strangers(struct host *h)
{
	static struct tcp_sock s[AT_SESMANS_MAX];
	int first = 65535, last = 0;
	struct instance *i;
	INSTANCE_FOREACH (i, h) {
		if (!has_own_sesman(i))
			continue;
		first = MIN(first, i->sesman_port);
		last = MAX(last, i->sesman_port);
	}
	/* one dump for all: each walks the kernel's whole table of sockets, and there is rarely a connection to find */
	int n = first > last ? 0 : sock_diag_tcp((uint16_t)first, (uint16_t)last, s, AT_SESMANS_MAX);
	INSTANCE_FOREACH (i, h)
		if (has_own_sesman(i) && (n == AT_SESMANS_MAX || has_port(s, n, i->sesman_port)))
			cut_strangers(i, clock_mono_ms());
}

void logins_forget(struct instance *i)
{
	struct login *l, *next;
	LIST_FOREACH_SAFE (l, next, &i->observed->logins, node)
		login_free(l);
}
