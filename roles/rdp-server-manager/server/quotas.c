#include "roles/rdp-server-manager/server/quotas.h"

#include "roles/rdp-server-manager/manager.h"
#include "roles/rdp-server-manager/server/states.h"

size_t servers_live(const struct manager *m)
{
	size_t n = 0;
	for (unsigned i = 0; i < SERVER_STATUS_COUNT; i++)
		if (i != SERVER_STOPPED)
			n += objects_in_state(m->objects, i);
	return n;
}

int quota_definition(struct manager *m, struct call *c, const char *user)
{
	return quota_of(m, c, user, (int64_t)objects_of_owner(m->objects, user));
}

int quota_of(struct manager *m, struct call *c, const char *user, int64_t has)
{
	if (has < m->max_per_user)
		return 0;
	if (c)
		call_fail(c, ERR_QUOTA, "%s has %lld servers, as many as MAX_SERVERS_PER_USER allows; delete one first", user,
			  (long long)m->max_per_user);
	return -ERR_QUOTA;
}

int quota_live(struct manager *m, struct call *c)
{
	if (servers_live(m) < (size_t)m->max_live)
		return 0;
	if (c)
		call_fail(c, ERR_QUOTA,
			  "%lld servers are not stopped, as many as MAX_CONCURRENT_SERVERS allows; stop or delete one first",
			  (long long)m->max_live);
	return -ERR_QUOTA;
}
