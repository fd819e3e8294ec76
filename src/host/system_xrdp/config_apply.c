#include "host/system_xrdp/hostcfg.h"

#include <errno.h>
#include <stdio.h>

#include "host/system_xrdp/config_files.h"
#include "host/system_xrdp/service.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* A changed xrdp.ini needs a restart of the listener; connections are its children and stay. sesman rereads sesman.ini on SIGHUP; desktops
 * stay. systemd cannot restart the listener alone: it ends all connections, so that is done only for keys that xrdp does not read at each
 * connection. */
static const enum service_step steps_xrdp[] = { STEP_STOP_XRDP, STEP_START_XRDP, STEP_XRDP_LISTENS, STEP_END };
static const enum service_step steps_units[] = { STEP_STOP_XRDP, STEP_STOP_SESMAN, STEP_START_SESMAN, STEP_START_XRDP, STEP_SESMAN_LISTENS,
						 STEP_XRDP_LISTENS, STEP_END };
static const enum service_step steps_none[] = { STEP_XRDP_LISTENS, STEP_END };
static const enum service_step steps_sesman[] = { STEP_RELOAD_SESMAN, STEP_SESMAN_LISTENS, STEP_XRDP_LISTENS, STEP_END };

struct applying {
	struct host *host;
	enum hostcfg_file which;
	const enum service_step *steps;
	char *before;
	json_t *out;
	host_done done;
	void *arg;
	char *fault; /* of the change, while it is rolled back */
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
		fault ? xasprintf("%s. The previous file was restored, but xrdp still fails: %s", a->fault, fault) :
			xasprintf("%s. The previous file was restored and xrdp runs with it", a->fault);
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
	log_warn("host", "%s was changed and xrdp fails with it: %s; restoring the previous file", hostcfg_file_name(a->which), fault);
	if (hostcfg_restore(a->host, a->which, a->before) < 0) {
		_cleanup_(xfreep) char *message = xasprintf("%s. The previous file could not be restored; it is the newest backup", fault);
		host_answer(a->host, a->done, a->arg, ERR_XRDP_SERVICE, message, NULL);
		applying_free(a);
	} else if (!service_run(a->host, a->steps, on_back, a)) {
		on_back(a, "the service is being started or stopped by another request");
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
		why = "the host's xrdp is being started or stopped; retry when that has completed";
	}
	int r = err || same ? 0 : hostcfg_write(h, w->which, w->text, backup);
	if (r < 0) {
		_cleanup_(xfreep) char *message =
			r == -ELOOP ? xstrdup("the file is not a regular file (a link?); nothing was written") :
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
		log_info("host", "wrote the host's %s; %s is the previous version", hostcfg_file_name(w->which), backup);
	if (!apply) {
		doc_set_str(out, "message", w->apply ? "the host's xrdp is not running; it reads the file at its next start" :
						       "the host's xrdp reads the file at its next reload");
		host_answer(h, done, arg, ERR_OK, NULL, out);
		return;
	}
	struct applying *a = XNEW(struct applying);
	*a = (struct applying){ h, w->which, steps_of(h, w->which, w->before, w->text), xstrdup(w->before), out, done, arg, NULL };
	service_run(h, a->steps, on_applied, a);
}
