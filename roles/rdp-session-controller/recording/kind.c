#include "lucid/clock.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/recording/follow.h"
#include "roles/rdp-session-controller/recording/keys.h"
#include "roles/rdp-session-controller/recording/recordings.h"

/* Recordings as stored objects: states, records, leases. */

static const struct object_state states[RECORDING_STATES] = {
	[RECORDING_RUNNING] = { "recording", false, RECORDING_RUNNING },
	[RECORDING_PAUSED] = { "paused", false, RECORDING_PAUSED },
	[RECORDING_COMPLETE] = { "complete", false, RECORDING_COMPLETE },
	[RECORDING_TRUNCATED] = { "truncated", false, RECORDING_TRUNCATED },
	[RECORDING_FAILED] = { "failed", false, RECORDING_FAILED },
};

static void recording_begins_again(json_t *doc, UNUSED int64_t now_ms)
{
	doc_set(doc, "ended_at", NULL);
}

/* A recording that seemed to have ended goes on if its host turns out to record: the host was out of reach, or continues an interrupted one. A
 * sealed one stays as it is. */
static bool recording_unsealed(const struct object *o, UNUSED const char *reason)
{
	return !((const struct recording *)o)->sealed;
}

static const struct object_transition transitions[] = {
	{ RECORDING_RUNNING, RECORDING_PAUSED, .event = "paused" },
	{ RECORDING_RUNNING, RECORDING_COMPLETE, .event = "stopped" },
	{ RECORDING_RUNNING, RECORDING_TRUNCATED, .event = "stopped" },
	{ RECORDING_RUNNING, RECORDING_FAILED, .event = "stopped" },
	{ RECORDING_PAUSED, RECORDING_RUNNING, .event = "resumed" },
	{ RECORDING_PAUSED, RECORDING_COMPLETE, .event = "stopped" },
	{ RECORDING_PAUSED, RECORDING_TRUNCATED, .event = "stopped" },
	{ RECORDING_PAUSED, RECORDING_FAILED, .event = "stopped" },
	{ RECORDING_TRUNCATED, RECORDING_RUNNING, recording_unsealed, recording_begins_again, "resumed" },
	{ RECORDING_TRUNCATED, RECORDING_COMPLETE, recording_unsealed },
	{ RECORDING_FAILED, RECORDING_RUNNING, recording_unsealed, recording_begins_again, "resumed" },
	{ RECORDING_FAILED, RECORDING_TRUNCATED, recording_unsealed },
	{ RECORDING_FAILED, RECORDING_COMPLETE, recording_unsealed },
};

static int64_t recording_time_ms(const json_t *doc, const char *key)
{
	int64_t ms = 0;
	return clock_from_iso(doc_str(doc, key, ""), &ms) ? ms : 0;
}

/* The owner of the server is the user in the list besides the recording's own. */
static const char *recording_other_viewer(struct recording *r, const json_t *doc)
{
	const char *user = doc_str(doc, "user_id", "");
	json_t *viewer;
	size_t i;
	json_array_foreach(json_object_get(doc, "visible_to"), i, viewer)
		if (json_is_string(viewer) && !str_eq(json_string_value(viewer), user))
			return controller_name(recording_all(r)->c, json_string_value(viewer));
	return "";
}

static void recording_doc_read(struct object *o, const json_t *doc)
{
	struct recording *r = (struct recording *)o;
	const json_t *storage = json_object_get(doc, "storage_config");
	if (!r->session) {
		list_init(&r->node);
		recording_index(r, doc_str(doc, "session_id", ""));
	}
	if (!str_copy(r->server_id, sizeof r->server_id, doc_str(doc, "server_id", "")))
		r->server_id[0] = 0;
	if (!str_copy(r->key_id, sizeof r->key_id, doc_str(doc, "key_id", "")))
		r->key_id[0] = 0;
	r->server_owner = recording_other_viewer(r, doc);
	r->display = (int)doc_int(doc, "display", 0);
	r->created_ms = recording_time_ms(doc, "created_at");
	r->started_ms = recording_time_ms(doc, "started_at");
	r->ended_ms = recording_time_ms(doc, "ended_at");
	r->chunks = doc_int(doc, "chunks", 0);
	r->next_chunk = MAX(r->next_chunk, r->chunks);
	r->bytes = doc_int(doc, "bytes", 0);
	r->duration_ms = doc_int(doc, "duration_ms", 0);
	r->retention_days = doc_int(storage, "retention_days", 0);
	r->max_bytes = doc_int(storage, "max_bytes", 0);
	r->hold = doc_bool(storage, "hold", false);
	r->deleting = doc_bool(doc, "deleting", false);
	r->sealed = doc_str(doc, "sealed_at", NULL) != NULL;
	r->stopped_by_user = doc_str(doc, "stopped_by", NULL) != NULL;
}

