#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/xrdp_config/cert.h"
#include "host/kernel/fs.h"
#include "host/system_xrdp/hostcfg.h"
#include "host/system_xrdp/config_files.h"
#include "host/instance/instance.h"
#include "lucid/clock.h"
#include "lucid/str.h"
#include "sys/child/job.h"

#define JOB_MS 8000

static void host_paths(const struct host *h, char cert[HOSTCFG_PATH_SIZE], char key[HOSTCFG_PATH_SIZE])
{
	int err;
	const char *why;
	_cleanup_(xfreep) char *text = hostcfg_read(h, HOSTCFG_XRDP, &err, &why);
	_cleanup_(inifile_freep) struct inifile *f = inifile_parse(text ? text : "");
	_cleanup_(doc_unrefp) json_t *raw = inifile_doc(f);
	hostcfg_pair_paths(h, raw, cert, key);
}

/* --- list */

struct listing {
	struct host *host;
	host_done done;
	void *arg;
};

static int list_run(void *arg, int out)
{
	struct host *h = arg;
	struct instance *i;
	char cert[HOSTCFG_PATH_SIZE], key[HOSTCFG_PATH_SIZE];
	json_t *list = json_array();
	host_paths(h, cert, key);
	json_t *d = cert_doc(cert, key);
	doc_set_str(d, "source", "xrdp");
	json_array_append_new(list, d);
	INSTANCE_FOREACH (i, h) {
		snprintf(cert, sizeof cert, "%s/cert.pem", i->etc);
		snprintf(key, sizeof key, "%s/key.pem", i->etc);
		d = cert_doc(cert, key);
		doc_set_str(d, "source", i->id);
		json_array_append_new(list, d);
	}
	_cleanup_(xfreep) char *text = doc_text(list);
	json_decref(list);
	size_t len = strlen(text);
	return len < JOB_MAX_OUT && dprintf(out, "%s", text) == (int)len ? 0 : 1;
}

static void on_listed(void *arg, int code, const char *text, size_t len)
{
	_cleanup_(xfreep) struct listing *l = arg;
	json_t *list = code == 0 ? doc_parse(text, len, NULL, 0) : NULL;
	if (!list) {
		host_answer(l->host, l->done, l->arg, ERR_XRDP_SERVICE, "reading the certificates timed out", NULL);
		return;
	}
	json_t *out = json_object();
	doc_set(out, "certificates", list);
	host_answer(l->host, l->done, l->arg, ERR_OK, NULL, out);
}

void host_certificates(struct host *h, UNUSED const json_t *in, host_done done, void *arg)
{
	struct listing *l = XNEW(struct listing);
	*l = (struct listing){ h, done, arg };
	job_start(h->children, list_run, h, JOB_MS, on_listed, l);
}

/* --- a new one */

struct making {
	struct host *host;
	host_done done;
	void *arg;
	char cert[HOSTCFG_PATH_SIZE], key[HOSTCFG_PATH_SIZE], name[65];
	int days;
	gid_t gid;
	bool of_host, apply;
};

static int make_run(void *arg, int out)
{
	const struct making *m = arg;
	int r = cert_make(m->cert, m->key, m->name, m->days, m->gid);
	if (r < 0) {
		dprintf(out, "%s", strerror(-r));
		return 1;
	}
	_cleanup_(doc_unrefp) json_t *doc = cert_doc(m->cert, m->key);
	_cleanup_(xfreep) char *text = doc_text(doc);
	dprintf(out, "%s", text);
	return 0;
}

