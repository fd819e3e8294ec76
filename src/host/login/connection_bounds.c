#include <arpa/inet.h>
#include <stdio.h>

#include "host/login/login_guard.h"
#include "host/observe/observed.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* One event covers all connections closed within this time; the first is published at once. */
#define TELL_MS 10000

static const char *const reasons[REFUSAL_KINDS] = { "server_full", "address_full", "login_timeout", "address_blocked" };

void connection_client(const char *address, char dst[46])
{
	struct in6_addr a;
	str_copy(dst, 46, address);
	if (inet_pton(AF_INET6, address, &a) != 1)
		return;
	/* a subscriber has a /64, so 2^64 addresses are one client */
	memset(&a.s6_addr[8], 0, 8);
	inet_ntop(AF_INET6, &a, dst, 46);
}

static void connection_refuse(struct connection *c, enum refusal why)
{
	struct refusals *r = &c->instance->observed->refusals;
	c->cut_for = reasons[why];
	r->total++;
	r->untold[why]++;
	if (why == REFUSED_SERVER || why == REFUSED_ADDRESS)
		r->full_ms = clock_mono_ms();
	str_copy(r->address, sizeof r->address, c->peer);
	connection_abort(c);
}

struct count {
	int all, of_client;
};

/* Counts the open connections within the bounds, and those of them from the same client. */
static struct count count_admitted(const struct instance *i, const char *client)
{
	const struct connection *c;
	struct count n = { 0 };
	char other[46];
	LIST_FOREACH (c, &i->observed->connections, node) {
		if (!c->admitted || c->cut_for || c->closing_ms)
			continue;
		connection_client(c->peer, other);
		n.all++;
		n.of_client += str_eq(client, other);
	}
	return n;
}

static void judge_new(struct connection *c)
{
	const struct login_settings *l = &c->instance->host->set.login;
	char client[46];
	connection_client(c->peer, client);
	struct count n = count_admitted(c->instance, client);
	if (l->per_server && n.all >= l->per_server)
		connection_refuse(c, REFUSED_SERVER);
	else if (l->per_address && n.of_client >= l->per_address)
		connection_refuse(c, REFUSED_ADDRESS);
	else
		c->admitted = true;
}

static bool is_late(const struct connection *c, int64_t now)
{
	int64_t limit = (int64_t)c->instance->host->set.login.timeout_s * 1000;
	return limit && !c->user[0] && !c->display && now - c->since_ms >= limit;
}

static json_t *counts_doc(const int64_t untold[REFUSAL_KINDS])
{
	json_t *doc = json_object();
	for (size_t k = 0; k < REFUSAL_KINDS; k++)
		doc_set_int(doc, reasons[k], untold[k]);
	return doc;
}

static void log_refusals(struct instance *i, int64_t now)
{
	struct refusals *r = &i->observed->refusals;
	if (r->told_ms && now - r->told_ms < TELL_MS)
		return;
	int64_t n = 0;
	for (size_t k = 0; k < REFUSAL_KINDS; k++)
		n += r->untold[k];
	if (n == 0)
		return;
	json_t *data = connection_bounds_doc(i);
	doc_set_str(data, "client_address", r->address);
	doc_set(data, "reasons", counts_doc(r->untold));
	log_warn("host",
		 "server %s: %lld connections were cut (%lld past MAX_CONNECTIONS_PER_SERVER, %lld past RDP_CONNECTIONS_PER_ADDRESS, "
		 "%lld after LOGIN_TIMEOUT, %lld of blocked addresses), the last one from %s",
		 i->id, (long long)n, (long long)r->untold[REFUSED_SERVER], (long long)r->untold[REFUSED_ADDRESS],
		 (long long)r->untold[REFUSED_TIMEOUT], (long long)r->untold[REFUSED_BLOCKED], r->address);
	memset(r->untold, 0, sizeof r->untold);
	r->told_ms = now;
	host_tell(i->host, "xrdp.connections.refused", i, data);
}

bool connection_bounds_judge(struct instance *i)
{
	struct connection *c;
	int64_t now = clock_mono_ms(), before = i->observed->refusals.total;
	/* the list is in the order of arrival */
	LIST_FOREACH (c, &i->observed->connections, node) {
		if (c->cut_for) {
			connection_abort(c); /* its process was unknown then, or is still ending */
			continue;
		}
		if (!c->admitted)
			judge_new(c);
		if (!c->cut_for && !c->user[0] && login_guard_blocks(i->host->observer->guard, &i->host->set.login, c->peer, now))
			connection_refuse(c, REFUSED_BLOCKED);
		if (!c->cut_for && is_late(c, now))
			connection_refuse(c, REFUSED_TIMEOUT);
	}
	log_refusals(i, now);
	return i->observed->refusals.total != before;
}

json_t *connection_bounds_doc(const struct instance *i)
{
	const struct connection *c;
	int64_t all = 0, waiting = 0, now = clock_mono_ms();
	if (!i->observed)
		return NULL;
	LIST_FOREACH (c, &i->observed->connections, node) {
		if (c->cut_for)
			continue;
		all++;
		waiting += !c->user[0];
	}
	int bound = i->host->set.login.per_server;
	const struct refusals *r = &i->observed->refusals;
	json_t *doc = json_object();
	doc_set_int(doc, "current", all);
	doc_set_int(doc, "without_user", waiting);
	doc_set(doc, "max", bound ? json_integer(bound) : NULL);
	doc_set_int(doc, "refused", r->total);
	/* no further connection is accepted, or one was refused just now */
	doc_set_bool(doc, "exhausted", (bound && all >= bound) || (r->full_ms && now - r->full_ms < TELL_MS));
	return doc;
}
