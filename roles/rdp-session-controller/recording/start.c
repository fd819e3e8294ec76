#include "roles/rdp-session-controller/recording/start.h"

#include <stdio.h>

#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/foreign/foreign.h"
#include "roles/rdp-session-controller/operations/read.h"
#include "roles/rdp-session-controller/recording/config.h"

/* The order is such that a crash leaves nothing unknown: the document, with the wrapped key, is stored before the agent is asked. Without a
 * recording at the agent, it is removed or fails (follow.c). */

struct starting {
	struct recordings *all;
	struct call *call; /* NULL: by configuration */
	struct recording *rec; /* unborn until the agent records */
	json_t *doc;
	uint8_t key[RECORD_KEY_BYTES];
};

static void starting_end(struct starting *s)
{
	struct objects *set = s->all->objects;
	s->all->starting--;
	mem_wipe(s->key, sizeof s->key);
	json_decref(s->doc);
	free(s);
	objects_release(set);
}

/* --- what the agent is asked */

static json_t *manifest_of(const json_t *doc)
{
	static const char *const members[][2] = { { "recording_id", "recording_id" }, { "session_id", "session_id" }, { "server_id", "server_id" },
						  { "node", "node" }, { "user", "user_id" }, { "account", "username" }, { "display", "display" },
						  { "desktop_started_at", "desktop_started_at" }, { "started_at", "created_at" },
						  { "started_by", "started_by" }, { "config", "config" } };
	json_t *about = json_object();
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		json_object_set(about, members[i][0], json_object_get(doc, members[i][1]));
	json_object_set(about, "source", json_object_get(json_object_get(doc, "config"), "source"));
	return about;
}

/* The members never change, so the text is the same each time, and a recording can be continued. */
char *recording_manifest_text(const struct recordings *all, const json_t *doc)
{
	struct record_wrapped wrapped;
	_cleanup_(doc_unrefp) json_t *about = manifest_of(doc);
	if (!all->n_masters || !recording_wrapped(doc, &wrapped))
		return NULL;
	const struct record_master *signer = &all->masters[0];
	for (size_t i = 0; i < all->n_masters; i++)
		if (str_eq(all->masters[i].kek_id, wrapped.kek_id))
			signer = &all->masters[i];
	return record_manifest_text(about, &wrapped, signer);
}

static json_t *start_body(const json_t *doc, const char *manifest, const uint8_t key[RECORD_KEY_BYTES])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char *const same[] = { "quality", "frame_rate", "chunk_seconds", "max_mb_per_min", "on_loss", "on_full" };
	const json_t *config = json_object_get(doc, "config");
	json_t *body = json_object(), *to = json_object();
	char text[45];
	for (size_t i = 0, n = 0; n < 44; i += 3, n += 4) {
		uint32_t v = (uint32_t)key[i] << 16 | (uint32_t)(i + 1 < RECORD_KEY_BYTES ? key[i + 1] : 0) << 8 | (i + 2 < RECORD_KEY_BYTES ? key[i + 2] : 0);
		for (size_t k = 0; k < 4; k++)
			text[n + k] = digits[v >> (18 - 6 * k) & 63];
	}
	text[43] = '=';
	text[44] = 0;
	static const char *const who[] = { "recording_id", "server_id", "display" };
	for (size_t i = 0; i < ARRAY_LEN(who); i++)
		json_object_set(body, who[i], json_object_get(doc, who[i]));
	json_object_set(body, "started_at", json_object_get(doc, "desktop_started_at"));
	doc_set_str(body, "manifest", manifest);
	doc_set_str(body, "key", text);
	mem_wipe(text, sizeof text);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		if (!json_is_null(json_object_get(config, same[i])))
			json_object_set(to, same[i], json_object_get(config, same[i]));
	doc_set_str(to, "codec", doc_str(config, "compression", "zstd"));
	doc_set(body, "config", to);
	return body;
}

static bool ask_agent(struct recordings *all, const json_t *doc, const uint8_t key[RECORD_KEY_BYTES], const struct call *call, call_done done, void *arg)
{
	_cleanup_(xfreep) char *manifest = recording_manifest_text(all, doc);
	if (!manifest)
		return false;
	json_t *body = start_body(doc, manifest, key);
	agent_ask(all->c, &(struct agent_args){ .op = all->ops.start, .node = doc_str(doc, "node", ""), .body = body, .call = call }, done, arg);
	doc_unref_secret(body);
	return true;
}

/* --- the outcome */

static void recording_answer(struct call *call, struct recording *r, int status)
{
	if (!call)
		return;
	call_set_version(call, r->o.version);
	call_ok_status(call, status, recording_shown(r->o.doc));
}

