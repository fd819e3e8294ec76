#include "roles/rdp-server-manager/connect/connection.h"

#include "lucid/account.h"
#include "lucid/rdp_file.h"
#include "roles/rdp-server-manager/agent_calls.h"
#include "roles/rdp-server-manager/node/place.h"
#include "roles/rdp-server-manager/server/reading.h"

static bool in_list(const json_t *doc, const char *list, const char *name)
{
	return doc_array_has(doc_get(doc, list), name);
}

/* Used if the host does not respond: root is never allowed, and the lists apply. Group membership is known only on the host. */
static bool may_be_let_in(const json_t *doc, const char *account)
{
	bool lists = json_array_size(doc_get(doc, "security.allowed_users")) || json_array_size(doc_get(doc, "security.allowed_groups"));
	return !str_eq(account, "root") && (!lists || in_list(doc, "security.allowed_users", account));
}

static void account_told(const struct reply *r, void *arg)
{
	struct reading *w = arg;
	if (r->err ? !may_be_let_in(w->doc, w->account) : !doc_bool(r->doc, "can_log_in", false)) {
		free(w->account);
		w->account = NULL;
	}
	w->then(w);
}

/* The account that ?username names, else that of ?user_id or the caller if it can log in. With any other account in the .rdp file, the client would ask for a
 * password that is never accepted. */
static void with_account(struct reading *w, void (*then)(struct reading *w))
{
	const char *given = doc_str(call_query(w->call), "username", NULL), *why;
	const char *user = doc_str(call_query(w->call), "user_id", call_caller(w->call)->sub);
	const char *own = account_of_user(config_list(w->m->env.config, "RDP_USER_MAP"), user);
	w->then = then;
	w->account = given ? xstrdup(given) : shape_format("account", own, &why) ? xstrdup(own) : NULL;
	if (given || !w->account) {
		then(w);
		return;
	}
	const json_t *security = json_object_get(w->doc, "security");
	json_t *body = json_object();
	doc_set_str(body, "name", own);
	static const char *const lists[] = { "allowed_users", "allowed_groups" };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (json_object_get(security, lists[i]))
			json_object_set(body, lists[i], json_object_get(security, lists[i]));
	agent_call(w->m, doc_str(w->doc, "node", NULL), w->m->agent.account, NULL, NULL, body, w->call, account_told, w);
}

static void connection_got(const struct reply *r, void *arg)
{
	struct reading *w = arg;
	const json_t *security = json_object_get(w->doc, "security");
	json_t *out = json_object();
	json_object_set(out, "server_id", json_object_get(w->doc, "server_id"));
	doc_set_str(out, "host", place_host(w->m, doc_str(w->doc, "node", "")));
	json_object_set(out, "port", json_object_get(w->doc, "port"));
	json_object_set(out, "security_layer", json_object_get(security, "layer"));
	json_object_set(out, "min_tls", json_object_get(security, "min_tls"));
	doc_set_str(out, "certificate_fingerprint", r->err ? NULL : doc_str(r->doc, "certificate_fingerprint", NULL));
	doc_set_str(out, "username", w->account);
	json_object_set(out, "status", json_object_get(w->doc, "status"));
	call_ok(w->call, out);
	reading_free(w);
}

static void ask_instance(struct reading *w)
{
	agent_call(w->m, doc_str(w->doc, "node", NULL), w->m->agent.get, doc_str(w->doc, "server_id", ""), NULL, NULL, w->call, connection_got, w);
}

static void connection(struct reading *w)
{
	with_account(w, ask_instance);
}

/* The account of another user is not for everybody to learn. */
static bool may_ask_for(struct call *c)
{
	const struct caller *caller = call_caller(c);
	const char *user = doc_str(call_query(c), "user_id", caller->sub);
	if (caller_is_admin(caller) || str_eq(user, caller->sub))
		return true;
	call_fail_details(c, ERR_INVALID, json_pack("[{s:s, s:s}]", "field", "user_id", "message", "only an admin may name another user; omit it"), NULL);
	return false;
}

void op_connection(struct call *c, void *m)
{
	if (may_ask_for(c))
		reading_begin(m, c, connection);
}

static void send_rdp_file(struct reading *w)
{
	struct strbuf text = { 0 };
	struct rdp_file file;
	rdp_file_of_server(&file, w->doc);
	file.host = place_host(w->m, doc_str(w->doc, "node", ""));
	file.username = w->account && account_name_ok(w->account) ? w->account : NULL;
	rdp_file_write(&text, &file);
	call_set_file_name(w->call, doc_str(w->doc, "name", "desktop"), ".rdp");
	call_ok_blob(w->call, blob_new(text.s, text.len), "application/x-rdp");
	strbuf_done(&text);
	reading_free(w);
}

static void rdp_file(struct reading *w)
{
	with_account(w, send_rdp_file);
}

void op_rdp_file(struct call *c, void *m)
{
	if (may_ask_for(c))
		reading_begin(m, c, rdp_file);
}
