#include "roles/rdp-session-controller/session/delete.h"

#include "roles/rdp-session-controller/foreign/secret.h"
#include "roles/rdp-session-controller/session/timeline.h"

static void session_gone(struct task *t)
{
	struct session *s = task_session(t);
	json_t *data = json_object();
	timeline_forget(s);
	if (s->sealed) /* its end has deleted the password, unless that failed */
		secret_forget(s);
	doc_set_str(data, "status", object_state_name(&s->o));
	object_publish(&s->o, "deleted", data);
	if (t->on.call)
		call_ok(TAKE_PTR(t->on.call), NULL);
	object_drop(&s->o);
	objects_figures(s->o.set);
	object_task_end(&t->on);
}

static void removed(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct task *t = arg;
	if (result == STORE_OK) {
		session_gone(t);
	} else if (result == STORE_MISSING) {
		object_drop(&task_session(t)->o); /* another process deleted it first, and published the event */
		object_task_fail(&t->on, ERR_SESSION_NOT_FOUND, NULL);
	} else if (result == STORE_STALE) {
		object_task_again(&t->on);
	} else {
		object_task_fail_store(&t->on, err, ERR_INTERNAL);
	}
}

static void deletion_settled(int err, void *arg)
{
	struct task *t = arg;
	struct session *s = task_session(t);
	if (err) {
		object_task_fail_store(&t->on, err, ERR_INTERNAL);
		return;
	}
	struct store_op op = { STORE_DELETE, COL_SESSIONS, s->o.id, s->o.stored_version, NULL };
	store_write(session_controller(s)->env.store, &op, 1, removed, t);
}

void run_session_delete(struct object_task *on)
{
	object_wait(on->object, deletion_settled, task_of(on));
}