static json_t *started_data(const struct recording *r, const char *by)
{
	static const char *const told[] = { "session_id", "server_id", "node", "display", "state", "config" };
	json_t *data = json_object();
	doc_set_str(data, "recording_id", r->o.id);
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		json_object_set(data, told[i], json_object_get(r->o.doc, told[i]));
	doc_set_str(data, "by", by && *by ? by : NULL);
	return data;
}

static void notice_shown(const struct reply *reply, void *arg)
{
	if (reply->err)
		log_warn(SERVICE, "the notice that a session is recorded was not shown: %s", reply->message);
	objects_release(arg);
}

/* Tells the person on the desktop. */
static void show_notice(const struct recording *r)
{
	struct recordings *all = recording_all(r);
	const struct watched *w = map_get(all->c->servers, r->server_id);
	char display[16];
	if (!w || !*w->notice)
		return;
	_cleanup_(doc_unrefp) json_t *body = json_object();
	snprintf(display, sizeof display, "%d", r->display);
	doc_set_str(body, "text", w->notice);
	json_object_set(body, "started_at", json_object_get(r->o.doc, "desktop_started_at"));
	objects_hold(all->objects);
	agent_ask(all->c, &(struct agent_args){ .op = all->c->ops.desktop_message, .node = recording_node(r), .params = { r->server_id, display }, .body = body },
		  notice_shown, all->objects);
}

static void started_durable(int err, void *arg)
{
	struct recording_task *t = arg;
	struct recording *r = task_recording(t);
	struct starting *s = TAKE_PTR(t->arg);
	if (r->o.gone) {
		if (s->call)
			call_fail(s->call, ERR_RECORDING_NOT_FOUND, NULL);
	} else {
		/* if the write failed it is retried: the recording runs, and its first version is stored */
		if (err)
			log_warn(SERVICE, "recording %s runs, but what its agent said is not stored yet: %s", r->o.id, err_text(err));
		object_publish(&r->o, "started", started_data(r, s->call ? call_caller(s->call)->sub : NULL));
		show_notice(r);
		recording_answer(s->call, r, 201);
	}
	starting_end(s);
	object_task_end(&t->on);
}

static void run_started(struct object_task *on)
{
	static const char *const said[] = { "width", "height", "first_picture_at", "cipher" };
	struct recording_task *t = recording_task_of(on);
	struct recording *r = task_recording(t);
	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		if (json_object_get(t->body, said[i]))
			object_touch(&r->o, said[i], json_incref(json_object_get(t->body, said[i])));
	const char *zero = doc_str(t->body, "zero_at", doc_str(t->body, "first_picture_at", NULL));
	if (zero)
		object_touch(&r->o, "started_at", json_string(zero));
	recording_reread(r);
	object_wait(&r->o, started_durable, t);
}

void recording_start_unrun(struct recording_task *t)
{
	struct starting *s = t->on.run == run_started ? TAKE_PTR(t->arg) : NULL;
	if (!s)
		return;
	if (s->call)
		call_fail(s->call, ERR_RECORDING_NOT_FOUND, NULL);
	starting_end(s);
}

/* --- the agent refuses */

static void start_removed(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct starting *s = arg;
	if (result != STORE_OK && result != STORE_MISSING)
		log_warn(SERVICE, "recording %s, which did not begin, stays in the store: %s", s->rec->o.id, err_text(err));
	object_drop(&s->rec->o);
	starting_end(s);
}

static int start_error(const struct reply *r)
{
	static const struct {
		int from, to;
	} meanings[] = { { ERR_CONFLICT, ERR_RECORDING_STATE }, { ERR_INSTANCE_NOT_FOUND, ERR_RECORDING_STATE }, { ERR_INTERNAL, ERR_PIPELINE }, { ERR_INVALID, ERR_PIPELINE } };
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if ((int)r->err == meanings[i].from)
			return meanings[i].to;
	return r->err;
}

static void start_failed(struct starting *s, int err, const char *why)
{
	log_warn(SERVICE, "display %d of server %s is not recorded: %s", s->rec->display, s->rec->server_id, why);
	if (s->call)
		call_fail(TAKE_PTR(s->call), err, "%s", why);
	struct store_op op = { STORE_DELETE, COL_RECORDINGS, s->rec->o.id, 0, NULL };
	store_write(s->all->c->env.store, &op, 1, start_removed, s);
}

