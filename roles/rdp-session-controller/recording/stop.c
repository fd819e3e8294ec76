#include "roles/rdp-session-controller/recording/stop.h"

#include "lucid/str.h"
#include "roles/rdp-session-controller/agent.h"
#include "roles/rdp-session-controller/recording/settle.h"

/* The agent answers when the recorder has closed its last chunk. The rows of the last chunks and the seal follow (settle.c). */

static void stop_durable(int err, void *arg)
{
	struct recording_task *t = arg;
	struct recording *r = task_recording(t);
	if (err || r->o.gone) {
		object_task_fail_store(&t->on, err ? err : -ERR_RECORDING_NOT_FOUND, ERR_RECORDING_STORAGE);
		return;
	}
	if (t->on.call) {
		call_set_version(t->on.call, r->o.version);
		call_ok_status(TAKE_PTR(t->on.call), 200, recording_shown(r->o.doc));
	}
	recording_settle(r, NULL, NULL);
	object_task_end(&t->on);
}

/* Behind the rows of the last chunks, whose events the agent sent before it answered. */
static void run_stopped(struct object_task *on)
{
	object_wait(on->object, stop_durable, on);
}

static void agent_stopped(const struct reply *reply, void *arg)
{
	struct recording_task *t = arg;
	struct recording *r = task_recording(t);
	bool gone = reply->err && !agent_silent(reply) && err_status(reply->err) == 404;
	if (reply->err && !gone) {
		object_task_fail(&t->on, reply->err, "the agent of host %s has not confirmed the end of recording %s: %s", recording_node(r), r->o.id, reply->message);
		return;
	}
	recording_end_as(r, gone ? "truncated" : doc_str(reply->doc, "state", "complete"), gone ? "unfinished" : doc_str(reply->doc, "reason", "stopped"));
	if (r->figures)
		object_touch(&r->o, "pipeline", json_incref(r->figures));
	object_queue(&r->o, &recording_task_new(recording_all(r), TAKE_PTR(t->on.call), run_stopped)->on);
	object_task_end(&t->on);
}

static void run_stop(struct object_task *on)
{
	struct recording *r = (struct recording *)on->object;
	struct recordings *all = recording_all(r);
	if (!recording_open(r)) {
		object_task_fail(on, ERR_RECORDING_STATE, "recording %s has ended (%s) already", r->o.id, object_state_name(&r->o));
		return;
	}
	if (agent_unreachable(all->c, recording_node(r))) {
		object_task_fail(on, ERR_UNAVAILABLE, "host %s is unreachable, its heartbeat has stopped; retry when it is back", recording_node(r));
		return;
	}
	const struct watched *w = map_get(all->c->servers, r->server_id);
	if (on->call && watched_imposes(w, call_caller(on->call))) {
		object_task_fail(on, ERR_FORBIDDEN, WATCHED_IMPOSES "stop a recording");
		return;
	}
	const char *by = on->call ? call_caller(on->call)->sub : "";
	object_touch(&r->o, "stopped_by", json_string(*by ? by : "lucid-rdp"));
	r->stopped_by_user = true;
	agent_ask(all->c, &(struct agent_args){ .op = all->ops.stop, .node = recording_node(r), .params = { r->o.id }, .call = on->call }, agent_stopped, on);
}

static void stop_asked(struct recording_reading *r)
{
	object_queue(&r->rec->o, &recording_task_new(r->all, r->call, run_stop)->on);
	recording_read_end(r);
}

void op_recording_stop(struct call *c, void *ctx)
{
	recording_read_begin(ctx, c, op_recording_stop, stop_asked);
}
