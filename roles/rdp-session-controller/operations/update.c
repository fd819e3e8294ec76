#include "roles/rdp-session-controller/operations/update.h"

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/foreign/foreign.h"
#include "roles/rdp-session-controller/foreign/secret.h"
#include "roles/rdp-session-controller/session/define.h"
#include "roles/rdp-session-controller/session/session.h"
#include "roles/rdp-session-controller/session/timeline.h"

/* Applies a merge patch to the stored document and writes it with compare-and-swap. After a lost race the patch is applied to the new
 * document, unless the caller sent If-Match. */

static void apply_change(struct task *t);

/* The outcome of the task is the document after the change. A member that the patch removed is null again. */
static json_t *changed_document(const json_t *doc, const json_t *patch)
{
	static const char *const nullable[] = { "name", "rdp_config", "recording_config", "storage_config", "limits" };
	json_t *next = doc_merge(doc, patch);
	for (size_t i = 0; i < ARRAY_LEN(nullable); i++)
		if (!json_object_get(next, nullable[i]))
			doc_set(next, nullable[i], NULL);
	if (!json_object_get(next, "description"))
		doc_set_str(next, "description", "");
	json_t *metadata = json_copy(json_object_get(next, "metadata"));
	if (!metadata)
		metadata = json_object();
	json_object_set(metadata, "owner", json_object_get(doc, "user_id"));
	doc_set(next, "metadata", metadata);
	foreign_change(doc, patch, next);
	return next;
}

static bool changes_recording(const json_t *before, const json_t *after)
{
	return !json_equal(json_object_get(before, "recording_config"), json_object_get(after, "recording_config")) ||
	       !json_equal(json_object_get(before, "storage_config"), json_object_get(after, "storage_config"));
}

/* new_secret: rdp_config was changed by a part of it that is not in the document. */
static json_t *changed_fields(const json_t *before, const json_t *after, bool new_secret)
{
	json_t *list = json_array(), *value;
	const char *key;
	json_object_foreach((json_t *)(uintptr_t)after, key, value)
		if (!json_equal(value, json_object_get(before, key)) || (new_secret && str_eq(key, "rdp_config")))
			json_array_append_new(list, json_string(key));
	return list;
}

static void session_reread(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct task *t = arg;
	json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (doc) {
		object_take_over(t->on.object, doc);
		apply_change(t);
	} else if (result == STORE_MISSING) {
		object_drop(t->on.object);
		object_task_fail(&t->on, ERR_SESSION_NOT_FOUND, NULL);
	} else {
		object_task_fail_store(&t->on, err, ERR_INTERNAL);
	}
}

static void change_written(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct task *t = arg;
	struct session *s = task_session(t);
	if (result == STORE_OK) {
		json_t *data = json_object();
		doc_set(data, "fields", changed_fields(s->o.doc, t->outcome, t->secret != NULL));
		object_take_over(&s->o, TAKE_PTR(t->outcome));
		if (t->forgets_secret)
			secret_forget(s);
		doc_set_int(data, "version", s->o.version);
		object_publish(&s->o, "updated", data);
		timeline_add(s, s->o.doc, "updated", call_caller(t->on.call)->sub);
		object_task_answer(&t->on, 200);
		object_task_end(&t->on);
	} else if (result == STORE_FAILED) {
		object_task_fail_store(&t->on, err, ERR_INTERNAL);
	} else if (t->if_match || ++t->tries > OBJECT_TASKS_MAX) {
		object_task_fail(&t->on, t->if_match ? ERR_STALE : ERR_BUSY, NULL);
	} else {
		store_get(session_controller(s)->env.store, COL_SESSIONS, s->o.id, session_reread, t);
	}
}

static void change_secret(struct task *t, const json_t *patch)
{
	struct session *s = task_session(t);
	const char *password = foreign_password(patch);
	json_decref(t->secret);
	t->secret = password ? secret_doc(session_controller(s), s->o.id, password, s->o.version + 1) : NULL;
	t->forgets_secret = foreign_password_removed(s->o.doc, patch);
}

static void apply_change(struct task *t)
{
	struct session *s = task_session(t);
	struct faults f = { 0 };
	_cleanup_(doc_unrefp) json_t *patch =
		shape_unchanged(call_op(t->on.call)->in, t->body, s->o.doc, caller_is_admin(call_caller(t->on.call)), &f);
	session_check_metadata(t->body, s->o.owner->id, &f);
	foreign_check_change(session_controller(s), s->o.doc, patch, &f);
	if (t->if_match && t->if_match != s->o.version) {
		faults_done(&f);
		object_task_fail(&t->on, ERR_STALE, NULL);
		return;
	}
	if (faults_any(&f)) {
		call_fail_details(TAKE_PTR(t->on.call), ERR_INVALID, faults_take(&f), NULL);
		object_task_end(&t->on);
		return;
	}
	json_decref(t->outcome);
	t->outcome = changed_document(s->o.doc, patch);
	if (session_ended(s) && (foreign_password(patch) || !json_equal(json_object_get(t->outcome, "rdp_config"), json_object_get(s->o.doc, "rdp_config")))) {
		object_task_fail(&t->on, ERR_SESSION_STATE, "session %s has ended, so its rdp_config cannot be changed; declare another one", s->o.id);
		return;
	}
	if (changes_recording(s->o.doc, t->outcome) && watched_imposes(s->server, call_caller(t->on.call))) {
		object_task_fail(&t->on, ERR_FORBIDDEN, WATCHED_IMPOSES "change recording_config and storage_config");
		return;
	}
	change_secret(t, patch);
	if (json_equal(t->outcome, s->o.doc) && !t->secret) {
		object_task_answer(&t->on, 200);
		object_task_end(&t->on);
		return;
	}
	doc_set_int(t->outcome, "version", s->o.version + 1);
	doc_set_time(t->outcome, "updated_at", clock_wall_ms());
	struct store_op ops[2] = { { STORE_REPLACE, COL_SESSIONS, s->o.id, s->o.stored_version, t->outcome },
				   { STORE_PUT, COL_SESSION_SECRETS, s->o.id, 0, t->secret } };
	store_write(session_controller(s)->env.store, ops, t->secret ? 2 : 1, change_written, t);
}

static void change_settled(int err, void *arg)
{
	struct task *t = arg;
	if (err)
		object_task_fail_store(&t->on, err, ERR_INTERNAL);
	else
		apply_change(t);
}

static void run_session_update(struct object_task *on)
{
	object_wait(on->object, change_settled, task_of(on));
}

void op_session_update(struct call *c, void *ctx)
{
	struct session *s = session_of_call(ctx, c, op_session_update);
	if (!s)
		return;
	struct task *t = session_task(ctx, c, run_session_update);
	t->body = json_incref(call_body(c));
	t->if_match = call_if_match(c);
	object_queue(&s->o, &t->on);
}