static void agent_started(const struct reply *r, void *arg)
{
	struct starting *s = arg;
	bool uncertain = r->err == ERR_UNCERTAIN || r->err == ERR_DEADLINE || r->err == ERR_CANCELLED;
	if (r->err && !uncertain) {
		start_failed(s, start_error(r), r->message);
		return;
	}
	s->rec->o.unborn = false;
	objects_figures(s->all->objects);
	stored_recordings_look_soon(s->all);
	if (uncertain) { /* the next listing of the agent decides */
		if (s->call)
			call_fail(s->call, ERR_UNCERTAIN, "the agent of host %s has not answered (%s); GET /recording says whether it records", recording_node(s->rec), r->message);
		starting_end(s);
		return;
	}
	struct recording_task *t = recording_task_new(s->all, NULL, run_started);
	t->body = json_incref(r->doc);
	t->arg = s;
	object_queue(&s->rec->o, &t->on);
}

static void start_stored(enum store_result result, UNUSED size_t index, int err, void *arg)
{
	struct starting *s = arg;
	if (result == STORE_OK && ask_agent(s->all, s->doc, s->key, s->call, agent_started, s))
		return;
	if (result == STORE_OK) {
		start_failed(s, ERR_PIPELINE, "its manifest cannot be written; the log has the cause");
		return;
	}
	if (s->call)
		objects_fail_call(s->all->objects, s->call, err, ERR_RECORDING_STORAGE);
	object_drop(&s->rec->o);
	starting_end(s);
}

/* --- the document */

static json_t *recording_define(const struct recordings *all, const json_t *session, const char *by, json_t *consume_config)
{
	static const char *const same[] = { "session_id", "server_id", "node", "user_id", "username", "display" };
	static const char *const unknown[] = { "state_reason", "first_picture_at", "ended_at", "width", "height", "head", "cipher", "merkle_root", "sealed_at", "verified",
					       "stopped_by" };
	static const char *const zero[] = { "duration_ms", "chunks", "frames", "bytes", "raw_bytes" };
	char id[ID_UUID_SIZE];
	json_t *doc = json_object();
	int64_t now_ms = clock_wall_ms();
	id_uuid(id);
	doc_set_str(doc, "recording_id", id);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		json_object_set(doc, same[i], json_object_get(session, same[i]));
	doc_set_str(doc, "state", "recording");
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		doc_set(doc, unknown[i], NULL);
	for (size_t i = 0; i < ARRAY_LEN(zero); i++)
		doc_set_int(doc, zero[i], 0);
	doc_set_time(doc, "started_at", now_ms);
	json_object_set(doc, "desktop_started_at", json_object_get(session, "started_at"));
	doc_set(doc, "config", consume_config);
	doc_set(doc, "storage_config", recording_storage(all->c->env.config, session));
	doc_set_bool(doc, "deleting", false);
	doc_set_str(doc, "started_by", by);
	doc_set_int(doc, "version", 1);
	doc_set_time(doc, "created_at", now_ms);
	doc_set_time(doc, "updated_at", now_ms);
	json_object_set(doc, "visible_to", json_object_get(session, "visible_to"));
	return doc;
}

/* call NULL: by configuration. */
static void recording_begin(struct recordings *all, struct call *call, const json_t *session, json_t *consume_config)
{
	struct starting *s = XNEW(struct starting);
	*s = (struct starting){ .all = all, .call = call };
	s->doc = recording_define(all, session, call && *call_caller(call)->sub ? call_caller(call)->sub : NULL, consume_config);
	record_key_new(s->key);
	recording_key_set(all, s->doc, s->key);
	objects_hold(all->objects);
	all->starting++;
	s->rec = (struct recording *)objects_add(all->objects, s->doc);
	if (!s->rec) {
		if (call)
			call_fail(call, ERR_RECORDING_STORAGE, "too many recordings are stored; delete some, or lower RECORDING_RETENTION_DAYS");
		starting_end(s);
		return;
	}
	s->rec->o.unborn = true;
	struct store_op op = { STORE_INSERT, COL_RECORDINGS, s->rec->o.id, 0, s->doc };
	store_write(all->c->env.store, &op, 1, start_stored, s);
}

static struct recording *running_recording(const struct recordings *all, const char *session_id)
{
	struct recorded_session *s = recorded_session_find(all, session_id);
	struct recording *r;
	if (s)
		LIST_FOREACH (r, &s->recordings, node)
			if (recording_open(r))
				return r;
	return NULL;
}

