#include "roles/rdp-session-controller/message/tell.h"

#include <stdio.h>

#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/foreign/foreign.h"
#include "roles/rdp-session-controller/session/timeline.h"
#include "roles/rdp-session-controller/watch/look.h"

struct telling {
	struct controller *c;
	const struct call *call;
	json_t *doc; /* of the session */
	session_told told;
	void *arg;
};

int session_untellable(const struct controller *c, const json_t *doc, char why[TELL_WHY_SIZE])
{
	const char *id = doc_str(doc, "session_id", ""), *node = doc_str(doc, "node", "");
	if (!json_is_null(json_object_get(doc, "stopped_at")))
		snprintf(why, TELL_WHY_SIZE, "session %s has ended (%s), so it has no desktop that could show a message", id, doc_str(doc, "status", ""));
	else if (foreign_doc(doc))
		snprintf(why, TELL_WHY_SIZE, "session %s is on a foreign RDP host, whose desktop cannot show a message from here", id);
	else if (!doc_int(doc, "display", 0))
		snprintf(why, TELL_WHY_SIZE, "nobody has logged in to session %s yet; send the message when it is active", id);
	else if (agent_unreachable(c, node)) {
		snprintf(why, TELL_WHY_SIZE, "nothing was shown: host %s is unreachable, its heartbeat has stopped; retry when it is back", node);
		return ERR_UNAVAILABLE;
	} else {
		return 0;
	}
	return ERR_SESSION_STATE;
}

/* What the failure means to a caller. */
static int tell_failure(const struct telling *t, const struct reply *r, char why[TELL_WHY_SIZE])
{
	const char *id = doc_str(t->doc, "session_id", ""), *node = doc_str(t->doc, "node", "");
	if (r->err == ERR_INSTANCE_NOT_FOUND || r->err == ERR_CONFLICT) {
		snprintf(why, TELL_WHY_SIZE, "session %s has just ended: %s", id, r->message);
		return ERR_SESSION_STATE;
	}
	if (r->err == ERR_UNCERTAIN || r->err == ERR_CANCELLED) {
		snprintf(why, TELL_WHY_SIZE, "the outcome is uncertain: the agent of host %s stopped answering (%s); the message may have been shown", node, r->message);
		return ERR_UNCERTAIN;
	}
	snprintf(why, TELL_WHY_SIZE, "the agent of host %s has not confirmed the message: %s", node, r->message);
	return r->err;
}

static void tell_answered(const struct reply *r, void *arg)
{
	struct telling *t = arg;
	struct controller *c = t->c;
	struct watched *w = r->err == ERR_INSTANCE_NOT_FOUND ? watched_of(c, doc_str(t->doc, "server_id", "")) : NULL;
	char why[TELL_WHY_SIZE] = "";
	int err = r->err ? tell_failure(t, r, why) : 0;
	if (w)
		look_at(w);
	if (!err)
		timeline_note(c, t->doc, "message", doc_str(call_body(t->call), "level", "info"), call_caller(t->call)->sub);
	t->told(err, why, r, t->arg);
	json_decref(t->doc);
	free(t);
	objects_release(c->objects);
}

void session_tell(struct controller *c, const struct call *call, json_t *doc, session_told told, void *arg)
{
	static const char *const said[] = { "text", "level" }, *const meant[] = { "started_at", "username" };
	struct telling *t = XNEW(struct telling);
	_cleanup_(doc_unrefp) json_t *body = json_object();
	char display[16];
	*t = (struct telling){ c, call, json_incref(doc), told, arg };
	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		json_object_set(body, said[i], json_object_get(call_body(call), said[i]));
	for (size_t i = 0; i < ARRAY_LEN(meant); i++)
		if (json_is_string(json_object_get(doc, meant[i])))
			json_object_set(body, meant[i], json_object_get(doc, meant[i]));
	snprintf(display, sizeof display, "%d", (int)doc_int(doc, "display", 0));
	objects_hold(c->objects);
	agent_ask(c, &(struct agent_args){ .op = c->ops.desktop_message, .node = doc_str(doc, "node", ""),
					   .params = { doc_str(doc, "server_id", ""), display }, .body = body, .call = call }, tell_answered, t);
}
