#include "host/login/login_guard.h"

#include "host/observe/observed.h"
#include "lucid/log.h"
#include "lucid/str.h"

struct suspect {
	char client[46]; /* "": free */
	int failures;	 /* since first_ms */
	int64_t first_ms, last_ms, blocked_until_ms;
};

struct login_guard {
	struct suspect of[GUARD_MAX];
	size_t n; /* in use, the first of them */
};

struct login_guard *login_guard_new(void)
{
	return XNEW(struct login_guard);
}

void login_guard_free(struct login_guard *g)
{
	free(g);
}

static struct suspect *suspect_find(const struct login_guard *g, const char *address)
{
	char client[46];
	connection_client(address, client);
	for (size_t k = 0; k < g->n; k++)
		if (str_eq(g->of[k].client, client))
			return (struct suspect *)(uintptr_t)&g->of[k];
	return NULL;
}

static struct suspect *suspect_add(struct login_guard *g, const char *address, int64_t now)
{
	struct suspect *s = &g->of[0];
	if (g->n < GUARD_MAX)
		s = &g->of[g->n++];
	else
		for (size_t k = 1; k < GUARD_MAX; k++)
			if (g->of[k].last_ms < s->last_ms)
				s = &g->of[k];
	*s = (struct suspect){ .first_ms = now };
	connection_client(address, s->client);
	return s;
}

void login_guard_failed(struct login_guard *g, const struct login_settings *l, const char *address, int64_t now)
{
	int64_t window = (int64_t)l->block_s * 1000;
	struct suspect *s = suspect_find(g, address);
	if (!l->max_failures)
		return;
	if (!s)
		s = suspect_add(g, address, now);
	if (now < s->blocked_until_ms)
		return;
	if (now - s->first_ms > window) {
		s->failures = 0;
		s->first_ms = now;
	}
	s->last_ms = now;
	if (++s->failures < l->max_failures)
		return;
	s->blocked_until_ms = now + window;
	s->failures = 0;
	log_warn("login", "RDP connections from %s are cut for %d s: %d logins from there failed (LOGIN_MAX_FAILURES)", s->client, l->block_s,
		 l->max_failures);
}

bool login_guard_blocks(const struct login_guard *g, const struct login_settings *l, const char *address, int64_t now)
{
	const struct suspect *s = l->max_failures && *address ? suspect_find(g, address) : NULL;
	return s && now < s->blocked_until_ms;
}
