#include "app/peers.h"

#include <stdio.h>

#include "app/roles.h"
#include "bus/feed.h"
#include "bus/rest.h"
#include "lucid/log.h"
#include "lucid/map.h"
#include "lucid/str.h"
#include "net/client/http_client.h"
#include "net/http_url.h"
#include "net/tls.h"

#define CALLS_MAX 4096	 /* in flight, to all peers together */
#define CONNECTIONS_MAX 64 /* busy connections to one peer */
#define WAITING_MAX 512	 /* calls that wait for one of those; further ones are refused at once */
#define ANSWERS_MAX (64u << 20) /* bytes of incomplete responses, of all peers together */
#define CHECK_MS 4500 /* of both requests of a readiness check */

/* A process with a URL, which runs roles, agents of nodes, or both. */
struct place {
	struct list node;
	char *url; /* in a form to which a path can be appended */
	struct rest *rest;
	struct feed *feed;
	unsigned users;
};

struct peer {
	struct peers *peers;
	const struct role *role;
	struct place *place;
};

struct peers {
	struct loop *loop;
	struct bus *bus;
	bool paused;
	struct http_client *client;
	struct service_token *token;
	struct peer list[ROLES_N];
	size_t n;
	struct map *nodes; /* name → place */
	struct list places;
};

static bool lives_here(const struct role *role, const struct role *const *roles)
{
	for (; *roles; roles++)
		if (*roles == role)
			return true;
	return false;
}

static struct http_client *make_client(struct loop *l, const struct http_tls *tls)
{
	char why[256];
	struct http_client *client = http_client_new(l, CALLS_MAX);
	http_client_limit_origin(client, CONNECTIONS_MAX, WAITING_MAX);
	http_client_limit_answers(client, ANSWERS_MAX);
	if (tls->cert && http_client_tls(client, tls, why, sizeof why) < 0)
		log_error("server", "TLS to other roles: %s", why);
	return client;
}

/* --- places */

/* The URL in a form to which a path can be appended. */
static char *make_base(const char *url)
{
	size_t len = strlen(url);
	return str_starts(url, "unix:") ? xasprintf("%s:", url) : xstrndup(url, len - (url[len - 1] == '/'));
}

static void on_alive(void *rest)
{
	rest_heard(rest);
}

static struct place *place_get(struct peers *p, const char *url)
{
	_cleanup_(xfreep) char *base = make_base(url);
	struct place *at;
	LIST_FOREACH(at, &p->places, node)
		if (str_eq(at->url, base)) {
			at->users++;
			return at;
		}
	at = XNEW(struct place);
	at->url = TAKE_PTR(base);
	at->rest = rest_new(p->loop, p->client, p->token, at->url);
	at->feed = feed_new(p->loop, p->bus, p->client, p->token, at->url, on_alive, at->rest);
	feed_pause(at->feed, p->paused);
	at->users = 1;
	list_append(&p->places, &at->node);
	return at;
}

static void place_put(struct place *at)
{
	if (!at || --at->users)
		return;
	list_remove(&at->node);
	feed_free(at->feed);
	rest_free(at->rest);
	free(at->url);
	free(at);
}

struct transport *peers_node(struct peers *p, const char *node, const char *url)
{
	struct http_url parsed;
	const char *why = "too many nodes are registered";
	void *old = NULL;
	if (http_url_parse(url, &parsed, &why) < 0) {
		log_warn("server", "node %s: its URL cannot be used: %s", node, why);
		return NULL;
	}
	struct place *at = place_get(p, url);
	if (!map_put(p->nodes, node, at, &old)) {
		log_warn("server", "node %s: no route to its agent: %s", node, why);
		place_put(at);
		return NULL;
	}
	place_put(old);
	return rest_transport(at->rest);
}

void peers_forget_node(struct peers *p, const char *node)
{
	place_put(map_remove(p->nodes, node));
}

void peers_feeds_pause(struct peers *p, bool paused)
{
	struct place *at;
	p->paused = paused;
	LIST_FOREACH(at, &p->places, node)
		feed_pause(at->feed, paused);
}

static void on_carried(bool carried, void *arg)
{
	peers_feeds_pause(arg, carried);
}

struct peers *peers_new(struct loop *l, struct bus *b, const struct config *c, struct token_keys *keys,
			const struct role *const *roles, const struct http_tls *tls)
{
	struct peers *p = XNEW(struct peers);
	p->client = make_client(l, tls);
	p->loop = l;
	p->bus = b;
	p->paused = bus_carried(b);
	bus_on_carried(b, on_carried, p);
	rest_declare_figures();
	feed_declare_figures();
	p->token = service_token_new(keys);
	p->nodes = map_new(PEERS_NODES_MAX);
	list_init(&p->places);
	for (const struct role *const *r = all_roles; *r; r++) {
		const char *url = config_str(c, (*r)->option[ROLE_OPT_URL]);
		if (lives_here(*r, roles) || !*url)
			continue;
		struct peer *to = &p->list[p->n++];
		*to = (struct peer){ p, *r, place_get(p, url) };
		bus_route(b, (*r)->name, rest_transport(to->place->rest));
	}
	return p;
}

