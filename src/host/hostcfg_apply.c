#include "host/hostcfg.h"

#include <errno.h>
#include <stdio.h>

#include "host/hostcfg_files.h"
#include "host/hostcfg_service.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* An xrdp.ini that changed needs a new listener; connections are children of the old one and stay. A sesman.ini is read again
 * on SIGHUP; desktops stay. Systemd has no such thing as a new listener alone: there all is started anew, connections end, and
 * it is only done for what connections do not read themselves. */
static const enum service_step steps_xrdp[] = { STEP_STOP_XRDP, STEP_START_XRDP, STEP_XRDP_ANSWERS, STEP_END };
static const enum service_step steps_units[] = { STEP_STOP_XRDP, STEP_STOP_SESMAN, STEP_START_SESMAN, STEP_START_XRDP, STEP_SESMAN_LISTENS,
						 STEP_XRDP_ANSWERS, STEP_END };
static const enum service_step steps_none[] = { STEP_XRDP_ANSWERS, STEP_END };
static const enum service_step steps_sesman[] = { STEP_RELOAD_SESMAN, STEP_SESMAN_LISTENS, STEP_XRDP_ANSWERS, STEP_END };

struct applying {
	struct host *host;
	enum hostcfg_file which;
	const enum service_step *steps;
	char *before;
	json_t *out;
	host_done done;
	void *arg;
	char *fault; /* of the change, while the way back is gone */
};

static void applying_free(struct applying *a)
{
	free(a->before);
	free(a->fault);
	json_decref(a->out);
	free(a);
}

static const enum service_step *steps_of(struct host *h, enum hostcfg_file w, const char *before, const char *after)
{
	if (w == HOSTCFG_SESMAN)
		return steps_sesman;
	return !service_units(h) ? steps_xrdp : hostcfg_needs_start(before, after) ? steps_units : steps_none;
}

static void on_back(void *arg, const char *fault)
{
	struct applying *a = arg;
	_cleanup_(xfreep) char *message =
		fault ? xasprintf("%s. The previous file is back, but even so: %s", a->fault, fault) :
			xasprintf("%s. The previous file is back and xrdp runs with it", a->fault);
	host_answer(a->host, a->done, a->arg, ERR_XRDP_SERVICE, message, NULL);
	applying_free(a);
}

static void on_applied(void *arg, const char *fault)
{
	struct applying *a = arg;
	if (!fault) {
		doc_set_bool(a->out, "applied", true);
		host_answer(a->host, a->done, a->arg, ERR_OK, NULL, TAKE_PTR(a->out));
		applying_free(a);
		return;
	}
	a->fault = xstrdup(fault);
	log_warn("host", "%s was changed and does not work: %s; the previous one comes back", hostcfg_file_name(a->which), fault);
	if (hostcfg_restore(a->host, a->which, a->before) < 0) {
		_cleanup_(xfreep) char *message = xasprintf("%s. The previous file could not be put back; it is the newest backup", fault);
		host_answer(a->host, a->done, a->arg, ERR_XRDP_SERVICE, message, NULL);
		applying_free(a);
	} else if (!service_run(a->host, a->steps, on_back, a)) {
		on_back(a, "the service is being started or stopped by somebody else");
	}
}

static bool runs(const struct host *h)
{
	struct proc_stat s;
	char why[256];
	return service_look(h, SERVICE_XRDP, &s, why, sizeof why) == SERVICE_RUNNING;
}

void hostcfg_put_text(struct host *h, const struct hostcfg_write *w, host_done done, void *arg)
{
	char backup[HOSTCFG_BACKUP_NAME] = "";
	const char *why = NULL;
	bool apply = w->apply && runs(h), same = str_eq(w->before, w->text);
	int err = apply ? service_cannot(h, &why) : 0;
	json_t *out = w->consume_more ? w->consume_more : json_object();
	doc_set_str(out, "file", w->which == HOSTCFG_SESMAN ? "sesman" : "xrdp");
	doc_set_int(out, "version", hostcfg_version(w->text));
	doc_set(out, "changed", w->consume_changed);
	doc_set_bool(out, "applied", false);
	if (apply && !err && h->service_run) {
		err = ERR_CONFLICT;
		why = "the host's xrdp is being started or stopped; try again when that is over";
	}
	int r = err || same ? 0 : hostcfg_write(h, w->which, w->text, backup);
	if (r < 0) {
		_cleanup_(xfreep) char *message =
			r == -ELOOP ? xstrdup("the file is not an ordinary one (a link?): nothing was written") :
				      xasprintf("the file cannot be written: %s; nothing was changed", strerror(-r));
		json_decref(out);
		host_answer(h, done, arg, ERR_XRDP_SERVICE, message, NULL);
		return;
	}
	if (err) {
		json_decref(out);
		host_answer(h, done, arg, err, why, NULL);
		return;
	}
	doc_set_str(out, "backup", backup[0] ? backup : NULL);
	if (!same)
		log_info("host", "the host's %s was written; %s is the one before", hostcfg_file_name(w->which), backup);
	if (!apply) {
		doc_set_str(out, "message", w->apply ? "the host's xrdp does not run: it takes the file when it is started" :
						       "the host's xrdp takes the file when it is reloaded");
		host_answer(h, done, arg, ERR_OK, NULL, out);
		return;
	}
	struct applying *a = XNEW(struct applying);
	*a = (struct applying){ h, w->which, steps_of(h, w->which, w->before, w->text), xstrdup(w->before), out, done, arg, NULL };
	service_run(h, a->steps, on_applied, a);
}
