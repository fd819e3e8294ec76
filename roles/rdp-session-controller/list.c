#include "lucid/account.h"
#include "lucid/fanout.h"
#include "lucid/listing.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/sessions.h"

/* GET /sessions: asks each agent for its instances, and for the desktops of each instance that has some. RDP_USER_MAP maps the account of a
 * desktop to its owner. If no user has the account, the desktop belongs to the owner of its server, whom rdp-server-manager knows. */
struct listed {
	struct controller *s;
	struct call *call;
	struct listing_page page;
	struct fanout *f;
	json_t *found;	/* sessions */
	json_t *owners; /* ids of servers whose owner has been requested */
};

static void got_owner(const char *node, const char *server_id, const struct reply *r, void *arg)
{
	struct listed *w = arg;
	json_t *session;
	size_t i;
	if (r->err)
		return; /* the server was deleted, or the manager is unreachable: no owner, so only admins see the session */
	json_array_foreach(w->found, i, session)
		if (json_is_null(json_object_get(session, "user_id")) && str_eq(doc_str(session, "server_id", ""), server_id))
			json_object_set(session, "user_id", json_object_get(r->doc, "user_id"));
}

static void ask_owner(struct listed *w, const char *server_id)
{
	if (json_object_get(w->owners, server_id))
		return;
	json_object_set_new(w->owners, server_id, json_null());
	fanout_ask(w->f, w->s->server, NULL, server_id, NULL, got_owner);
}

static void add_session(struct listed *w, const char *node, const json_t *desktop)
{
	static const char *const same[] = { "server_id", "username", "client_address", "display", "status", "started_at" };
	char user[CALLER_NAME_MAX + 1];
	json_t *session = json_object();
	account_user(config_list(w->s->env.config, "RDP_USER_MAP"), doc_str(desktop, "username", ""), user);
	doc_set_str(session, "user_id", *user ? user : NULL);
	doc_set_str(session, "node", node);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		doc_set(session, same[i], json_incref(json_object_get(desktop, same[i])));
	json_array_append_new(w->found, session);
	if (!*user)
		ask_owner(w, doc_str(desktop, "server_id", ""));
}

static void got_desktops(const char *node, const char *server_id, const struct reply *r, void *arg)
{
	struct listed *w = arg;
	json_t *desktop;
	size_t i;
	if (r->err && r->err != ERR_INSTANCE_NOT_FOUND)
		fanout_miss(w->f, node);
	if (r->err)
		return;
	json_array_foreach(json_object_get(r->doc, "desktops"), i, desktop)
		add_session(w, node, desktop);
}

static bool has_desktops(const json_t *instance)
{
	const json_t *n = json_object_get(instance, "sessions");
	return doc_int(n, "active", 0) + doc_int(n, "disconnected", 0) + doc_int(n, "orphaned", 0) > 0;
}

static void got_instances(const char *node, const char *param, const struct reply *r, void *arg)
{
	struct listed *w = arg;
	const char *only = doc_str(call_query(w->call), "server_id", NULL);
	json_t *instance;
	size_t i;
	if (r->err) {
		fanout_miss(w->f, node);
		return;
	}
	json_array_foreach(json_object_get(r->doc, "instances"), i, instance)
	{
		const char *id = doc_str(instance, "server_id", "");
		if (has_desktops(instance) && (!only || str_eq(id, only)))
			fanout_ask(w->f, w->s->desktops, node, id, NULL, got_desktops);
	}
}

/* For one server only its own host is asked; if that is unknown, all hosts are. */
static void got_server(const char *node, const char *server_id, const struct reply *r, void *arg)
{
	struct listed *w = arg;
	const struct role_env *env = &w->s->env;
	const char *host = doc_str(r->doc, "node", ""), *only = doc_str(call_query(w->call), "node", NULL);
	if (r->err == ERR_SERVER_NOT_FOUND)
		return;
	if (r->err || !fanout_knows(env->nodes, env->node, host))
		fanout_ask_nodes(w->f, env->nodes, env->node, only, w->s->instances, got_instances);
	else if (!only || str_eq(host, only))
		fanout_ask(w->f, w->s->desktops, host, server_id, NULL, got_desktops);
}

static const struct listing_filter filters[] = { { "status" }, { "user_id" }, { "server_id" }, { "node" } };
static const char *const ties[] = { "node", "server_id", "display", NULL };
static const struct listing sessions = { filters, ARRAY_LEN(filters), "-started_at", ties };

/* A caller sees its own sessions, an admin all. */
static bool may_see(const json_t *session, void *caller)
{
	const struct caller *who = caller;
	return caller_is_admin(who) || str_eq(doc_str(session, "user_id", ""), who->sub);
}

static void sessions_done(void *arg)
{
	struct listed *w = arg;
	struct controller *s = w->s;
	size_t total;
	json_t *out = json_object();
	doc_set(out, "sessions", listing_pick(&sessions, call_query(w->call), &w->page, w->found, may_see, (void *)call_caller(w->call), &total));
	doc_set(out, "unreachable", fanout_missed(w->f));
	doc_set(out, "pagination", listing_pagination(&w->page, (int64_t)total));
	call_ok(w->call, out);
	json_decref(w->found);
	json_decref(w->owners);
	free(w);
	under_way_end(&s->under_way);
}

void op_sessions(struct call *c, void *ctx)
{
	struct controller *s = ctx;
	const json_t *q = call_query(c);
	const char *server = doc_str(q, "server_id", NULL), *node = doc_str(q, "node", NULL);
	struct listed *w = XNEW(struct listed);
	*w = (struct listed){ .s = s, .call = c, .page = listing_page(q), .found = json_array(), .owners = json_object() };
	w->f = fanout_new(s->env.bus, c, sessions_done, w);
	under_way_begin(&s->under_way);
	if (server)
		fanout_ask(w->f, s->server, NULL, server, NULL, got_server);
	else
		fanout_ask_nodes(w->f, s->env.nodes, s->env.node, node, s->instances, got_instances);
	fanout_go(w->f);
}
