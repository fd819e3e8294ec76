#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/recording/recordings.h"

/* The recordings of a session, the one that a call is about, and its files on its host. */

struct recorded_session *recorded_session_find(const struct recordings *r, const char *session_id)
{
	return map_get(r->sessions, session_id);
}

void recording_index(struct recording *r, const char *session_id)
{
	struct recordings *all = recording_all(r);
	struct recorded_session *s = recorded_session_find(all, session_id);
	if (!s) {
		s = XNEW(struct recorded_session);
		list_init(&s->recordings);
		if (!str_copy(s->id, sizeof s->id, session_id) || !map_put(all->sessions, session_id, s, NULL)) {
			free(s);
			return;
		}
	}
	r->session = s;
	list_append(&s->recordings, &r->node);
}

void recording_unindex(struct recording *r)
{
	struct recorded_session *s = r->session;
	if (!s)
		return;
	list_remove(&r->node);
	r->session = NULL;
	if (list_empty(&s->recordings))
		free(map_remove(recording_all(r)->sessions, s->id));
}

struct recording *recording_newest(const struct recordings *all, const char *session_id)
{
	const struct recorded_session *s = recorded_session_find(all, session_id);
	struct recording *r, *newest = NULL;
	if (!s)
		return NULL;
	LIST_FOREACH (r, &s->recordings, node)
		if (!r->o.unborn && !r->o.gone && (!newest || r->created_ms >= newest->created_ms))
			newest = r;
	return newest;
}

json_t *recording_shown(const json_t *doc)
{
	static const char *const internal[] = { RECORDING_KEY_FIELD, "pipeline", "desktop_started_at" };
	json_t *shown = json_copy((json_t *)(uintptr_t)doc);
	for (size_t i = 0; i < ARRAY_LEN(internal); i++)
		json_object_del(shown, internal[i]);
	return shown;
}

/* --- the recording of a call */

void recording_read_end(struct recording_reading *r)
{
	struct objects *set = r->all->objects;
	json_decref(r->doc);
	free(r);
	objects_release(set);
}

static void recording_doc_got(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct recording_reading *r = arg;
	r->rec = (struct recording *)objects_find(r->all->objects, r->id);
	r->doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	if (r->doc && r->rec) {
		r->then(r);
		return;
	}
	if (result == STORE_FAILED)
		objects_fail_call(r->all->objects, r->call, err, ERR_RECORDING_STORAGE);
	else
		call_fail(r->call, ERR_RECORDING_NOT_FOUND, NULL);
	recording_read_end(r);
}

/* Without a recording: the session exists, and the caller sees it, or not. */
static void recording_session_got(enum store_result result, const struct store_doc *d, int err, void *arg)
{
	struct recording_reading *r = arg;
	const struct caller *caller = call_caller(r->call);
	_cleanup_(doc_unrefp) json_t *doc = result == STORE_OK ? doc_parse(d->text->data, d->text->len, NULL, 0) : NULL;
	bool sees = doc && (caller_is_admin(caller) || (*caller->sub && doc_array_has(json_object_get(doc, "visible_to"), caller->sub)));
	if (result == STORE_FAILED)
		objects_fail_call(r->all->objects, r->call, err, ERR_RECORDING_STORAGE);
	else if (sees)
		call_fail(r->call, ERR_RECORDING_NOT_FOUND, "session %s has no such recording", r->session_id);
	else
		call_fail(r->call, ERR_SESSION_NOT_FOUND, NULL);
	recording_read_end(r);
}

static const char *recording_wanted(const struct call *call)
{
	char names[OP_MAX_PARAMS][32];
	size_t n = op_param_names(call_op(call), names);
	for (size_t i = 0; i < n; i++)
		if (str_eq(names[i], "recording_id"))
			return call_param(call, "recording_id");
	return doc_str(call_query(call), "recording", NULL);
}

void recording_read_begin(struct recordings *all, struct call *call, call_handler again, void (*then)(struct recording_reading *r))
{
	if (!objects_ready(all->objects, call, again))
		return;
	const char *session_id = call_param(call, "session_id"), *id = recording_wanted(call);
	struct recording *rec = id ? (struct recording *)objects_find(all->objects, id) : recording_newest(all, session_id);
	struct recording_reading *r = XNEW(struct recording_reading);
	*r = (struct recording_reading){ .all = all, .call = call, .then = then };
	objects_hold(all->objects);
	if (!str_copy(r->session_id, sizeof r->session_id, session_id))
		rec = NULL;
	if (!rec || !rec->session || !str_eq(rec->session->id, session_id) || !recording_kind.visible(&rec->o, call_caller(call))) {
		store_get(all->c->env.store, COL_SESSIONS, session_id, recording_session_got, r);
		return;
	}
	memcpy(r->id, rec->o.id, sizeof r->id);
	if (!rec->o.doc) {
		store_get(all->c->env.store, COL_RECORDINGS, r->id, recording_doc_got, r);
		return;
	}
	r->rec = rec;
	r->doc = json_incref(rec->o.doc);
	then(r);
}

/* --- files */

void recording_file_ask(struct recording *r, int64_t seq, const struct call *call, call_done done, void *arg)
{
	struct recordings *all = recording_all(r);
	char name[RECORD_NAME_SIZE];
	record_chunk_name(name, (uint32_t)seq);
	agent_ask(all->c, &(struct agent_args){ .op = all->ops.file, .node = recording_node(r), .params = { r->o.id, name }, .call = call }, done, arg);
}

void recording_files_ask(struct recording *r, int64_t from_seq, const struct call *call, call_done done, void *arg)
{
	struct recordings *all = recording_all(r);
	_cleanup_(doc_unrefp) json_t *query = json_object();
	doc_set_int(query, "from_seq", from_seq);
	agent_ask(all->c, &(struct agent_args){ .op = all->ops.files, .node = recording_node(r), .params = { r->o.id }, .query = query, .call = call }, done, arg);
}
