#include "roles/rdp-session-controller/foreign/foreign_target.h"

#include "lucid/str.h"
#include "lucid/target.h"
#include "roles/rdp-session-controller/foreign/foreign.h"
#include "roles/rdp-session-controller/operations/declare.h"
#include "roles/rdp-session-controller/watch/server.h"

struct trying {
	struct controller *c;
	struct call *call;
};

/* Every other outcome but TARGET_REACHABLE is ERR_SESSION_TARGET. */
static const struct {
	enum target_outcome outcome;
	enum err err;
} errors[] = {
	{ TARGET_NOT_ALLOWED, ERR_FORBIDDEN },
	{ TARGET_BUSY, ERR_BUSY },
};

static void target_tried(const struct target_result *r, void *arg)
{
	_cleanup_(xfreep) struct trying *t = arg;
	struct controller *c = t->c;
	enum err err = ERR_SESSION_TARGET;
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (errors[i].outcome == r->outcome)
			err = errors[i].err;
	if (r->outcome != TARGET_REACHABLE) {
		log_info(SERVICE, "a foreign RDP host was refused as %s: %s%s%s", target_outcome_to_string(r->outcome), r->why,
			 *r->address ? "; its address was " : "", r->address);
		call_fail(t->call, err, "%s", r->why);
	} else if (objects_draining(c->objects)) {
		call_fail(t->call, ERR_UNAVAILABLE, NULL);
	} else {
		session_declare(c, t->call, c->foreign);
	}
	objects_release(c->objects);
}

void foreign_declare(struct controller *c, struct call *call)
{
	const json_t *config = json_object_get(call_body(call), "rdp_config");
	struct trying *t = XNEW(struct trying);
	*t = (struct trying){ c, call };
	objects_hold(c->objects);
	target_probe(c->targets, doc_str(config, "host", ""), (int)doc_int(config, "port", FOREIGN_PORT), target_tried, t);
}

void foreign_begin(struct controller *c)
{
	c->foreign = watched_new_foreign(c);
	c->targets = target_prober_new(c->env.loop);
	foreign_allow(c, c->env.config);
}

void foreign_allow(struct controller *c, const struct config *config)
{
	char why[256];
	struct target_list *list = target_list_new(config_list(config, "RDP_TARGETS_ALLOWED"), why, sizeof why);
	if (list) /* the settings were checked */
		target_prober_allow(c->targets, list);
}

void foreign_end(struct controller *c)
{
	target_prober_free(c->targets);
}
