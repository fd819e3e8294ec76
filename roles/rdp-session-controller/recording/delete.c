#include "roles/rdp-session-controller/recording/delete.h"

#include "lucid/clock.h"
#include "lucid/nodes.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/recording/chunks.h"
#include "roles/rdp-session-controller/recording/config.h"
#include "roles/rdp-session-controller/recording/keys.h"
#include "roles/rdp-session-controller/recording/view.h"

#define SWEEP_MS 30000
#define SWEEP_MAX 50 /* deletions in one round */
#define DAY_MS (24 * 3600 * INT64_C(1000))

/* --- the steps; the task holds the strand, and has the caller */

static void delete_fail(struct recording_task *t, int err, const char *why)
{
	struct recording *r = task_recording(t);
	r->sweeping = false;
	if (!t->on.call)
		log_warn(SERVICE, "recording %s is not deleted yet: %s", r->o.id, why ? why : err_text(err));
	if (why)
		object_task_fail(&t->on, err, "%s", why);
	else
		object_task_fail(&t->on, err, NULL);
}

static void delete_fail_store(struct recording_task *t, int err)
{
	task_recording(t)->sweeping = false;
	object_task_fail_store(&t->on, err, ERR_RECORDING_STORAGE);
}

static void document_deleted(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct recording_task *t = arg;
	struct recording *r = task_recording(t);
	if (result != STORE_OK && result != STORE_MISSING) {
		delete_fail_store(t, err);
		return;
	}
	json_t *data = json_object();
	doc_set_str(data, "recording_id", r->o.id);
	doc_set_str(data, "session_id", r->session ? r->session->id : NULL);
	doc_set_str(data, "reason", t->reason);
	doc_set_str(data, "by", t->by);
	doc_set_int(data, "bytes", r->bytes);
	log_info(SERVICE, "recording %s was deleted: %s", r->o.id, t->reason);
	object_publish(&r->o, "deleted", data);
	if (t->on.call)
		call_ok(TAKE_PTR(t->on.call), NULL);
	object_drop(&r->o);
	objects_figures(r->o.set);
	object_task_end(&t->on);
}

static void delete_rows(struct recording_task *t);

static void rows_deleted(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	if (result == STORE_OK || result == STORE_MISSING)
		delete_rows(arg);
	else
		delete_fail_store(arg, err);
}

static void rows_to_delete(enum store_result result, struct blob *const *docs, size_t n, UNUSED int64_t total, int err, void *arg)
{
	struct recording_task *t = arg;
	struct recording *r = task_recording(t);
	struct store_op ops[STORE_MAX_OPS];
	char ids[STORE_MAX_OPS][CHUNK_ID_SIZE];
	size_t used = 0;
	if (result != STORE_OK) {
		delete_fail_store(t, err);
		return;
	}
	for (size_t i = 0; i < n && used < STORE_MAX_OPS; i++) {
		_cleanup_(doc_unrefp) json_t *row = doc_parse(docs[i]->data, docs[i]->len, NULL, 0);
		if (row)
			ops[used] = (struct store_op){ STORE_DELETE, COL_RECORDING_CHUNKS, chunk_id(ids[used], r->o.id, doc_int(row, "seq", 0)), 0, NULL };
		used += row != NULL;
	}
	if (used) {
		store_write(recording_all(r)->c->env.store, ops, used, rows_deleted, t);
		return;
	}
	struct store_op op = { STORE_DELETE, COL_RECORDINGS, r->o.id, 0, NULL };
	store_write(recording_all(r)->c->env.store, &op, 1, document_deleted, t);
}

static void delete_rows(struct recording_task *t)
{
	struct recording *r = task_recording(t);
	struct store_query q = { .filters = { { .path = "recording_id", .cmp = STORE_EQ, .text = r->o.id } }, .nfilters = 1, .limit = STORE_MAX_OPS };
	store_list(recording_all(r)->c->env.store, COL_RECORDING_CHUNKS, &q, rows_to_delete, t);
}

static void files_removed(const struct reply *reply, void *arg)
{
	struct recording_task *t = arg;
	bool gone = reply->err && !agent_silent(reply) && err_status(reply->err) == 404;
	if (reply->err && !gone)
		delete_fail(t, reply->err, reply->message);
	else
		delete_rows(t);
}

/* A host that was removed from the list of nodes does not come back; what is on its disk is beyond reach. */
static bool host_removed(const struct recordings *all, const char *node)
{
	return !all->c->one_host && nodes_known(all->c->env.nodes) && !nodes_find(all->c->env.nodes, node);
}

static void deletion_marked(int err, void *arg)
{
	struct recording_task *t = arg;
	struct recording *r = task_recording(t);
	struct recordings *all = recording_all(r);
	if (err || r->o.gone)
		delete_fail_store(t, err ? err : -ERR_RECORDING_NOT_FOUND);
	else if (host_removed(all, recording_node(r)))
		delete_rows(t);
	else
		agent_ask(all->c, &(struct agent_args){ .op = all->ops.remove, .node = recording_node(r), .params = { r->o.id }, .call = t->on.call }, files_removed, t);
}

