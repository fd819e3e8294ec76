#include "roles/rdp-session-controller/foreign/secret.h"

#include "lucid/clock.h"

json_t *secret_doc(struct controller *c, const char *session_id, const char *password, int64_t version)
{
	struct seal_place at = secret_place(session_id);
	_cleanup_(xfreep) char *sealed = seal_text(c->env.seal, &at, password, strlen(password));
	json_t *doc = json_object();
	doc_set_str(doc, "session_id", session_id);
	doc_set_int(doc, "version", version);
	doc_set_time(doc, "updated_at", clock_wall_ms());
	doc_set_str(doc, SESSION_SECRET_FIELD, sealed);
	return doc;
}

static void secret_forgotten(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	if (result != STORE_OK && result != STORE_MISSING)
		log_warn(SERVICE, "the password of a session that has ended could not be deleted: %s; it is deleted later", err_text(err));
	objects_release(arg);
}

void secret_forget(struct session *s)
{
	struct store_op op = { STORE_DELETE, COL_SESSION_SECRETS, s->o.id, 0, NULL };
	objects_hold(s->o.set);
	store_write(session_controller(s)->env.store, &op, 1, secret_forgotten, s->o.set);
}