static void recording_dropped(struct object *o)
{
	struct recording *r = (struct recording *)o;
	recording_unindex(r);
	json_decref(r->figures);
	r->figures = NULL;
}

static bool recording_visible(const struct object *o, const struct caller *c)
{
	return object_visible(c, o->owner->id) || (*c->sub && str_eq(((const struct recording *)o)->server_owner, c->sub));
}

static void recording_describe(const struct object *o, json_t *data)
{
	static const char *const told[] = { "session_id", "server_id", "node", "display", "chunks", "bytes" };
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		json_object_set(data, told[i], json_object_get(o->doc, told[i]));
	doc_set_str(data, "recording_id", o->id);
	doc_set_str(data, "by", doc_str(o->doc, "stopped_by", NULL));
}

static void recordings_lead(struct object_group *g, bool held)
{
	if (held)
		stored_recordings_look_soon(objects_ctx(g->set));
}

static void recordings_loaded(struct objects *set)
{
	struct recordings *r = objects_ctx(set);
	log_info(SERVICE, "%zu recordings loaded", objects_count(set));
	recordings_check_keys(r);
	stored_recordings_look_soon(r);
	loop_timer_set(r->sweep, 1000);
}

static void recording_task_free(struct object_task *on)
{
	struct recording_task *t = recording_task_of(on);
	json_decref(t->body);
	free(t->by);
	free(t->reason);
}

static void recording_task_ended(struct object_task *t)
{
	recording_followed(t);
}

struct recording_task *recording_task_new(struct recordings *r, struct call *call, void (*run)(struct object_task *t))
{
	return object_task_new(r->objects, call, run);
}

void recording_reread(struct recording *r)
{
	if (r->o.doc && !r->o.gone)
		recording_doc_read(&r->o, r->o.doc);
}

const char *recording_node(const struct recording *r)
{
	return r->o.group->name;
}

/* No state of a recording is an operation in progress, so no task comes second. */
const struct object_kind recording_kind = {
	.name = "recording",
	.plural = "recordings",
	.service = SERVICE,
	.collection = COL_RECORDINGS,
	.id_field = "recording_id",
	.owner_field = "user_id",
	.group_field = "node",
	.state_field = "state",
	.reason_field = "state_reason",
	.topic = "recording",
	.lease = "recordings",
	.figure = "rdp_recordings",
	.figure_help = "Recordings that are kept, by state.",
	.missing = ERR_RECORDING_NOT_FOUND,
	.states = states,
	.nstates = RECORDING_STATES,
	.unknown = RECORDING_FAILED,
	.transitions = transitions,
	.ntransitions = ARRAY_LEN(transitions),
	.written = (const char *const[]){ "started_at", "first_picture_at", "ended_at", "duration_ms", "width", "height", "chunks", "frames", "bytes",
					  "raw_bytes", "head", "cipher", "key_id", RECORDING_KEY_FIELD, "merkle_root", "sealed_at", "verified", "deleting",
					  "stopped_by", "pipeline", "storage_config", NULL },
	.size = sizeof(struct recording),
	.group_size = sizeof(struct recording_place),
	.task_size = sizeof(struct recording_task),
	.max = RECORDINGS_MAX,
	.visible = recording_visible,
	.describe = recording_describe,
	.read = recording_doc_read,
	.dropped = recording_dropped,
	.lead = recordings_lead,
	.task_ended = recording_task_ended,
	.task_free = recording_task_free,
	.loaded = recordings_loaded,
};
