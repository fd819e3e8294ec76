#include "roles/rdp-session-controller/recording/read.h"

#include "lucid/listing.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/recording/recordings.h"

static void recording_get_answer(struct recording_reading *r)
{
	call_set_version(r->call, doc_int(r->doc, "version", 1));
	call_ok(r->call, recording_shown(r->doc));
	recording_read_end(r);
}

void op_recording_get(struct call *c, void *ctx)
{
	recording_read_begin(ctx, c, op_recording_get, recording_get_answer);
}

/* --- the list. It exists as long as the session or one of its recordings does. */

struct recordings_list {
	struct recordings *all;
	struct call *call;
	struct listing_page page;
	char viewer[CALLER_NAME_MAX + 1]; /* "": an admin */
	char session_id[SESSION_ID_SIZE];
};

static void recordings_list_end(struct recordings_list *l)
{
	struct objects *set = l->all->objects;
	free(l);
	objects_release(set);
}

static void recordings_read(enum store_result result, struct blob *const *docs, size_t n, int64_t total, int err, void *arg)
{
	struct recordings_list *l = arg;
	if (result != STORE_OK) {
		objects_fail_call(l->all->objects, l->call, err, ERR_RECORDING_STORAGE);
		recordings_list_end(l);
		return;
	}
	json_t *out = json_object(), *list = json_array();
	for (size_t i = 0; i < n; i++) {
		_cleanup_(doc_unrefp) json_t *doc = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		if (doc)
			json_array_append_new(list, recording_shown(doc));
	}
	doc_set(out, "recordings", list);
	doc_set(out, "pagination", listing_pagination(&l->page, total));
	call_ok(l->call, out);
	recordings_list_end(l);
}

static void recordings_query(struct recordings_list *l)
{
	struct store_query q = { .filters = { { .path = "session_id", .cmp = STORE_EQ, .text = l->session_id }, { .path = "visible_to", .cmp = STORE_HAS, .text = l->viewer } },
				 .nfilters = *l->viewer ? 2 : 1, .sort = { "created_at", true }, .offset = l->page.offset, .limit = l->page.limit, .want_total = true };
	store_list(l->all->c->env.store, COL_RECORDINGS, &q, recordings_read, l);
}

static void recordings_session_read(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct recordings_list *l = arg;
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (doc && (!*l->viewer || doc_array_has(json_object_get(doc, "visible_to"), l->viewer))) {
		recordings_query(l);
		return;
	}
	if (result == STORE_FAILED)
		objects_fail_call(l->all->objects, l->call, err, ERR_RECORDING_STORAGE);
	else
		call_fail(l->call, ERR_SESSION_NOT_FOUND, NULL);
	recordings_list_end(l);
}

static bool sees_a_recording(const struct recordings *all, const struct call *call, const char *session_id)
{
	const struct recorded_session *s = recorded_session_find(all, session_id);
	const struct recording *r;
	if (s)
		LIST_FOREACH (r, &s->recordings, node)
			if (recording_kind.visible(&r->o, call_caller(call)))
				return true;
	return false;
}

void op_recordings(struct call *call, void *ctx)
{
	struct recordings *all = ctx;
	const struct caller *caller = call_caller(call);
	const char *session_id = call_param(call, "session_id");
	if (!objects_ready(all->objects, call, op_recordings))
		return;
	if (strlen(session_id) >= SESSION_ID_SIZE) {
		call_fail(call, ERR_SESSION_NOT_FOUND, NULL);
		return;
	}
	struct recordings_list *l = XNEW(struct recordings_list);
	*l = (struct recordings_list){ .all = all, .call = call, .page = listing_page(call_query(call)) };
	str_copy(l->viewer, sizeof l->viewer, caller_is_admin(caller) ? "" : *caller->sub ? caller->sub : " "); /* no user has this name */
	str_copy(l->session_id, sizeof l->session_id, session_id);
	objects_hold(all->objects);
	if (sees_a_recording(all, call, session_id))
		recordings_query(l);
	else
		store_get(all->c->env.store, COL_SESSIONS, session_id, recordings_session_read, l);
}
