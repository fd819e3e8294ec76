#include "net/server/http_crowd.h"

#include <malloc.h>

#include "lucid/clock.h"
#include "lucid/log.h"
#include "net/server/http_life.h"
#include "net/server/http_share.h"

#define QUIET_MS 2000	     /* idle time after which a connection may be closed in favour of another one from its address */
#define CROWDED_LOG_MS 10000 /* between two log lines about addresses with too many connections */
#define CROWD 256	     /* number of connections after whose end memory is returned to the system */

void http_crowd_init(struct http_server *s)
{
	s->shares = map_new(s->limits.max_connections);
}

void http_crowd_done(struct http_server *s)
{
	map_free(s->shares, free);
}

bool http_crowd_is_full(const struct http_server *s)
{
	return s->n_conns >= s->limits.max_connections;
}

bool http_crowd_is_full_for(const struct http_server *s, const struct sockaddr *sa)
{
	char peer[INET6_ADDRSTRLEN];
	if (!s->limits.max_per_address || share_count(s->shares, sa) < s->limits.max_per_address)
		return false;
	http_conn_peer(peer, sa);
	return !s->exempt || !s->exempt(peer, s->arg);
}

static bool crowd_is_quiet(const struct http_conn *c, int64_t now_ms)
{
	bool handshake = c->ssl && !c->shaken, head = c->state == CONN_HEAD;
	return (head || c->state == CONN_IDLE) && now_ms - c->quiet_ms >= QUIET_MS && (handshake || head || http_conn_is_idle(c));
}

void http_crowd_make_room(struct http_server *s, const struct sockaddr *sa)
{
	char peer[INET6_ADDRSTRLEN];
	struct http_conn *c, *quiet = NULL;
	int64_t now_ms = clock_mono_ms();
	struct share *share = share_take(s->shares, sa);
	LIST_FOREACH(c, &s->conns, node)
		if (share && c->share == share && !c->over && (!quiet || c->quiet_ms < quiet->quiet_ms) && crowd_is_quiet(c, now_ms))
			quiet = c;
	share_drop(s->shares, share);
	if (quiet)
		http_life_close(quiet);
	if (s->crowded_ms && now_ms - s->crowded_ms < CROWDED_LOG_MS)
		return;
	s->crowded_ms = now_ms;
	http_conn_peer(peer, sa);
	log_warn("http", "%s has %zu open connections, the limit for one address: %s; raise MAX_CONNECTIONS_PER_ADDRESS, or list it in "
		 "TRUSTED_PROXIES if it is a proxy", peer, s->limits.max_per_address,
		 quiet ? "idle connections are closed to admit new ones" : "new connections are refused");
}

void http_crowd_join(struct http_conn *c, const struct sockaddr *sa, bool over)
{
	struct http_server *s = c->server;
	c->over = over;
	if (over) {
		s->n_over++;
		s->capped++;
		return;
	}
	c->share = share_take(s->shares, sa);
	s->n_conns++;
	s->accepted++;
}

/* The memory of many connections is scattered over the heap, and the allocator keeps it: make it return the free pages. */
void http_crowd_trim(struct http_server *s)
{
	s->crowd = MAX(s->crowd, s->n_conns);
	if (s->crowd < CROWD || s->n_conns > s->crowd / 4)
		return;
	s->crowd = s->n_conns;
	malloc_trim(0);
}
