#include "roles/rdp-server-manager/server/states.h"

#include "lucid/str.h"

static void came_up(json_t *doc, int64_t now_ms)
{
	doc_set_time(doc, "started_at", now_ms);
	doc_set_bool(doc, "pending_restart", false);
}

static void went_down(json_t *doc, int64_t now_ms)
{
	doc_set_time(doc, "stopped_at", now_ms);
	doc_set_bool(doc, "pending_restart", false);
}

static void broke_down(json_t *doc, int64_t now_ms)
{
	doc_set_time(doc, "stopped_at", now_ms);
}

/* A failed server enters `failed` again only for another reason. */
static bool another_reason(const struct object *o, const char *reason)
{
	return o->doc && !str_eq(doc_str(o->doc, "status_reason", ""), reason);
}

const struct object_state server_states[SERVER_STATUS_COUNT] = {
	[SERVER_CREATING] = { "creating", true, SERVER_FAILED },
	[SERVER_CONFIGURING] = { "configuring", true, SERVER_FAILED },
	[SERVER_STARTING] = { "starting", true, SERVER_STOPPED },
	[SERVER_RUNNING] = { "running", false, SERVER_FAILED },
	[SERVER_STOPPING] = { "stopping", true, SERVER_FAILED },
	[SERVER_STOPPED] = { "stopped", false, SERVER_FAILED },
	[SERVER_FAILED] = { "failed", false, SERVER_FAILED },
};

/* Every state can fail, and none returns to creating. */
const struct object_transition server_transitions[SERVER_TRANSITIONS] = {
	{ SERVER_CREATING, SERVER_CONFIGURING },
	{ SERVER_CREATING, SERVER_STARTING },
	{ SERVER_CREATING, SERVER_STOPPING },
	{ SERVER_CREATING, SERVER_FAILED, .effect = broke_down },
	{ SERVER_CONFIGURING, SERVER_STARTING },
	{ SERVER_CONFIGURING, SERVER_STOPPING },
	{ SERVER_CONFIGURING, SERVER_FAILED, .effect = broke_down },
	{ SERVER_STARTING, SERVER_RUNNING, .effect = came_up },
	{ SERVER_STARTING, SERVER_STOPPING },
	{ SERVER_STARTING, SERVER_STOPPED, .effect = went_down },
	{ SERVER_STARTING, SERVER_FAILED, .effect = broke_down },
	{ SERVER_RUNNING, SERVER_STARTING },
	{ SERVER_RUNNING, SERVER_STOPPING },
	{ SERVER_RUNNING, SERVER_STOPPED, .effect = went_down },
	{ SERVER_RUNNING, SERVER_FAILED, .effect = broke_down },
	{ SERVER_STOPPING, SERVER_STOPPED, .effect = went_down },
	{ SERVER_STOPPING, SERVER_RUNNING },
	{ SERVER_STOPPING, SERVER_FAILED, .effect = broke_down },
	{ SERVER_STOPPED, SERVER_STARTING },
	{ SERVER_STOPPED, SERVER_FAILED, .effect = broke_down },
	{ SERVER_FAILED, SERVER_STARTING },
	{ SERVER_FAILED, SERVER_STOPPING },
	{ SERVER_FAILED, SERVER_FAILED, .guard = another_reason, .effect = broke_down },
};

const char *server_status_to_string(enum server_status s)
{
	return server_states[s].name;
}