/* Sets the new certificate in the host's xrdp.ini. */
static void install(struct making *m, json_t *consume_doc)
{
	struct host *h = m->host;
	int err;
	const char *why;
	struct faults faults = { 0 };
	json_t *what = NULL, *more = json_object();
	const struct hostcfg_dirs dirs = { h->set.xrdp_config, h->set.data_dir, h->set.xrdp_log };
	doc_set(more, "certificate", consume_doc);
	_cleanup_(xfreep) char *before = hostcfg_read(h, HOSTCFG_XRDP, &err, &why);
	if (!before) {
		json_decref(more);
		host_answer(h, m->done, m->arg, err, why, NULL);
		return;
	}
	_cleanup_(inifile_freep) struct inifile *f = inifile_parse(before);
	_cleanup_(doc_unrefp) json_t *sections =
		json_pack("{s:{s:s, s:s}}", "Globals", "certificate", m->cert, "key_file", m->key);
	hostcfg_change(HOSTCFG_XRDP, &dirs, f, sections, &faults, &what);
	if (faults_any(&faults)) {
		json_decref(what);
		json_decref(more);
		host_answer(h, m->done, m->arg, ERR_XRDP_CONFIG, "the certificate lies at a path that xrdp.ini cannot name",
			    faults_take(&faults));
		return;
	}
	_cleanup_(xfreep) char *text = inifile_text(f);
	const struct hostcfg_write w = { HOSTCFG_XRDP, before, text, what, more, m->apply };
	hostcfg_put_text(h, &w, m->done, m->arg);
}

static void on_made(void *arg, int code, const char *text, size_t len)
{
	_cleanup_(xfreep) struct making *m = arg;
	json_t *doc = code == 0 ? doc_parse(text, len, NULL, 0) : NULL;
	if (!doc) {
		_cleanup_(xfreep) char *message =
			xasprintf("the certificate could not be written: %.*s", (int)MIN(len, (size_t)200), len ? text : "timed out");
		host_answer(m->host, m->done, m->arg, ERR_XRDP_SERVICE, message, NULL);
		return;
	}
	doc_set_str(doc, "source", m->of_host ? "xrdp" : "instances");
	if (m->of_host) {
		install(m, doc);
		return;
	}
	json_t *out = json_object();
	doc_set(out, "certificate", doc);
	doc_set_bool(out, "applied", false);
	doc_set_str(out, "message", "instances use it from their next start");
	host_answer(m->host, m->done, m->arg, ERR_OK, NULL, out);
}

void host_certificates_make(struct host *h, const json_t *in, host_done done, void *arg)
{
	bool of_host = str_eq(doc_str(in, "for", "xrdp"), "xrdp");
	const char *why = !h->is_root ? "this requires root" :
			  !of_host && *h->set.cert_file ?
					"instances use the certificate in XRDP_CERT_FILE; replace that file, or remove the setting" :
					NULL;
	if (of_host && access(h->set.xrdp_config, F_OK) != 0) {
		host_answer(h, done, arg, ERR_NO_XRDP, NULL, NULL);
		return;
	}
	if (why) {
		host_answer(h, done, arg, ERR_CONFLICT, why, NULL);
		return;
	}
	struct making *m = XNEW(struct making);
	time_t now = clock_wall_ms() / 1000;
	struct tm tm;
	char when[32];
	strftime(when, sizeof when, "%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
	m->host = h;
	m->done = done;
	m->arg = arg;
	m->of_host = of_host;
	m->apply = doc_bool(in, "apply", false);
	m->days = (int)doc_int(in, "days", 365);
	m->gid = of_host ? h->xrdp_gid : 0;
	str_copy(m->name, sizeof m->name, doc_str(in, "common_name", h->set.node));
	/* the name has the time in it: the previous certificate stays for a rollback of xrdp.ini */
	if (of_host) {
		snprintf(m->cert, sizeof m->cert, "%s/lucid-%s-cert.pem", h->set.xrdp_config, when);
		snprintf(m->key, sizeof m->key, "%s/lucid-%s-key.pem", h->set.xrdp_config, when);
	} else {
		snprintf(m->cert, sizeof m->cert, "%s/xrdp/tls/cert.pem", h->set.data_dir);
		snprintf(m->key, sizeof m->key, "%s/xrdp/tls/key.pem", h->set.data_dir);
		_cleanup_(xfreep) char *dir = xasprintf("%s/xrdp/tls", h->set.data_dir);
		fs_mkdirs(dir, 0700);
	}
	job_start(h->children, make_run, m, JOB_MS, on_made, m);
}
