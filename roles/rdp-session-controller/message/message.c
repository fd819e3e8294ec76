#include "roles/rdp-session-controller/message/message.h"

#include "roles/rdp-session-controller/message/tell.h"
#include "roles/rdp-session-controller/operations/read.h"

static void message_told(int err, const char *why, const struct reply *r, void *arg)
{
	struct session_reading *w = arg;
	if (err == ERR_INVALID || err == ERR_RATE_LIMITED) { /* the agent says it best */
		call_fail_reply(w->call, r);
	} else if (err) {
		call_fail(w->call, err, "%s", why);
	} else {
		json_t *out = json_object();
		json_object_set(out, "session_id", json_object_get(w->doc, "session_id"));
		json_object_update(out, r->doc);
		call_ok(w->call, out);
	}
	session_read_end(w);
}

static void message_send(struct session_reading *w)
{
	char why[TELL_WHY_SIZE];
	int err = session_untellable(w->c, w->doc, why);
	if (!err) {
		session_tell(w->c, w->call, w->doc, message_told, w);
		return;
	}
	call_fail(w->call, err, "%s", why);
	session_read_end(w);
}

void op_session_message(struct call *call, void *ctx)
{
	struct controller *c = ctx;
	if (objects_ready(c->objects, call, op_session_message))
		session_read_begin(c, call, message_send);
}
