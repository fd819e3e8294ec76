#include "host/system_xrdp/service.h"

#include <stdio.h>

#include "host/system_xrdp/config_files.h"
#include "host/system_xrdp/hostcfg.h"
#include "lucid/str.h"

/* Operations on the host's own xrdp. A reload keeps desktops and connections: connections are children of the listener and survive its
 * restart, and sesman rereads its file. A restart of sesman makes it forget its desktops, as a restart by init does. systemd ends a unit
 * with all its processes, connections too, and in Debian's units sesman stops with xrdp. So with systemd a reload leaves the listener
 * alone; each connection reads xrdp.ini anyway. */

struct action {
	const char *name;
	enum service_step steps[STEPS_MAX];
	enum service_step unit_steps[STEPS_MAX]; /* with systemd */
	const char *unit_message; /* for those; NULL: the steps are the same */
};
enum { START, STOP, RESTART, RELOAD };
static const struct action actions[] = {
	[START] = { "start", { STEP_START_SESMAN, STEP_START_XRDP, STEP_SESMAN_LISTENS, STEP_XRDP_LISTENS, STEP_END } },
	[STOP] = { "stop", { STEP_STOP_XRDP, STEP_STOP_SESMAN, STEP_END } },
	[RESTART] = { "restart", { STEP_STOP_XRDP, STEP_STOP_SESMAN, STEP_START_SESMAN, STEP_START_XRDP, STEP_SESMAN_LISTENS,
				   STEP_XRDP_LISTENS, STEP_END } },
	[RELOAD] = { "reload", { STEP_RELOAD_SESMAN, STEP_SESMAN_LISTENS, STEP_STOP_XRDP, STEP_START_XRDP, STEP_XRDP_LISTENS,
				 STEP_END },
		     { STEP_RELOAD_SESMAN, STEP_SESMAN_LISTENS, STEP_XRDP_LISTENS, STEP_END },
		     "done; each new connection reads xrdp.ini; changes of xrdp's port and logging need a restart if systemd runs it" },
};

struct asked {
	struct host *host;
	const struct action *action;
	const char *message;
	host_done done;
	void *arg;
	char *ini; /* the xrdp.ini it runs with */
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

static json_t *outcome(const struct host *h, const struct action *a, const char *message, json_t *consume_warnings)
{
	static const char *const states[] = { "running", "stopped", "failed", "not-installed" };
	json_t *d = json_object();
	doc_set_str(d, "action", a->name);
	doc_set_str(d, "status", states[state_of_both(h)]);
	doc_set_str(d, "message", message);
	doc_set(d, "warnings", consume_warnings);
	return d;
}

static void asked_freep(struct asked **a)
{
	free((*a)->ini);
	free(*a);
}

static void service_pair_looked(void *arg, const struct hostcfg_pair_fault *fault)
{
	_cleanup_(asked_freep) struct asked *a = arg;
	host_answer(a->host, a->done, a->arg, ERR_OK, NULL, outcome(a->host, a->action, a->message, hostcfg_pair_warnings(a->ini, fault)));
}

/* xrdp starts with an unusable certificate too, but then no client can connect: the answer reports that, the service runs. */
static void on_action_done(void *arg, const char *fault)
{
	struct asked *a = arg;
	int err;
	const char *why;
	if (!fault && a->action != &actions[STOP] && (a->ini = hostcfg_read(a->host, HOSTCFG_XRDP, &err, &why))) {
		hostcfg_pair_look(a->host, a->ini, service_pair_looked, a);
		return;
	}
	if (fault)
		host_answer(a->host, a->done, a->arg, ERR_XRDP_SERVICE, fault, NULL);
	else
		host_answer(a->host, a->done, a->arg, ERR_OK, NULL, outcome(a->host, a->action, a->message, json_array()));
	asked_freep(&a);
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
		host_answer(h, done, arg, ERR_OK, NULL, outcome(h, action, "the host's xrdp is already running", json_array()));
		return;
	}
	if (which == RELOAD && now != SERVICE_RUNNING) {
		host_answer(h, done, arg, ERR_CONFLICT, "the host's xrdp is not running; start it", NULL);
		return;
	}
	bool units = action->unit_message && service_units(h);
	struct asked *a = XNEW(struct asked);
	*a = (struct asked){ h, action, units ? action->unit_message : "done", done, arg, NULL };
	if (service_run(h, units ? action->unit_steps : action->steps, on_action_done, a))
		return;
	free(a);
	host_answer(h, done, arg, ERR_CONFLICT, "the host's xrdp is being started or stopped; retry when that has completed", NULL);
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