int peers_tls(struct peers *p, const struct http_tls *tls, char *why, size_t size)
{
	return http_client_tls(p->client, tls, why, size);
}

/* --- readiness: GET /health of the peer, which depends on nothing else and lists its roles */

struct asked {
	const struct peer *peer;
	api_check_done done;
	void *token;
};

/* Whether the response lists the role; the response of another program does not. */
static bool is_there(const struct http_result *res, const char *role)
{
	size_t len = 0, i;
	const char *body = http_result_body(res, &len);
	_cleanup_(doc_unrefp) json_t *page = len ? doc_parse(body, len, NULL, 0) : NULL;
	const json_t *name;
	json_array_foreach(json_object_get(page, "roles"), i, name)
		if (str_eq(json_string_value(name), role))
			return true;
	return false;
}

static void on_known(const struct http_result *res, void *arg)
{
	_cleanup_(xfreep) struct asked *a = arg;
	int status = http_result_outcome(res) == HTTP_ANSWERED ? http_result_status(res) : 0;
	if (status == 401 || status == 429)
		a->done(a->token, API_UNHEALTHY, "it rejects this process's token; set the same JWT_SECRET on both hosts and check their clocks");
	else
		a->done(a->token, API_HEALTHY, "");
}

/* The peer is alive and runs the role. Checks whether it accepts this process's token, by a cheap request that requires one. */
static bool ask_known(struct asked *a)
{
	const struct peer *peer = a->peer;
	_cleanup_(xfreep) char *url = xasprintf("%s/events", peer->place->url);
	struct http_header header = { "Authorization", service_token_get(peer->peers->token) };
	struct http_ask ask = { .method = HTTP_HEAD, .url = url, .headers = &header, .n_headers = 1, .timeout_ms = CHECK_MS / 2 };
	const char *why = NULL;
	return http_client_ask(peer->peers->client, &ask, on_known, a, &why, NULL) == 0;
}

static void on_health(const struct http_result *res, void *arg)
{
	_cleanup_(xfreep) struct asked *a = arg;
	char message[160];
	if (http_result_outcome(res) != HTTP_ANSWERED)
		a->done(a->token, API_UNHEALTHY, http_result_why(res));
	else if (http_result_status(res) == 200 && is_there(res, a->peer->role->name)) {
		rest_heard(a->peer->place->rest);
		if (ask_known(a))
			TAKE_PTR(a);
		else
			a->done(a->token, API_HEALTHY, "");
	} else {
		snprintf(message, sizeof message, "its /health answered %d%s", http_result_status(res),
			 http_result_status(res) == 200 ? ", without this role; check its URL" : "");
		a->done(a->token, API_UNHEALTHY, message);
	}
}

static void check_peer(void *arg, api_check_done done, void *token)
{
	const struct peer *peer = arg;
	_cleanup_(xfreep) char *url = xasprintf("%s/health", peer->place->url);
	struct asked *a = XNEW(struct asked);
	*a = (struct asked){ peer, done, token };
	/* /health requires no token, but with one the peer accepts any Host, also a name that its ALLOWED_HOSTS does not list */
	struct http_header header = { "Authorization", service_token_get(peer->peers->token) };
	struct http_ask ask = { .method = HTTP_GET, .url = url, .headers = &header, .n_headers = 1, .timeout_ms = CHECK_MS / 2 };
	const char *why = "too many calls are in flight";
	if (http_client_ask(peer->peers->client, &ask, on_health, a, &why, NULL) == 0)
		return;
	free(a);
	done(token, API_UNHEALTHY, why);
}

void peers_add_checks(struct peers *p, struct api *a)
{
	for (size_t i = 0; i < p->n; i++)
		api_add_check(a, p->list[i].role->name, false, check_peer, &p->list[i]);
}

static void put_place(void *place)
{
	place_put(place);
}

void peers_free(struct peers *p)
{
	if (!p)
		return;
	bus_on_carried(p->bus, NULL, NULL);
	map_free(p->nodes, put_place);
	for (size_t i = 0; i < p->n; i++)
		place_put(p->list[i].place);
	http_client_free(p->client); /* also cancels checks in flight */
	service_token_free(p->token);
	free(p);
}
