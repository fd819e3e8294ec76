#include "lucid/pool.h"
#include "lucid/str.h"
#include "roles/rdp-session-controller/recording/chunks.h"
#include "roles/rdp-session-controller/recording/delete.h"
#include "roles/rdp-session-controller/recording/follow.h"
#include "roles/rdp-session-controller/recording/keys.h"
#include "roles/rdp-session-controller/recording/pipeline.h"
#include "roles/rdp-session-controller/recording/read.h"
#include "roles/rdp-session-controller/recording/start.h"
#include "roles/rdp-session-controller/recording/stop.h"
#include "roles/rdp-session-controller/recording/verify.h"
#include "roles/rdp-session-controller/recording/view.h"

#define SESSIONS_MAX 1000000
#define VIEWINGS_MAX 10000
#define DECODERS 2 /* threads */
#define PIECES_MAX 64

static const struct {
	const char *op;
	call_handler handler;
} handlers[] = {
	{ "sessions.recording.start", op_recording_start },   { "sessions.recording.stop", op_recording_stop },
	{ "sessions.recording.get", op_recording_get },	      { "sessions.recording.verify", op_recording_verify },
	{ "sessions.recordings", op_recordings },	      { "sessions.recording.activity", op_recording_activity },
	{ "sessions.recording.delete", op_recording_delete }, { "sessions.pipeline", op_pipeline },
	{ "sessions.chunks", op_chunks },		      { "sessions.chunk", op_chunk },
	{ "sessions.chunk_records", op_chunk_data },
};

struct recordings *stored_recordings_new(struct controller *c)
{
	struct recordings *r = XNEW(struct recordings);
	r->c = c;
	r->ops.start = op_find("xrdp.recordings.start");
	r->ops.stop = op_find("xrdp.recordings.stop");
	r->ops.list = op_find("xrdp.recordings.list");
	r->ops.files = op_find("xrdp.recordings.files");
	r->ops.file = op_find("xrdp.recordings.file");
	r->ops.write = op_find("xrdp.recordings.write");
	r->ops.remove = op_find("xrdp.recordings.remove");
	r->sessions = map_new(SESSIONS_MAX);
	r->viewings = map_new(VIEWINGS_MAX);
	r->pool = pool_new(c->env.loop, "recordings", DECODERS, PIECES_MAX, NULL, NULL, NULL);
	recording_keys_load(r, c->env.config);
	recording_metrics(r);
	r->objects = objects_new(&(struct objects_env){ .kind = &recording_kind, .loop = c->env.loop, .bus = c->env.bus, .store = c->env.store,
							.leases = c->env.leases, .alone = c->one_host, .home = c->env.node, .ctx = r });
	r->look = loop_timer_new(c->env.loop, recordings_look, r);
	r->sweep = loop_timer_new(c->env.loop, recordings_sweep, r);
	recordings_follow_begin(r);
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		bus_serve(c->env.bus, op_find(handlers[i].op), handlers[i].handler, r);
	return r;
}

void stored_recordings_start(struct recordings *r)
{
	objects_start(r->objects);
}

void stored_recordings_reload(struct recordings *r)
{
	recording_keys_load(r, r->c->env.config); /* MASTER_KEY may have changed */
	if (objects_loaded(r->objects))
		recordings_check_keys(r);
	loop_timer_set(r->sweep, 1000);
}

bool stored_recordings_free(struct recordings *r)
{
	recordings_follow_end(r);
	loop_timer_free(r->look);
	loop_timer_free(r->sweep);
	pool_free(r->pool);
	recording_keys_wipe(r);
	struct map_pos pos = { 0 };
	struct recording *each;
	while ((each = (struct recording *)objects_next(r->objects, &pos))) {
		json_decref(each->figures);
		each->figures = NULL;
	}
	if (!objects_free(r->objects))
		return false;
	map_free(r->sessions, free);
	map_free(r->viewings, free);
	free(r);
	return true;
}