static void run_recording_delete(struct object_task *on)
{
	struct recording_task *t = recording_task_of(on);
	struct recording *r = task_recording(t);
	struct recordings *all = recording_all(r);
	const char *node = recording_node(r);
	_cleanup_(xfreep) char *why = NULL;
	int err = ERR_RECORDING_STATE;
	if (r->hold && !r->deleting) {
		why = xasprintf("recording %s is under hold; set storage_config.hold of its session to false first", r->o.id);
	} else if (recording_open(r)) {
		why = xasprintf("recording %s is running; stop it first", r->o.id);
	} else if (agent_unreachable(all->c, node) && !host_removed(all, node)) {
		why = xasprintf("the files of recording %s are on host %s, which is unreachable; retry when it is back", r->o.id, node);
		err = ERR_UNAVAILABLE;
	}
	if (why) {
		delete_fail(t, err, why);
		return;
	}
	object_touch(&r->o, "deleting", json_true());
	r->deleting = true;
	object_wait(&r->o, deletion_marked, t);
}

static void recording_delete(struct recording *r, struct call *call, const char *reason)
{
	struct recording_task *t = recording_task_new(recording_all(r), call, run_recording_delete);
	t->reason = xstrdup(reason);
	if (call)
		t->by = xstrdup(*call_caller(call)->sub ? call_caller(call)->sub : "lucid-rdp");
	object_queue(&r->o, &t->on);
}

static void delete_asked(struct recording_reading *r)
{
	recording_delete(r->rec, r->call, "requested");
	recording_read_end(r);
}

void op_recording_delete(struct call *c, void *ctx)
{
	recording_read_begin(ctx, c, op_recording_delete, delete_asked);
}

/* --- retention */

static void run_retain(struct object_task *on)
{
	object_touch(on->object, "storage_config", json_incref(recording_task_of(on)->body));
	recording_reread((struct recording *)on->object);
	object_task_end(on);
}

void recordings_retain(struct recordings *all, const json_t *session)
{
	struct recorded_session *s = recorded_session_find(all, doc_str(session, "session_id", ""));
	struct recording *r;
	if (!s)
		return;
	_cleanup_(doc_unrefp) json_t *storage = recording_storage(all->c->env.config, session);
	LIST_FOREACH (r, &s->recordings, node) {
		if (r->o.unborn || r->o.gone || r->deleting ||
		    (r->hold == doc_bool(storage, "hold", false) && r->max_bytes == doc_int(storage, "max_bytes", 0) && r->retention_days == doc_int(storage, "retention_days", 0)))
			continue;
		struct recording_task *t = recording_task_new(all, NULL, run_retain);
		t->body = json_incref(storage);
		object_queue(&r->o, &t->on);
	}
}

static int oldest_first(const void *x, const void *y)
{
	const struct recording *a = *(struct recording *const *)x, *b = *(struct recording *const *)y;
	return (a->created_ms > b->created_ms) - (a->created_ms < b->created_ms);
}

/* Of its recordings that are not being deleted. */
static int64_t session_bytes(const struct recorded_session *s)
{
	const struct recording *r;
	int64_t bytes = 0;
	if (s)
		LIST_FOREACH (r, &s->recordings, node)
			bytes += r->sweeping ? 0 : r->bytes;
	return bytes;
}

static const char *retention_reason(const struct recording *r, int64_t now_ms, int64_t days, int64_t over)
{
	int64_t keep_days = r->retention_days ? r->retention_days : days;
	if (r->deleting)
		return "requested";
	if (r->ended_ms && now_ms - r->ended_ms > keep_days * DAY_MS)
		return "retention_days";
	if (r->max_bytes && session_bytes(r->session) > r->max_bytes)
		return "max_bytes";
	return over > 0 ? "max_storage" : NULL;
}

static void sweep_recordings(struct recordings *all)
{
	struct map_pos pos = { 0 };
	size_t n = 0, deleted = 0;
	struct recording *r, **list = xcalloc(objects_count(all->objects) + 1, sizeof(struct recording *));
	int64_t now_ms = clock_wall_ms(), days = config_int(all->c->env.config, "RECORDING_RETENTION_DAYS");
	int64_t over = -config_int(all->c->env.config, "MAX_STORAGE_SIZE_GB") * 1000 * 1000 * 1000;
	while ((r = (struct recording *)objects_next(all->objects, &pos))) {
		over += r->o.unborn || r->o.gone || r->sweeping ? 0 : r->bytes;
		if (!r->o.unborn && !r->o.gone && !recording_open(r) && !r->sweeping && !r->settling && (!r->hold || r->deleting) && recording_leads(r))
			list[n++] = r;
	}
	qsort(list, n, sizeof(struct recording *), oldest_first);
	for (size_t i = 0; i < n && deleted < SWEEP_MAX; i++) {
		const char *reason = retention_reason(list[i], now_ms, days, over);
		if (!reason)
			continue;
		over -= list[i]->bytes;
		list[i]->sweeping = true;
		deleted++;
		recording_delete(list[i], NULL, reason);
	}
	free(list);
}

void recording_delete_unrun(struct recording_task *t)
{
	if (t->on.run == run_recording_delete && !t->on.object->gone)
		task_recording(t)->sweeping = false;
}

void recordings_sweep(void *arg)
{
	struct recordings *all = arg;
	loop_timer_set(all->sweep, SWEEP_MS);
	if (!objects_loaded(all->objects) || objects_draining(all->objects))
		return;
	recording_viewings_expire(all);
	sweep_recordings(all);
	recordings_rewrap(all);
}
