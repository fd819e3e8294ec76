#include "host/system_xrdp/hostcfg.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "host/system_xrdp/keys.h"
#include "host/system_xrdp/service.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "net/cert_check.h"
#include "sys/child/job.h"

/* Twice the time that systemd may take (a change and its rollback) and this stay below the deadline of the calls. */
#define JOB_MS 3000

static const char cert_key[] = "certificate", key_key[] = "key_file";

void hostcfg_pair_paths(const struct host *h, const json_t *raw, char cert[HOSTCFG_PATH_SIZE], char key[HOSTCFG_PATH_SIZE])
{
	const char *given[] = { hostcfg_value(raw, "Globals", cert_key), hostcfg_value(raw, "Globals", key_key) };
	static const char *const otherwise[] = { "cert.pem", "key.pem" };
	char *to[] = { cert, key };
	for (size_t k = 0; k < ARRAY_LEN(to); k++)
		if (given[k] && given[k][0] == '/')
			snprintf(to[k], HOSTCFG_PATH_SIZE, "%s", given[k]);
		else
			snprintf(to[k], HOSTCFG_PATH_SIZE, "%s/%s", h->set.xrdp_config, otherwise[k]);
}

struct looking {
	struct host *host;
	char cert[HOSTCFG_PATH_SIZE], key[HOSTCFG_PATH_SIZE];
	bool as_xrdp;
	hostcfg_pair_done done;
	void *arg;
};

/* In Debian xrdp runs as the account xrdp; if a unit runs it as root, root's rights apply. */
static bool is_of_account(const struct host *h)
{
	struct proc_stat s;
	char why[256];
	uid_t uid;
	gid_t gid;
	if (!h->is_root || h->xrdp_uid == 0)
		return false;
	return service_look(h, SERVICE_XRDP, &s, why, sizeof why) != SERVICE_RUNNING || !proc_uid(s.pid, &uid, &gid) || uid != 0;
}

static int look_run(void *arg, int out)
{
	const struct looking *l = arg;
	struct cert_state s;
	char text[200];
	if (l->as_xrdp && (initgroups("xrdp", l->host->xrdp_gid) < 0 || setgid(l->host->xrdp_gid) < 0 || setuid(l->host->xrdp_uid) < 0))
		return 1;
	cert_check_files(l->cert, l->key, cert_now_ms(), &s);
	if (s.fault == CERT_GOOD)
		return 0;
	/* this process is neither root nor xrdp, so xrdp may be able to read a file that it cannot */
	if (!l->host->is_root && s.err == EACCES)
		return 0;
	bool key = cert_fault_is_of_key(s.fault);
	cert_fault_text(&s, text, sizeof text);
	dprintf(out, "%s\n%s: %s%s", key ? key_key : cert_key, key ? l->key : l->cert, text,
		l->as_xrdp && s.err == EACCES ? "; let the account xrdp read it (chgrp xrdp, chmod g+r, and x on its directories)" : "");
	return 0;
}

static void pair_read(void *arg, int code, const char *text, size_t len)
{
	_cleanup_(xfreep) struct looking *l = arg;
	_cleanup_(xfreep) char *copy = xstrndup(text, code == 0 ? len : 0);
	char *sentence = strchr(copy, '\n');
	struct hostcfg_pair_fault fault = { cert_key, "reading certificate and key timed out; check the disk that holds them" };
	if (code == 0 && !sentence) {
		l->done(l->arg, NULL);
		return;
	}
	if (sentence) {
		*sentence = 0;
		fault.key = str_eq(copy, key_key) ? key_key : cert_key;
		fault.text = sentence + 1;
	}
	l->done(l->arg, &fault);
}

void hostcfg_pair_look(struct host *h, const char *ini, hostcfg_pair_done done, void *arg)
{
	_cleanup_(inifile_freep) struct inifile *f = inifile_parse(ini);
	_cleanup_(doc_unrefp) json_t *raw = inifile_doc(f);
	struct looking *l = XNEW(struct looking);
	l->host = h;
	l->as_xrdp = is_of_account(h);
	l->done = done;
	l->arg = arg;
	hostcfg_pair_paths(h, raw, l->cert, l->key);
	job_start(h->children, look_run, l, JOB_MS, pair_read, l);
}

static bool is_given(const json_t *before, const json_t *after, const char *key)
{
	const char *was = hostcfg_value(before, "Globals", key), *is = hostcfg_value(after, "Globals", key);
	return is && *is && !(was && str_eq(was, is));
}

const char *hostcfg_pair_named(const char *before, const char *after, const char *at_fault)
{
	_cleanup_(inifile_freep) struct inifile *one = inifile_parse(before), *two = inifile_parse(after);
	_cleanup_(doc_unrefp) json_t *a = inifile_doc(one), *b = inifile_doc(two);
	const char *other = str_eq(at_fault, key_key) ? cert_key : key_key;
	return is_given(a, b, at_fault) ? at_fault : is_given(a, b, other) ? other : NULL;
}

static bool is_used(const char *ini)
{
	_cleanup_(inifile_freep) struct inifile *f = inifile_parse(ini);
	_cleanup_(doc_unrefp) json_t *raw = inifile_doc(f);
	const char *layer = hostcfg_value(raw, "Globals", "security_layer");
	return !layer || strcasecmp(layer, "rdp") != 0;
}

json_t *hostcfg_pair_warnings(const char *ini, const struct hostcfg_pair_fault *fault)
{
	json_t *list = json_array();
	if (!fault || !is_used(ini))
		return list;
	_cleanup_(xfreep) char *field = xasprintf("sections.Globals.%s", fault->key);
	json_t *row = json_object();
	doc_set_str(row, "field", field);
	doc_set_str(row, "message", fault->text);
	json_array_append_new(list, row);
	log_warn("host", "the host's xrdp cannot use its certificate: %s", fault->text);
	return list;
}
