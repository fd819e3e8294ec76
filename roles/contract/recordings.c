#include "roles/contract/contract.h"

/* rdp-session-controller: recordings of sessions. */

#define BASE "/api/v1/sessions/{session_id}"
#define START_DEADLINE_MS 20000	  /* the answer comes with the first picture */
#define VERIFY_DEADLINE_MS 600000 /* every byte of the recording is read */

static const char *const states[] = { "recording", "paused", "complete", "truncated", "failed", NULL };
static const char *const sources[] = { "x11", "rdp", NULL };
static const char *const qualities[] = { "high", "medium", "low", NULL };
static const char *const compressions[] = { "zstd", "lz4", "none", NULL };
static const char *const losses[] = { "alert", "terminate_session", NULL };
static const char *const fulls[] = { "pause", "terminate_session", NULL };

/* --- what a recording is made with. The role checks the bounds (LUCID_ERR_3002). */

#define BOUND 1000000000
static const struct shape_field start_body[] = {
	{ "enabled", SH_BOOL, .help = "must not be false" },
	{ "source", SH_STRING, .help = "x11: the desktop's own X display" },
	{ "frame_rate", SH_INT, .min = -BOUND, .max = BOUND, .help = "upper bound, in frames per second: 1 to 60; default DEFAULT_FRAME_RATE" },
	{ "resolution", SH_STRING, .help = "WIDTHxHEIGHT, bound of exports; default DEFAULT_RESOLUTION" },
	{ "quality", SH_STRING, .help = "high (lossless), medium or low; default DEFAULT_QUALITY" },
	{ "compression", SH_STRING, .help = "zstd, lz4 or none; default DEFAULT_COMPRESSION" },
	{ "chunk_seconds", SH_INT, .min = -BOUND, .max = BOUND, .help = "5 to 60; default 30" },
	{ "max_mb_per_min", SH_INT, .min = -BOUND, .max = BOUND, .help = "1 to 100000: above it the quality is reduced; default: no bound" },
	{ "on_loss", SH_STRING, .help = "alert or terminate_session: what follows when the user cuts the recorder off; default alert" },
	{ "on_full", SH_STRING, .help = "pause or terminate_session: what follows when the disk is full; default pause" },
	{ "takeover", SH_BOOL, .help = "of source rdp" },
};
static const struct shape in_start = SHAPE("SessionRecordingStart", start_body);

static const struct shape_field config[] = {
	{ "source", SH_STRING, .values = sources },
	{ "frame_rate", SH_INT },
	{ "resolution", SH_STRING },
	{ "quality", SH_STRING, .values = qualities },
	{ "compression", SH_STRING, .values = compressions },
	{ "chunk_seconds", SH_INT },
	{ "max_mb_per_min", SH_INT, SH_NULLABLE },
	{ "on_loss", SH_STRING, .values = losses },
	{ "on_full", SH_STRING, .values = fulls },
};
static const struct shape shape_config = SHAPE("SessionRecordingSettings", config);
static const struct shape_field storage[] = {
	{ "retention_days", SH_INT },
	{ "max_bytes", SH_INT, SH_NULLABLE, .help = "of all recordings of the session; the oldest are deleted first; null: no bound of its own" },
	{ "hold", SH_BOOL, .help = "it is not deleted, neither by retention nor by request" },
};
static const struct shape shape_storage = SHAPE("SessionRecordingStorage", storage);

/* --- a recording */

