#include "roles/rdp-session-controller/session/quotas.h"

#include "lucid/str.h"

size_t sessions_live(struct controller *c, const char *user)
{
	struct map_pos pos = { 0 };
	struct watched *w;
	struct session *s;
	size_t n = 0;
	for (w = c->foreign; w; w = watched_next(c, &pos))
		LIST_FOREACH (s, &w->sessions, live)
			n += !s->o.gone && (!user || str_eq(s->o.owner->id, user));
	return n;
}

bool session_quota_allows(struct controller *c, struct call *call, const char *user, int64_t has, int64_t all)
{
	if (has >= c->max_per_user)
		call_fail(call, ERR_QUOTA, "%s has %lld sessions that have not ended, as many as MAX_SESSIONS_PER_USER allows; end one first", user,
			  (long long)has);
	else if (all >= c->max_live)
		call_fail(call, ERR_QUOTA, "%lld sessions have not ended, as many as MAX_CONCURRENT_SESSIONS allows; end one first", (long long)all);
	return has < c->max_per_user && all < c->max_live;
}

bool server_quota_allows(const struct watched *w, struct call *call, const json_t *server)
{
	int64_t has = 0, max = doc_int(doc_get(server, "desktop"), "max_sessions", INT64_MAX);
	const struct session *s;
	LIST_FOREACH (s, &w->sessions, live)
		has += !s->o.gone && s->o.state != SESSION_ORPHANED;
	if (has >= max)
		call_fail(call, ERR_QUOTA,
			  "server %s has %lld sessions that have not ended, as many as its desktop.max_sessions allows; end one first, or raise it",
			  w->name, (long long)has);
	return has < max;
}
