#include "host/hostcfg_service.h"

#include <stdio.h>

#include "lucid/str.h"

/* What is done to the host's service on request. Reloading keeps desktops and connections: connections are children of the
 * listener and live on when another takes its place, and sesman reads its file again. Restarting sesman makes it forget the
 * desktops it has, as init's restart does.
 *
 * Systemd ends a unit with all its processes, connections too, and Debian's units have sesman go with xrdp: there a reload leaves
 * the listener as it is. Each connection reads xrdp.ini anew. */

struct action {
	const char *name;
	enum service_step steps[STEPS_MAX];
	enum service_step unit_steps[STEPS_MAX]; /* where systemd does it */
	const char *unit_message; /* of that; NULL: the steps are the same */
};
enum { START, STOP, RESTART, RELOAD };
static const struct action actions[] = {
	[START] = { "start", { STEP_START_SESMAN, STEP_START_XRDP, STEP_SESMAN_LISTENS, STEP_XRDP_ANSWERS, STEP_END } },
	[STOP] = { "stop", { STEP_STOP_XRDP, STEP_STOP_SESMAN, STEP_END } },
	[RESTART] = { "restart", { STEP_STOP_XRDP, STEP_STOP_SESMAN, STEP_START_SESMAN, STEP_START_XRDP, STEP_SESMAN_LISTENS,
				   STEP_XRDP_ANSWERS, STEP_END } },
	[RELOAD] = { "reload", { STEP_RELOAD_SESMAN, STEP_SESMAN_LISTENS, STEP_STOP_XRDP, STEP_START_XRDP, STEP_XRDP_ANSWERS,
				 STEP_END },
		     { STEP_RELOAD_SESMAN, STEP_SESMAN_LISTENS, STEP_XRDP_ANSWERS, STEP_END },
		     "done; each new connection reads xrdp.ini, but xrdp's port and logging take a restart where systemd runs it" },
};

struct asked {
	struct host *host;
	const struct action *action;
	const char *message;
	host_done done;
	void *arg;
};

static enum service_state state_of_both(const struct host *h)
{
	struct proc_stat s;
	char why[256];
	enum service_state xrdp = service_look(h, SERVICE_XRDP, &s, why, sizeof why);
	enum service_state sesman = service_look(h, SERVICE_SESMAN, &s, why, sizeof why);
	if (xrdp == sesman)
		return xrdp;
	return xrdp == SERVICE_NOT_INSTALLED || sesman == SERVICE_NOT_INSTALLED ? SERVICE_NOT_INSTALLED : SERVICE_FAILED;
}

static json_t *outcome(const struct host *h, const struct action *a, const char *message)
{
	static const char *const states[] = { "running", "stopped", "failed", "not-installed" };
	json_t *d = json_object();
	doc_set_str(d, "action", a->name);
	doc_set_str(d, "status", states[state_of_both(h)]);
	doc_set_str(d, "message", message);
	return d;
}

static void on_done(void *arg, const char *fault)
{
	_cleanup_(xfreep) struct asked *a = arg;
	if (fault)
		host_answer(a->host, a->done, a->arg, ERR_XRDP_SERVICE, fault, NULL);
	else
		host_answer(a->host, a->done, a->arg, ERR_OK, NULL, outcome(a->host, a->action, a->message));
}

static void act(struct host *h, size_t which, host_done done, void *arg)
{
	const struct action *action = &actions[which];
	const char *why;
	int err = service_cannot(h, &why);
	if (err) {
		host_answer(h, done, arg, err, why, NULL);
		return;
	}
	enum service_state now = state_of_both(h);
	if (which == START && now == SERVICE_RUNNING) {
		host_answer(h, done, arg, ERR_OK, NULL, outcome(h, action, "it runs already"));
		return;
	}
	if (which == RELOAD && now != SERVICE_RUNNING) {
		host_answer(h, done, arg, ERR_CONFLICT, "the host's xrdp does not run; start it", NULL);
		return;
	}
	bool units = action->unit_message && service_units(h);
	struct asked *a = XNEW(struct asked);
	*a = (struct asked){ h, action, units ? action->unit_message : "done", done, arg };
	if (service_run(h, units ? action->unit_steps : action->steps, on_done, a))
		return;
	free(a);
	host_answer(h, done, arg, ERR_CONFLICT, "the host's xrdp is being started or stopped; try again when that is over", NULL);
}

void host_service_start(struct host *h, UNUSED const json_t *in, host_done done, void *arg)
{
	act(h, START, done, arg);
}

void host_service_stop(struct host *h, UNUSED const json_t *in, host_done done, void *arg)
{
	act(h, STOP, done, arg);
}

void host_service_restart(struct host *h, UNUSED const json_t *in, host_done done, void *arg)
{
	act(h, RESTART, done, arg);
}

void host_service_reload(struct host *h, UNUSED const json_t *in, host_done done, void *arg)
{
	act(h, RELOAD, done, arg);
}