static const struct shape_field verified[] = {
	{ "at", SH_STRING },
	{ "ok", SH_BOOL },
	{ "faults", SH_INT },
};
static const struct shape shape_verified = SHAPE("SessionRecordingVerified", verified);
static const struct shape_field recording[] = {
	{ "recording_id", SH_STRING },
	{ "session_id", SH_STRING },
	{ "server_id", SH_STRING, SH_NULLABLE },
	{ "node", SH_STRING, .help = "host where its files are" },
	{ "user_id", SH_STRING, SH_NULLABLE, .help = "owner of the session" },
	{ "username", SH_STRING, SH_NULLABLE, .help = "account of the desktop" },
	{ "display", SH_INT },
	{ "state", SH_STRING, .values = states,
	  .help = "paused: the disk is almost full; truncated: it ended without its last second, because a host or program was killed; failed: nothing more was recorded" },
	{ "state_reason", SH_STRING, SH_NULLABLE },
	{ "started_at", SH_STRING, .help = "time of day at the beginning of the recording's own time" },
	{ "first_picture_at", SH_STRING, SH_NULLABLE },
	{ "ended_at", SH_STRING, SH_NULLABLE },
	{ "duration_ms", SH_INT },
	{ "width", SH_INT, SH_NULLABLE },
	{ "height", SH_INT, SH_NULLABLE },
	{ "chunks", SH_INT, .help = "closed chunks" },
	{ "frames", SH_INT },
	{ "bytes", SH_INT, .help = "size of the closed chunks, compressed and encrypted" },
	{ "raw_bytes", SH_INT, .help = "the same before compression" },
	{ "head", SH_STRING, SH_NULLABLE, .help = "SHA-256 of the last closed chunk, which covers all before it" },
	{ "config", SH_OBJECT, .sub = &shape_config },
	{ "storage_config", SH_OBJECT, .sub = &shape_storage },
	{ "cipher", SH_STRING, SH_NULLABLE },
	{ "key_id", SH_STRING, .help = "id of the MASTER_KEY that wraps its key" },
	{ "merkle_root", SH_STRING, SH_NULLABLE, .help = "signed in its seal; null: it is not sealed yet" },
	{ "sealed_at", SH_STRING, SH_NULLABLE },
	{ "verified", SH_OBJECT, SH_NULLABLE, .sub = &shape_verified, .help = "the last check; null: none yet" },
	{ "deleting", SH_BOOL, .help = "it is being deleted" },
	{ "started_by", SH_STRING, SH_NULLABLE, .help = "user who started it; null: the configuration of the session or server" },
	{ "stopped_by", SH_STRING, SH_NULLABLE },
	{ "version", SH_INT },
	{ "created_at", SH_STRING },
	{ "updated_at", SH_STRING },
	{ "visible_to", SH_ARRAY, .max = 2, .item = &(const struct shape_field){ NULL, SH_STRING } },
};
static const struct shape shape_recording = SHAPE("SessionRecording", recording);
static const struct shape_field recording_item = { NULL, SH_OBJECT, .sub = &shape_recording };
static const struct shape_field list_query[] = { LISTING_FIELDS };
static const struct shape query_list = SHAPE(NULL, list_query);
static const struct shape_field list_fields[] = {
	{ "recordings", SH_ARRAY, .max = 100, .item = &recording_item, .help = "newest first" },
	{ "pagination", SH_OBJECT, .sub = &shape_pagination },
};
static const struct shape out_list = SHAPE("SessionRecordingList", list_fields);

#define WHICH_FIELD                                                                                                    \
	{ "recording", SH_STRING, .format = "uuid", .help = "a recording_id of the session; absent: its newest recording" }
static const struct shape_field which_query[] = { WHICH_FIELD };
static const struct shape query_which = SHAPE(NULL, which_query);

/* --- the pipeline */

static const char *const stage_names[] = { "recording", "compression", "encryption", "storage", NULL };
static const char *const stage_states[] = { "inactive", "active", "stopped", "error", NULL };
static const struct shape_field stage_metrics[] = {
	{ "items_processed", SH_INT },
	{ "processing_time_ms", SH_NUMBER, .help = "sum" },
	{ "mean_time_ms", SH_NUMBER, SH_NULLABLE },
	{ "worst_time_ms", SH_NUMBER, SH_NULLABLE },
	{ "bytes", SH_INT, .help = "bytes that left the stage" },
	{ "errors", SH_INT },
};
static const struct shape shape_stage_metrics = SHAPE("SessionPipelineStageMetrics", stage_metrics);
static const struct shape_field stage[] = {
	{ "stage_name", SH_STRING, .values = stage_names },
	{ "status", SH_STRING, .values = stage_states },
	{ "last_processed", SH_STRING, SH_NULLABLE },
	{ "metrics", SH_OBJECT, .sub = &shape_stage_metrics },
};
static const struct shape shape_stage = SHAPE("SessionPipelineStage", stage);
static const struct shape_field stage_item = { NULL, SH_OBJECT, .sub = &shape_stage };
static const struct shape_field pipeline[] = {
	{ "session_id", SH_STRING },
	{ "recording_id", SH_STRING, SH_NULLABLE },
	{ "pipeline_status", SH_STRING, .values = stage_states },
	{ "stages", SH_ARRAY, .max = 4, .item = &stage_item },
};
static const struct shape out_pipeline = SHAPE("SessionPipeline", pipeline);

/* --- chunks */

static const struct shape_field activity_item = { NULL, SH_INT };
#define CHUNK_FIELDS                                                                                                   \
	{ "seq", SH_INT }, { "t0_ms", SH_INT, .help = "its beginning, in ms since started_at" }, { "duration_ms", SH_INT },     \
		{ "bytes", SH_INT }, { "raw_bytes", SH_INT, SH_NULLABLE }, { "frames", SH_INT, SH_NULLABLE },          \
		{ "width", SH_INT }, { "height", SH_INT }, { "closed", SH_BOOL, .help = "false: it is still being written" },     \
		{ "torn", SH_BOOL, .help = "it has no regular end" }, { "hash", SH_STRING, SH_NULLABLE, .help = "SHA-256 of the file; null: not closed" }, \
		{ "prev_hash", SH_STRING, SH_NULLABLE },                                                               \
		{ "activity", SH_ARRAY, .max = 256, .item = &activity_item, .help = "how much of the screen changed, a number for each second" }
