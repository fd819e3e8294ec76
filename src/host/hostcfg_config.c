#include "host/hostcfg.h"

#include <strings.h>

#include "host/hostcfg_files.h"
#include "lucid/str.h"

static enum hostcfg_file which_of(const json_t *in)
{
	return hostcfg_file_from(doc_str(in, "file", "xrdp"));
}

static const char *word_of(enum hostcfg_file w)
{
	return w == HOSTCFG_SESMAN ? "sesman" : "xrdp";
}

static struct hostcfg_dirs dirs_of(const struct host *h)
{
	return (struct hostcfg_dirs){ h->set.xrdp_config, h->set.data_dir, h->set.xrdp_log };
}

/* The file's text, or NULL after having answered. */
static char *read_or_answer(struct host *h, enum hostcfg_file w, host_done done, void *arg)
{
	int err;
	const char *why;
	char *text = hostcfg_read(h, w, &err, &why);
	if (!text)
		host_answer(h, done, arg, err, why, NULL);
	return text;
}

static json_t *head(enum hostcfg_file w, const char *text)
{
	json_t *out = json_object();
	doc_set_str(out, "file", word_of(w));
	doc_set_int(out, "version", hostcfg_version(text));
	return out;
}

void host_config_get(struct host *h, const json_t *in, host_done done, void *arg)
{
	enum hostcfg_file w = which_of(in);
	const char *section = doc_str(in, "section", NULL), *key;
	_cleanup_(xfreep) char *text = read_or_answer(h, w, done, arg);
	if (!text)
		return;
	_cleanup_(inifile_freep) struct inifile *f = inifile_parse(text);
	_cleanup_(doc_unrefp) json_t *raw = inifile_doc(f), *typed = hostcfg_typed(w, raw);
	json_t *out = head(w, text), *v;
	if (!section) {
		doc_set(out, "sections", TAKE_PTR(typed));
		host_answer(h, done, arg, ERR_OK, NULL, out);
		return;
	}
	json_object_foreach (typed, key, v)
		if (strcasecmp(key, section) == 0) {
			doc_set_str(out, "section", key);
			doc_set(out, "values", json_incref(v));
			host_answer(h, done, arg, ERR_OK, NULL, out);
			return;
		}
	json_decref(out);
	host_answer(h, done, arg, ERR_NOT_FOUND, "there is no such section; GET /api/v1/xrdp/config lists them", NULL);
}

/* The changed file, checked; NULL where there are faults. */
static struct inifile *changed(struct host *h, enum hostcfg_file w, const char *text, const json_t *sections, struct faults *faults,
			       json_t **ret_changed)
{
	const struct hostcfg_dirs dirs = dirs_of(h);
	struct inifile *f = inifile_parse(text);
	hostcfg_change(w, &dirs, f, sections, faults, ret_changed);
	hostcfg_check(w, &dirs, f, !json_object_size(sections), faults);
	if (!faults_any(faults))
		return f;
	inifile_free(f);
	return NULL;
}

void host_config_put(struct host *h, const json_t *in, host_done done, void *arg)
{
	enum hostcfg_file w = which_of(in);
	int64_t wanted = doc_int(in, "if_version", 0);
	struct faults faults = { 0 };
	json_t *what = NULL;
	_cleanup_(xfreep) char *before = read_or_answer(h, w, done, arg);
	if (!before)
		return;
	if (wanted && wanted != hostcfg_version(before)) {
		host_answer(h, done, arg, ERR_STALE, NULL, NULL);
		return;
	}
	_cleanup_(inifile_freep) struct inifile *f = changed(h, w, before, json_object_get(in, "sections"), &faults, &what);
	if (!f) {
		json_decref(what);
		host_answer(h, done, arg, ERR_XRDP_CONFIG, "this cannot stand in xrdp's configuration; details name each key and what is allowed",
			    faults_take(&faults));
		return;
	}
	_cleanup_(xfreep) char *text = inifile_text(f);
	const struct hostcfg_write write = { w, before, text, what, NULL, doc_bool(in, "apply", false) };
	hostcfg_put_text(h, &write, done, arg);
}

void host_config_validate(struct host *h, const json_t *in, host_done done, void *arg)
{
	enum hostcfg_file w = which_of(in);
	struct faults faults = { 0 };
	json_t *what = NULL;
	_cleanup_(xfreep) char *text = read_or_answer(h, w, done, arg);
	if (!text)
		return;
	_cleanup_(inifile_freep) struct inifile *f = changed(h, w, text, json_object_get(in, "sections"), &faults, &what);
	json_t *out = head(w, text), *errors = faults_take(&faults);
	doc_set_bool(out, "valid", f != NULL);
	doc_set(out, "errors", errors ? errors : json_array());
	doc_set(out, "changed", what);
	host_answer(h, done, arg, ERR_OK, NULL, out);
}

void host_config_backups(struct host *h, const json_t *in, host_done done, void *arg)
{
	json_t *out = json_object();
	doc_set(out, "backups", hostcfg_backups(h, which_of(in)));
	host_answer(h, done, arg, ERR_OK, NULL, out);
}

/* The whole of a backup again. What it holds stood in the file once: it is not checked anew. */
void host_config_rollback(struct host *h, const json_t *in, host_done done, void *arg)
{
	enum hostcfg_file w = which_of(in);
	const char *name = doc_str(in, "backup", NULL);
	_cleanup_(xfreep) char *before = read_or_answer(h, w, done, arg);
	if (!before)
		return;
	_cleanup_(xfreep) char *text = hostcfg_backup_read(h, w, name);
	if (!text) {
		host_answer(h, done, arg, ERR_NOT_FOUND, "there is no such backup; GET /api/v1/xrdp/config/backups lists them", NULL);
		return;
	}
	json_t *changes = json_array();
	if (!str_eq(before, text))
		json_array_append_new(changes, json_string("all"));
	const struct hostcfg_write write = { w, before, text, changes, NULL, doc_bool(in, "apply", false) };
	hostcfg_put_text(h, &write, done, arg);
}
