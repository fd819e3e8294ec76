#include "roles/rdp-session-controller/recording/pipeline.h"

#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"

#define STAGES 4
static const char *const stages[STAGES] = { "recording", "compression", "encryption", "storage" };

/* --- metrics */

void recording_metrics(struct recordings *r)
{
	r->metrics.frames = metric_series(metric_family("rdp_recorder_frames_total", METRIC_COUNTER, NULL, "Pictures that recorders took, of hosts that this process follows."), NULL);
	r->metrics.drops = metric_series(metric_family("rdp_recorder_drops_total", METRIC_COUNTER, NULL,
						       "Pictures that recorders merged into the next one, because they were late."), NULL);
	r->metrics.restarts = metric_series(metric_family("rdp_recorder_restarts_total", METRIC_COUNTER, NULL, "Recorders that were started again."), NULL);
	r->metrics.views = metric_series(metric_family("rdp_recording_views_total", METRIC_COUNTER, NULL, "Viewings of recordings that began."), NULL);
	r->metrics.stage_bytes = metric_family("rdp_recorder_bytes_total", METRIC_COUNTER, "stage", "Bytes that left a stage of recorders.");
	r->metrics.stage_seconds = metric_family("rdp_recorder_stage_seconds_total", METRIC_COUNTER, "stage", "Time that recorders spent in a stage.");
	r->metrics.stage_errors = metric_family("rdp_recorder_errors_total", METRIC_COUNTER, "stage", "Failures in a stage of recorders.");
	for (size_t i = 0; i < STAGES; i++) {
		metric_add(metric_with(r->metrics.stage_bytes, stages[i]), 0);
		metric_add(metric_with(r->metrics.stage_seconds, stages[i]), 0);
		metric_add(metric_with(r->metrics.stage_errors, stages[i]), 0);
	}
}

/* A recorder that was started again counts from 0. */
static int64_t grown(const json_t *before, const json_t *now, const char *key)
{
	int64_t a = doc_int(before, key, 0), b = doc_int(now, key, 0);
	return b >= a ? b - a : b;
}

void recording_figures_count(struct recording *r, const json_t *item)
{
	struct recordings *all = recording_all(r);
	const json_t *now = json_object_get(item, "figures");
	if (!now)
		return;
	for (size_t i = 0; i < STAGES; i++) {
		const json_t *a = json_object_get(r->figures, stages[i]), *b = json_object_get(now, stages[i]);
		metric_add(metric_with(all->metrics.stage_bytes, stages[i]), (double)grown(a, b, "bytes_out"));
		metric_add(metric_with(all->metrics.stage_seconds, stages[i]), (double)grown(a, b, "ns_sum") / 1e9);
		metric_add(metric_with(all->metrics.stage_errors, stages[i]), (double)grown(a, b, "errors"));
	}
	metric_add(all->metrics.frames, (double)grown(json_object_get(r->figures, stages[0]), json_object_get(now, stages[0]), "items"));
	metric_add(all->metrics.drops, (double)grown(r->figures, now, "late"));
	metric_add(all->metrics.restarts, (double)MAX(doc_int(item, "restarts", 0) - r->restarts, 0));
	r->restarts = doc_int(item, "restarts", 0);
}

/* --- GET /pipeline */

static json_t *stage_doc(const char *name, const json_t *f, const char *status)
{
	json_t *stage = json_object(), *metrics = json_object();
	int64_t items = doc_int(f, "items", 0);
	double ms = (double)doc_int(f, "ns_sum", 0) / 1e6;
	doc_set_str(stage, "stage_name", name);
	doc_set_str(stage, "status", str_eq(status, "active") && doc_int(f, "errors", 0) && !items ? "error" : status);
	doc_set_str(stage, "last_processed", doc_str(f, "last_at", NULL));
	doc_set_int(metrics, "items_processed", items);
	doc_set(metrics, "processing_time_ms", json_real(ms));
	doc_set(metrics, "mean_time_ms", items ? json_real(ms / (double)items) : NULL);
	doc_set(metrics, "worst_time_ms", items ? json_real((double)doc_int(f, "ns_max", 0) / 1e6) : NULL);
	doc_set_int(metrics, "bytes", doc_int(f, "bytes_out", 0));
	doc_set_int(metrics, "errors", doc_int(f, "errors", 0));
	doc_set(stage, "metrics", metrics);
	return stage;
}

static const char *pipeline_status(unsigned state)
{
	static const char *const names[RECORDING_STATES] = { [RECORDING_RUNNING] = "active", [RECORDING_PAUSED] = "inactive", [RECORDING_COMPLETE] = "stopped",
							     [RECORDING_TRUNCATED] = "stopped", [RECORDING_FAILED] = "error" };
	return names[state];
}

static void pipeline_answer(struct recording_reading *r, const json_t *figures)
{
	json_t *out = json_object(), *list = json_array();
	unsigned state = RECORDING_FAILED;
	object_state_of(&recording_kind, doc_str(r->doc, "state", ""), &state);
	doc_set_str(out, "session_id", r->session_id);
	doc_set_str(out, "recording_id", r->id);
	doc_set_str(out, "pipeline_status", pipeline_status(state));
	for (size_t i = 0; i < STAGES; i++)
		json_array_append_new(list, stage_doc(stages[i], json_object_get(figures, stages[i]), pipeline_status(state)));
	doc_set(out, "stages", list);
	call_ok(r->call, out);
	recording_read_end(r);
}

static void pipeline_listed(const struct reply *reply, void *arg)
{
	struct recording_reading *r = arg;
	const json_t *figures = NULL;
	json_t *item;
	size_t i;
	json_array_foreach(reply->err ? NULL : json_object_get(reply->doc, "recordings"), i, item)
		if (str_eq(doc_str(item, "recording_id", ""), r->id))
			figures = json_object_get(item, "figures");
	pipeline_answer(r, figures ? figures : json_object_get(r->doc, "pipeline"));
}

static void pipeline_asked(struct recording_reading *r)
{
	if (recording_open(r->rec) && !agent_unreachable(r->all->c, recording_node(r->rec)))
		agent_ask(r->all->c, &(struct agent_args){ .op = r->all->ops.list, .node = recording_node(r->rec), .call = r->call }, pipeline_listed, r);
	else
		pipeline_answer(r, r->rec->figures ? r->rec->figures : json_object_get(r->doc, "pipeline"));
}

void op_pipeline(struct call *c, void *ctx)
{
	recording_read_begin(ctx, c, op_pipeline, pipeline_asked);
}