static const struct shape_field chunk[] = { CHUNK_FIELDS };
static const struct shape shape_chunk = SHAPE("SessionRecordingChunk", chunk);
static const struct shape_field chunk_item = { NULL, SH_OBJECT, .sub = &shape_chunk };
static const struct shape_field one_chunk[] = { { "session_id", SH_STRING }, { "recording_id", SH_STRING }, CHUNK_FIELDS };
static const struct shape out_chunk = SHAPE("SessionRecordingChunkOf", one_chunk);
static const struct shape_field chunks_query[] = {
	WHICH_FIELD,
	{ "after", SH_INT, .min = -1, .max = 1000000000, .otherwise = "-1", .help = "only chunks with a greater number" },
	{ "limit", SH_INT, .min = 1, .max = 500, .otherwise = "500" },
};
static const struct shape query_chunks = SHAPE(NULL, chunks_query);
static const struct shape_field chunks[] = {
	{ "session_id", SH_STRING },
	{ "recording_id", SH_STRING },
	{ "state", SH_STRING, .values = states },
	{ "started_at", SH_STRING },
	{ "duration_ms", SH_INT, .help = "of the whole recording, until now if it is running" },
	{ "chunks", SH_ARRAY, .max = 501, .item = &chunk_item },
	{ "more", SH_BOOL, .help = "there are further chunks; ask for those after the last one" },
};
static const struct shape out_chunks = SHAPE("SessionRecordingChunkList", chunks);
static const struct shape_field data_query[] = {
	WHICH_FIELD,
	{ "from", SH_INT, .min = 0, .max = 1000000000, .otherwise = "0",
	  .help = "bytes of the records that the client has already; the answer is what follows, possibly nothing" },
};
static const struct shape query_data = SHAPE(NULL, data_query);

/* --- check, activity */

static const struct shape_field fault[] = {
	{ "where", SH_STRING, .max = 200, .help = "manifest, seal, index, or the file of the chunk" },
	{ "seq", SH_INT, SH_NULLABLE },
	{ "segment", SH_INT, SH_NULLABLE },
	{ "message", SH_STRING, .max = 500 },
};
static const struct shape shape_fault = SHAPE("SessionRecordingFault", fault);
static const struct shape_field fault_item = { NULL, SH_OBJECT, .sub = &shape_fault };
static const struct shape_field checked[] = {
	{ "session_id", SH_STRING },
	{ "recording_id", SH_STRING },
	{ "ok", SH_BOOL },
	{ "state", SH_STRING, .values = states },
	{ "sealed", SH_BOOL, .help = "false: it is running, or its end has not been sealed yet" },
	{ "decrypted", SH_BOOL, .help = "the content was decrypted and decoded too" },
	{ "chunks", SH_INT },
	{ "bytes", SH_INT },
	{ "faults", SH_ARRAY, .max = 100, .item = &fault_item, .help = "the first 100" },
	{ "verified_at", SH_STRING },
};
static const struct shape out_checked = SHAPE("SessionRecordingCheck", checked);
static const struct shape_field activity_query[] = {
	{ "step", SH_INT, .min = -BOUND, .max = BOUND, .otherwise = "1", .help = "seconds for each number: 1 to 3600" },
};
static const struct shape query_activity = SHAPE(NULL, activity_query);
static const struct shape_field activity[] = {
	{ "recording_id", SH_STRING },
	{ "started_at", SH_STRING },
	{ "step_seconds", SH_INT },
	{ "activity", SH_ARRAY, .max = 100000, .item = &activity_item, .help = "how much changed in each step, from started_at" },
	{ "truncated", SH_BOOL, .help = "there are more than 100000 steps; ask with a larger one" },
};
static const struct shape out_activity = SHAPE("SessionRecordingActivity", activity);

/* --- export */

