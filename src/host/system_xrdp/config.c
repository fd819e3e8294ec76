#include "host/system_xrdp/hostcfg.h"

#include <strings.h>

#include "host/system_xrdp/config_files.h"
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

/* The text of the file, or NULL after an answer. */
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
	host_answer(h, done, arg, ERR_NOT_FOUND, "section not found; GET /api/v1/xrdp/config lists the sections", NULL);
}

/* The changed file, checked; NULL: it has faults. */
static struct inifile *changed_file(struct host *h, enum hostcfg_file w, const char *text, const json_t *sections, struct faults *faults,
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

/* A change in progress: a job checks certificate and key of an xrdp.ini, and another call may write the file meanwhile. */
struct draft {
	struct host *host;
	json_t *in;
	host_done done;
	void *arg;
	void (*begin)(struct host *h, const json_t *in, host_done done, void *arg);
	void (*end)(struct draft *d, struct faults *faults, json_t *consume_warnings);
	enum hostcfg_file which;
	char *before, *text;
	json_t *changed;
};

static void draft_freep(struct draft **d)
{
	free((*d)->before);
	free((*d)->text);
	json_decref((*d)->changed);
	json_decref((*d)->in);
	free(*d);
}

static void draft_looked(void *arg, const struct hostcfg_pair_fault *fault)
{
	_cleanup_(draft_freep) struct draft *d = arg;
	int err;
	const char *why;
	struct faults faults = { 0 };
	_cleanup_(xfreep) char *now = hostcfg_read(d->host, d->which, &err, &why);
	if (!now || !str_eq(now, d->before)) { /* repeated only if another call has written the file, so it ends */
		d->begin(d->host, d->in, d->done, d->arg);
		return;
	}
	const char *named = fault ? hostcfg_pair_named(d->before, d->text, fault->key) : NULL;
	if (named) {
		_cleanup_(xfreep) char *field = xasprintf("sections.Globals.%s", named);
		faults_add(&faults, field, "%s", fault->text);
	}
	d->end(d, &faults, hostcfg_pair_warnings(d->text, named ? NULL : fault));
}

/* Checks certificate and key if the file has them, then calls d->end. */
static void draft_look(struct draft *consume_d)
{
	if (consume_d->which == HOSTCFG_XRDP)
		hostcfg_pair_look(consume_d->host, consume_d->text, draft_looked, consume_d);
	else
		draft_looked(consume_d, NULL);
}

static const char refused[] = "invalid xrdp configuration: see details for each key and its allowed values";

static void write_draft(struct draft *d, json_t *consume_warnings)
{
	json_t *more = json_object();
	doc_set(more, "warnings", consume_warnings);
	const struct hostcfg_write write = { d->which, d->before, d->text, TAKE_PTR(d->changed), more, doc_bool(d->in, "apply", false) };
	hostcfg_put_text(d->host, &write, d->done, d->arg);
}

static void end_put(struct draft *d, struct faults *faults, json_t *consume_warnings)
{
	if (!faults_any(faults)) {
		write_draft(d, consume_warnings);
		return;
	}
	json_decref(consume_warnings);
	host_answer(d->host, d->done, d->arg, ERR_XRDP_CONFIG, refused, faults_take(faults));
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
	_cleanup_(inifile_freep) struct inifile *f = changed_file(h, w, before, json_object_get(in, "sections"), &faults, &what);
	if (!f) {
		json_decref(what);
		host_answer(h, done, arg, ERR_XRDP_CONFIG, refused, faults_take(&faults));
		return;
	}
	struct draft *d = XNEW(struct draft);
	*d = (struct draft){ h, json_incref((json_t *)(uintptr_t)in), done, arg, host_config_put, end_put, w, TAKE_PTR(before), inifile_text(f), what };
	draft_look(d);
}

static void end_validate(struct draft *d, struct faults *faults, json_t *consume_warnings)
{
	json_t *out = head(d->which, d->before), *errors = faults_take(faults);
	doc_set_bool(out, "valid", !errors);
	doc_set(out, "errors", errors ? errors : json_array());
	doc_set(out, "warnings", consume_warnings);
	doc_set(out, "changed", TAKE_PTR(d->changed));
	host_answer(d->host, d->done, d->arg, ERR_OK, NULL, out);
}

void host_config_validate(struct host *h, const json_t *in, host_done done, void *arg)
{
	enum hostcfg_file w = which_of(in);
	struct faults faults = { 0 };
	json_t *what = NULL;
	_cleanup_(xfreep) char *text = read_or_answer(h, w, done, arg);
	if (!text)
		return;
	_cleanup_(inifile_freep) struct inifile *f = changed_file(h, w, text, json_object_get(in, "sections"), &faults, &what);
	struct draft *d = XNEW(struct draft);
	*d = (struct draft){ h, json_incref((json_t *)(uintptr_t)in), done, arg, host_config_validate, end_validate, w, TAKE_PTR(text),
			     f ? inifile_text(f) : NULL, what };
	if (f) {
		draft_look(d);
		return;
	}
	end_validate(d, &faults, json_array());
	draft_freep(&d);
}

void host_config_backups(struct host *h, const json_t *in, host_done done, void *arg)
{
	json_t *out = json_object();
	doc_set(out, "backups", hostcfg_backups(h, which_of(in)));
	host_answer(h, done, arg, ERR_OK, NULL, out);
}

static void end_rollback(struct draft *d, struct faults *faults, json_t *consume_warnings)
{
	_cleanup_(doc_unrefp) json_t *list = faults_take(faults);
	json_array_extend(consume_warnings, list);
	write_draft(d, consume_warnings);
}

/* Restores a backup. Its content was in the file before, so it is not checked. */
void host_config_rollback(struct host *h, const json_t *in, host_done done, void *arg)
{
	enum hostcfg_file w = which_of(in);
	const char *name = doc_str(in, "backup", NULL);
	_cleanup_(xfreep) char *before = read_or_answer(h, w, done, arg);
	if (!before)
		return;
	char *text = hostcfg_backup_read(h, w, name);
	if (!text) {
		host_answer(h, done, arg, ERR_NOT_FOUND, "backup not found; GET /api/v1/xrdp/config/backups lists the backups", NULL);
		return;
	}
	json_t *changes = json_array();
	if (!str_eq(before, text))
		json_array_append_new(changes, json_string("all"));
	struct draft *d = XNEW(struct draft);
	*d = (struct draft){ h, json_incref((json_t *)(uintptr_t)in), done, arg, host_config_rollback, end_rollback, w, TAKE_PTR(before), text, changes };
	draft_look(d);
}
