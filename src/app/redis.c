#include "app/redis.h"

#include <stdio.h>

#include "app/container.h"
#include "app/roles.h"
#include "bus/redis_events.h"
#include "redis/rate.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "net/resolve.h"

struct redis {
	struct resolver *resolver;
	struct redis_events *events; /* NULL: only rate limits are shared */
	struct redis_link *limits;   /* separate connection for rate limits; NULL: they use the connection for events */
	struct rate_redis *rates;
	const char *roles[ROLES_N + 1];
};

/* --- settings */

static const char *const names[] = { "REDIS_URL", "RATE_LIMIT_STORAGE_URL" };
enum { EVENTS, LIMITS };

/* False: it is not set, or is invalid (*ret_why). */
static bool read_url(const struct config *c, int which, struct redis_url *ret, const char **ret_why)
{
	*ret_why = "";
	return *config_str(c, names[which]) && redis_url_parse(config_str(c, names[which]), ret, ret_why) == 0;
}

void redis_check(const struct config *c, struct strbuf *faults)
{
	struct redis_url u[ARRAY_LEN(names)] = { 0 };
	bool is[ARRAY_LEN(names)];
	const char *why;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		is[i] = read_url(c, (int)i, &u[i], &why);
		if (!is[i] && *why)
			config_fault(c, names[i], faults, "%s", why);
		else if (is[i] && redis_url_is_loopback(&u[i]) && container_has_own_network())
			config_fault(c, names[i], faults, "is a loopback address, which inside a container is the container itself; name the host or service "
				     "that Redis runs on, or give the container the host's network");
	}
	int64_t need = (is[EVENTS] ? 2 : 0) + (is[LIMITS] && !(is[EVENTS] && redis_url_same(&u[EVENTS], &u[LIMITS])) ? 1 : 0);
	if (config_int(c, "REDIS_MAX_CONNECTIONS") < need)
		config_fault(c, "REDIS_MAX_CONNECTIONS", faults, "is too low: these settings need %lld connections", (long long)need);
	mem_wipe(u, sizeof u);
}

/* --- creation */

static void on_limits_state(UNUSED bool up, UNUSED void *arg)
{
	/* nothing to do: each request checks the connection */
}

static void make_events(struct redis *r, struct loop *l, struct bus *b, const struct config *c, const struct redis_url *u,
			const struct role *const *roles)
{
	for (size_t i = 0; roles[i] && i < ROLES_N; i++)
		r->roles[i] = roles[i]->name;
	struct redis_events_options o = { .loop = l, .bus = b, .resolver = r->resolver, .url = u, .node = config_str(c, "NODE_NAME"),
					  .roles = r->roles };
	r->events = redis_events_new(&o);
}

struct redis *redis_new(struct loop *l, struct bus *b, const struct config *c, const struct role *const *roles)
{
	static const struct redis_link_events events = { .state = on_limits_state };
	struct redis_url u, limits;
	const char *why;
	bool has = read_url(c, EVENTS, &u, &why), has_limits = read_url(c, LIMITS, &limits, &why);
	if (!has && !has_limits)
		return NULL;
	struct redis *r = XNEW(struct redis);
	r->resolver = resolver_new(l);
	if (has)
		make_events(r, l, b, c, &u, roles);
	if (has_limits && !(has && redis_url_same(&u, &limits)))
		r->limits = redis_link_new(l, r->resolver, &limits, "limits", NULL, &events, r);
	r->rates = rate_redis_new(l, r->limits ? r->limits : redis_events_commands(r->events));
	mem_wipe(&u, sizeof u);
	mem_wipe(&limits, sizeof limits);
	return r;
}

struct rate_redis *redis_rates(struct redis *r)
{
	return r ? r->rates : NULL;
}

void redis_free(struct redis *r)
{
	if (!r)
		return;
	redis_events_free(r->events);
	redis_link_free(r->limits);
	rate_redis_free(r->rates);
	resolver_free(r->resolver);
	free(r);
}

/* --- readiness */

static void redis_ready(void *arg, api_check_done done, void *token)
{
	struct redis *r = arg;
	char message[400];
	if (!r) {
		done(token, API_DISABLED, "rate limits are counted per process and events travel over REST");
		return;
	}
	if (r->events && !redis_events_up(r->events))
		snprintf(message, sizeof message, "Redis %s; until it answers, rate limits are counted per process, and events travel over "
			 "REST", redis_events_why(r->events));
	else if (r->limits && !redis_link_up(r->limits))
		snprintf(message, sizeof message, "the Redis of the rate limits %s; until it answers, they are counted per process", redis_link_why(r->limits));
	else if (*rate_redis_why(r->rates))
		snprintf(message, sizeof message, "rate limits are counted per process: Redis answered %s", rate_redis_why(r->rates));
	else {
		if (r->events)
			redis_events_others(r->events, message, sizeof message);
		done(token, API_HEALTHY, r->events ? message : "");
		return;
	}
	done(token, API_UNHEALTHY, message);
}

void redis_add_check(struct redis *r, struct api *a)
{
	api_add_check(a, "redis", false, redis_ready, r);
}
