#include "roles/rdp-server-manager/profiles.h"

#include "roles/rdp-server-manager/agent_calls.h"
#include "roles/rdp-server-manager/manager.h"

static void profiles_listed(const struct reply *r, void *arg)
{
	struct manager *m = arg;
	if (!r->err) {
		json_decref(m->profiles);
		m->profiles = json_incref(r->doc);
	}
	objects_release(m->objects);
}

/* A call that waits until the agent has listed its profiles. */
struct asking {
	struct manager *m;
	struct call *call;
	call_handler again;
};

static void profiles_told(const struct reply *r, void *arg)
{
	struct asking *a = arg;
	struct manager *m = a->m;
	struct call *call = a->call;
	call_handler again = a->again;
	free(a);
	m->profiles_for = call;
	profiles_listed(r, m);
	again(call, m);
	m->profiles_for = NULL;
}

bool profiles_fresh(struct manager *m, struct call *c, const json_t *doc, call_handler again)
{
	bool named = doc_str(json_object_get(doc, "desktop"), "profile", NULL), good = m->profiles && !doc_str(m->profiles, "default_fault", NULL);
	if (m->profiles_for == c || (!named && good))
		return true;
	struct asking *a = XNEW(struct asking);
	*a = (struct asking){ m, c, again };
	objects_hold(m->objects);
	agent_call(m, m->env.node, m->agent.profiles, NULL, NULL, NULL, NULL, profiles_told, a);
	return false;
}

void profiles_ask(struct manager *m)
{
	objects_hold(m->objects);
	agent_call(m, m->env.node, m->agent.profiles, NULL, NULL, NULL, NULL, profiles_listed, m);
}