/* 0, or the error with a sentence: this session cannot be recorded now. */
static int unrecordable(const struct recordings *all, const json_t *session, char *why, size_t size)
{
	const char *id = doc_str(session, "session_id", ""), *node = doc_str(session, "node", "");
	const struct recording *running = running_recording(all, id);
	if (!json_is_null(json_object_get(session, "stopped_at")))
		snprintf(why, size, "session %s has ended (%s), so it has no desktop to record", id, doc_str(session, "status", ""));
	else if (foreign_doc(session))
		snprintf(why, size, "session %s is on a foreign RDP host, whose desktop cannot be recorded from here", id);
	else if (!doc_int(session, "display", 0) || json_is_null(json_object_get(session, "started_at")))
		snprintf(why, size, "nobody has logged in to session %s yet; start the recording when it is active", id);
	else if (running)
		snprintf(why, size, "session %s is being recorded already (recording %s); stop that first", id, running->o.id);
	else if (!all->n_masters) {
		snprintf(why, size, "nothing can be recorded, because MASTER_KEY is not usable; lucid-rdp check-config says why");
		return ERR_PIPELINE;
	} else if (agent_unreachable(all->c, node)) {
		snprintf(why, size, "host %s is unreachable, its heartbeat has stopped; retry when it is back", node);
		return ERR_UNAVAILABLE;
	} else if ((int64_t)all->starting >= config_int(all->c->env.config, "PIPELINE_WORKER_COUNT")) {
		snprintf(why, size, "%zu recordings are starting at the moment; retry in a second", all->starting);
		return ERR_BUSY;
	} else
		return 0;
	return ERR_RECORDING_STATE;
}

static void start_asked(struct session_reading *r)
{
	struct recordings *all = r->c->recordings;
	struct faults f = { 0 };
	char why[300];
	json_t *config = recording_config(r->c->env.config, r->doc, call_body(r->call), &f);
	int err = unrecordable(all, r->doc, why, sizeof why);
	if (faults_any(&f))
		call_fail_details(r->call, ERR_RECORDING_CONFIG, faults_take(&f), NULL);
	else if (objects_draining(all->objects))
		call_fail(r->call, ERR_UNAVAILABLE, NULL);
	else if (err)
		call_fail(r->call, err, "%s", why);
	else
		recording_begin(all, r->call, r->doc, TAKE_PTR(config));
	json_decref(config);
	session_read_end(r);
}

void op_recording_start(struct call *call, void *ctx)
{
	struct recordings *all = ctx;
	if (objects_ready(all->objects, call, op_recording_start))
		session_read_begin(all->c, call, start_asked);
}

void recording_consider(struct recordings *all, const json_t *session)
{
	struct recording *last = recording_newest(all, doc_str(session, "session_id", ""));
	const struct watched *w = map_get(all->c->servers, doc_str(session, "server_id", ""));
	struct faults f = { 0 };
	char why[300];
	if (!objects_loaded(all->objects) || objects_draining(all->objects) || !(recording_configured(session) || (w && w->records)) ||
	    (last && last->stopped_by_user) || unrecordable(all, session, why, sizeof why))
		return;
	json_t *config = recording_config(all->c->env.config, session, NULL, &f);
	if (faults_any(&f)) {
		log_warn(SERVICE, "session %s is not recorded: its recording_config is not valid", doc_str(session, "session_id", ""));
		faults_done(&f);
		json_decref(config);
		return;
	}
	recording_begin(all, NULL, session, config);
}

/* --- an interrupted recording is continued */

static void agent_resumed(const struct reply *r, void *arg)
{
	struct recording_task *t = arg;
	struct recording *rec = task_recording(t);
	if (r->err)
		log_warn(SERVICE, "recording %s is interrupted, and its host does not continue it: %s", rec->o.id, r->message);
	rec->resuming = false;
	object_task_end(&t->on);
}

static void run_resume(struct object_task *on)
{
	struct recording_task *t = recording_task_of(on);
	struct recording *r = task_recording(t);
	struct recordings *all = recording_all(r);
	uint8_t key[RECORD_KEY_BYTES];
	const char *why = "";
	bool had = recording_open(r) && recording_key(all, r->o.doc, key, &why);
	bool asked = had && ask_agent(all, r->o.doc, key, NULL, agent_resumed, t);
	mem_wipe(key, sizeof key);
	if (asked)
		return;
	if (!had && *why)
		log_warn(SERVICE, "recording %s is interrupted, and cannot be continued: it %s", r->o.id, why);
	r->resuming = false;
	object_task_end(on);
}

void recording_continue(struct recording *r)
{
	if (r->resuming || r->o.gone)
		return;
	r->resuming = true;
	object_queue(&r->o, &recording_task_new(recording_all(r), NULL, run_resume)->on);
}