static const char *const video_formats[] = { "mp4", "webm", "mkv", NULL };
static const char *const export_states[] = { "running", "done", "failed", "cancelled", NULL };
static const struct shape_field export_query[] = {
	WHICH_FIELD,
	{ "format", SH_STRING, .values = video_formats, .otherwise = "\"mp4\"" },
	{ "fps", SH_INT, .min = 1, .max = 60, .otherwise = "10", .help = "frames per second" },
};
static const struct shape query_export = SHAPE(NULL, export_query);
static const struct shape_field export[] = {
	{ "id", SH_STRING },
	{ "recording_id", SH_STRING },
	{ "format", SH_STRING, .values = video_formats },
	{ "fps", SH_INT },
	{ "state", SH_STRING, .values = export_states },
	{ "reason", SH_STRING, SH_NULLABLE, .help = "why it failed or was cancelled" },
	{ "percent", SH_INT },
	{ "seconds_left", SH_INT, SH_NULLABLE, .help = "null: unknown, or it has ended" },
	{ "bytes", SH_INT, SH_NULLABLE, .help = "size of the file; null: it is not done" },
	{ "file", SH_STRING, SH_NULLABLE, .help = "path of the file, which is kept for an hour; null: it is not done" },
};
static const struct shape out_export = SHAPE("SessionRecordingExport", export);

#define SCOPED(op_scope, op_name, op_verb, op_path, ...)                                                               \
	{                                                                                                              \
		.name = "sessions." op_name, .role = ROLE_SESSIONS, .verb = op_verb, .path = BASE op_path, .scope = op_scope, __VA_ARGS__ \
	}
#define ROW(...) SCOPED(OP_USER, __VA_ARGS__)
#define ADMIN_ROW(...) SCOPED(OP_ADMIN, __VA_ARGS__)

static const struct op ops[] = {
	ROW("recording.start", "POST", "/recording/start", .status = 201, .deadline_ms = START_DEADLINE_MS, .in = &in_start, .out = &shape_recording,
	    .summary = "Record the desktop of a session; responds when the first picture is recorded"),
	ROW("recording.stop", "POST", "/recording/stop", .flags = OP_IDEMPOTENT, .deadline_ms = START_DEADLINE_MS, .out = &shape_recording,
	    .summary = "Stop the recording of a session"),
	ROW("recording.get", "GET", "/recording", .flags = OP_READ, .query = &query_which, .out = &shape_recording,
	    .summary = "Get the newest recording of a session"),
	ROW("recording.verify", "GET", "/recording/verify", .flags = OP_READ | OP_MAY_CONFLICT, .deadline_ms = VERIFY_DEADLINE_MS, .query = &query_which,
	    .out = &out_checked, .summary = "Check that nothing of a recording was changed, moved or removed"),
	ROW("recordings", "GET", "/recordings", .flags = OP_READ, .query = &query_list, .out = &out_list,
	    .summary = "List the recordings of a session, also of one that was deleted"),
	ROW("recording.activity", "GET", "/recordings/{recording_id}/activity", .flags = OP_READ, .query = &query_activity, .out = &out_activity,
	    .summary = "How much changed on the screen, over time"),
	ADMIN_ROW("recording.delete", "DELETE", "/recordings/{recording_id}", .flags = OP_IDEMPOTENT, .deadline_ms = START_DEADLINE_MS, .status = 204,
	    .summary = "Delete a recording that has ended, with its files"),
	ROW("recording.export", "GET", "/recording/export", .flags = OP_READ | OP_MAY_CONFLICT, .status = 202, .query = &query_export, .out = &out_export,
	    .summary = "Make a video file of a recording that has ended, or see how far that is; needs ffmpeg"),
	ROW("recording.export_job", "GET", "/recording/export/{id}", .flags = OP_READ, .out = &out_export, .summary = "Progress of an export"),
	ROW("recording.export_file", "GET", "/recording/export/{id}/file", .flags = OP_READ | OP_MAY_CONFLICT | OP_STREAMS, .media = "application/octet-stream",
	    .summary = "Download the video file of an export that is done"),
	ROW("recording.export_cancel", "DELETE", "/recording/export/{id}", .flags = OP_IDEMPOTENT, .status = 204, .summary = "Cancel an export, or delete its file"),
	ROW("pipeline", "GET", "/pipeline", .flags = OP_READ, .query = &query_which, .out = &out_pipeline,
	    .summary = "Stages of the recording of a session, with their figures"),
	ROW("chunks", "GET", "/chunks", .rate = RATE_RECORDING_VIEW, .flags = OP_READ, .query = &query_chunks, .out = &out_chunks,
	    .summary = "List the chunks of a recording"),
	ROW("chunk", "GET", "/chunks/{n}", .rate = RATE_RECORDING_VIEW, .flags = OP_READ, .query = &query_which, .out = &out_chunk,
	    .summary = "Get one chunk of the list"),
	ROW("chunk_records", "GET", "/chunks/{n}/data", .rate = RATE_RECORDING_VIEW, .flags = OP_READ | OP_MAY_CONFLICT | OP_STREAMS, .query = &query_data,
	    .media = "application/octet-stream", .summary = "Records of a chunk, decrypted; of one that is being written, what there is"),
};
const struct op_table contract_recordings = { ops, ARRAY_LEN(ops) };
