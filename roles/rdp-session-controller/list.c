#include "lucid/account.h"
#include "lucid/fanout.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/sessions.h"

/* GET /sessions: every agent is asked for its instances, and those that have desktops for these. Whose a desktop is says
 * RDP_USER_MAP; of an account that is nobody's, the owner of its server, whom the server-manager knows. */
struct listing {
	struct controller *s;
	struct call *call;
	struct fanout *f;
	json_t *found;	/* sessions */
	json_t *owners; /* server → its owner, or null while that is asked */
};

static void got_owner(const char *node, const char *server_id, const struct reply *r, void *arg)
{
	struct listing *w = arg;
	json_t *session;
	size_t i;
	if (r->err)
		return; /* deleted meanwhile, or the manager is away: nobody's, which admins alone see */
	json_array_foreach(w->found, i, session)
		if (json_is_null(json_object_get(session, "user_id")) && str_eq(doc_str(session, "server_id", ""), server_id))
			json_object_set(session, "user_id", json_object_get(r->doc, "user_id"));
}

static void ask_owner(struct listing *w, const char *server_id)
{
	if (json_object_get(w->owners, server_id))
		return;
	json_object_set_new(w->owners, server_id, json_null());
	fanout_ask(w->f, w->s->server, NULL, server_id, NULL, got_owner);
}

static void add(struct listing *w, const char *node, const json_t *desktop)
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
	struct listing *w = arg;
	json_t *desktop;
	size_t i;
	if (r->err && r->err != ERR_INSTANCE_NOT_FOUND)
		fanout_miss(w->f, node);
	if (r->err)
		return;
	json_array_foreach(json_object_get(r->doc, "desktops"), i, desktop)
		add(w, node, desktop);
}

static bool has_desktops(const json_t *instance)
{
	const json_t *n = json_object_get(instance, "sessions");
	return doc_int(n, "active", 0) + doc_int(n, "disconnected", 0) + doc_int(n, "orphaned", 0) > 0;
}

static void got_instances(const char *node, const char *param, const struct reply *r, void *arg)
{
	struct listing *w = arg;
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

/* Of one server, its own host alone is asked; who does not know the server's host asks all. */
static void got_server(const char *node, const char *server_id, const struct reply *r, void *arg)
{
	struct listing *w = arg;
	const struct role_env *env = &w->s->env;
	const char *host = doc_str(r->doc, "node", ""), *only = doc_str(call_query(w->call), "node", NULL);
	if (r->err == ERR_SERVER_NOT_FOUND)
		return;
	if (r->err || !fanout_knows(env->nodes, env->node, host))
		fanout_ask_nodes(w->f, env->nodes, env->node, only, w->s->instances, got_instances);
	else if (!only || str_eq(host, only))
		fanout_ask(w->f, w->s->desktops, host, server_id, NULL, got_desktops);
}

static bool shown(const struct listing *w, const json_t *session)
{
	static const char *const filters[] = { "status", "user_id", "server_id", "node" };
	const struct caller *who = call_caller(w->call);
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		const char *wanted = doc_str(call_query(w->call), filters[i], NULL);
		if (wanted && !str_eq(doc_str(session, filters[i], ""), wanted))
			return false;
	}
	return caller_is_admin(who) || str_eq(doc_str(session, "user_id", ""), who->sub);
}

static const char *sort_by; /* of the sort under way: qsort takes no argument, and there is one thread */

static int in_order(const char *key, const json_t *a, const json_t *b)
{
	const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
	if (json_is_integer(x) && json_is_integer(y))
		return json_integer_value(x) < json_integer_value(y) ? -1 : json_integer_value(x) > json_integer_value(y);
	return strcmp(doc_str(a, key, ""), doc_str(b, key, ""));
}

static int compare(const void *pa, const void *pb)
{
	const json_t *a = *(json_t *const *)pa, *b = *(json_t *const *)pb;
	bool down = *sort_by == '-';
	int rc = in_order(sort_by + down, a, b);
	if (rc)
		return down ? -rc : rc;
	return in_order("node", a, b) ?: in_order("server_id", a, b) ?: in_order("display", a, b);
}

/* The page asked for of what may be seen. */
static json_t *page(const struct listing *w, size_t limit, size_t offset, size_t *ret_total)
{
	json_t *session, **all = xcalloc(json_array_size(w->found) + 1, sizeof *all), *out = json_array();
	size_t i, n = 0;
	json_array_foreach(w->found, i, session)
		if (shown(w, session))
			all[n++] = session;
	sort_by = doc_str(call_query(w->call), "sort", "-started_at");
	qsort(all, n, sizeof *all, compare);
	for (i = offset; i < n && i - offset < limit; i++)
		json_array_append(out, all[i]);
	free(all);
	*ret_total = n;
	return out;
}

static void done(void *arg)
{
	struct listing *w = arg;
	struct controller *s = w->s;
	const json_t *q = call_query(w->call);
	size_t total, limit = (size_t)doc_int(q, "limit", 20);
	size_t offset = (size_t)doc_int(q, "offset", (doc_int(q, "page", 1) - 1) * (int64_t)limit);
	json_t *sessions = page(w, limit, offset, &total), *out = json_object();
	doc_set(out, "sessions", sessions);
	doc_set(out, "unreachable", fanout_missed(w->f));
	doc_set(out, "pagination",
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "page", (json_int_t)(offset / limit + 1), "limit",
			  (json_int_t)limit, "offset", (json_int_t)offset, "total", (json_int_t)total, "pages",
			  (json_int_t)((total + limit - 1) / limit), "has_next", offset + limit < total, "has_previous",
			  offset > 0));
	call_ok(w->call, out);
	json_decref(w->found);
	json_decref(w->owners);
	free(w);
	s->under_way--;
	controller_idle(s);
}

void op_sessions(struct call *c, void *ctx)
{
	struct controller *s = ctx;
	const json_t *q = call_query(c);
	const char *server = doc_str(q, "server_id", NULL), *node = doc_str(q, "node", NULL);
	if (json_object_get(q, "page") && json_object_get(q, "offset")) {
		call_fail_details(c, ERR_INVALID,
				  json_pack("[{s:s, s:s}]", "field", "offset", "message", "not together with page; give one of the two"),
				  NULL);
		return;
	}
	struct listing *w = XNEW(struct listing);
	*w = (struct listing){ .s = s, .call = c, .found = json_array(), .owners = json_object() };
	w->f = fanout_new(s->env.bus, c, done, w);
	s->under_way++;
	if (server)
		fanout_ask(w->f, s->server, NULL, server, NULL, got_server);
	else
		fanout_ask_nodes(w->f, s->env.nodes, s->env.node, node, s->instances, got_instances);
	fanout_go(w->f);
}
