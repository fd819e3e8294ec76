#include <unistd.h>

#include "host/hostcfg_files.h"
#include "host/logs.h"
#include "host/see_state.h"

/* Where a part of the host's xrdp logs: as its file says (a plain name is below XRDP_LOG_PATH). */
static char *log_of(struct host *h, enum hostcfg_file w)
{
	int err;
	const char *why;
	_cleanup_(xfreep) char *text = hostcfg_read(h, w, &err, &why);
	_cleanup_(inifile_freep) struct inifile *f = inifile_parse(text ? text : "");
	_cleanup_(doc_unrefp) json_t *raw = inifile_doc(f);
	const char *name = hostcfg_value(raw, "Logging", "LogFile");
	if (!name || !*name)
		name = w == HOSTCFG_SESMAN ? "xrdp-sesman.log" : "xrdp.log";
	return name[0] == '/' ? xstrdup(name) : xasprintf("%s/%s", h->set.xrdp_log, name);
}

static json_t *of_host(struct host *h, const char *source, size_t lines)
{
	_cleanup_(xfreep) char *xrdp = log_of(h, HOSTCFG_XRDP), *sesman = log_of(h, HOSTCFG_SESMAN);
	const char *const paths[] = { xrdp, sesman };
	if (!source)
		return logs_newest(paths, 2, lines);
	return logs_newest(paths + (hostcfg_file_from(source) == HOSTCFG_SESMAN), 1, lines);
}

/* Where a server logs, also one that does not run: its id, checked to be one, names the directory. NULL: it never ran here. */
static char *dir_of(struct host *h, const char *server_id)
{
	struct instance *i = instance_find(h, server_id);
	_cleanup_(xfreep) char *dir = i && i->log ? xstrdup(i->log) : xasprintf("%s/xrdp/servers/%s", h->set.log_dir, server_id);
	return id_is_uuid(server_id) && (i || access(dir, F_OK) == 0) ? TAKE_PTR(dir) : NULL;
}

static const char never_ran[] = "this server has no logs here: it never ran on this host";

int host_log_file(struct host *h, const json_t *in, const char **ret_why)
{
	_cleanup_(xfreep) char *dir = dir_of(h, doc_str(in, "server_id", ""));
	_cleanup_(xfreep) char *path = xasprintf("%s/%s.log", dir ? dir : "", doc_str(in, "source", "xrdp"));
	int fd = dir ? logs_open(path) : -1;
	if (fd >= 0)
		return fd;
	*ret_why = dir ? "this server has no such log yet" : never_ran;
	return -ERR_INSTANCE_NOT_FOUND;
}

void host_logs(struct host *h, const json_t *in, host_done done, void *arg)
{
	const char *server_id = doc_str(in, "server_id", NULL);
	size_t lines = (size_t)MIN(MAX(doc_int(in, "lines", 200), 1), 5000);
	json_t *out = json_object();
	if (!server_id) {
		doc_set(out, "lines", of_host(h, doc_str(in, "source", NULL), lines));
		host_answer(h, done, arg, 0, NULL, out);
		return;
	}
	_cleanup_(xfreep) char *dir = dir_of(h, server_id);
	if (!dir) {
		json_decref(out);
		host_answer(h, done, arg, -ERR_INSTANCE_NOT_FOUND, never_ran, NULL);
		return;
	}
	_cleanup_(xfreep) char *xrdp = xasprintf("%s/xrdp.log", dir), *sesman = xasprintf("%s/sesman.log", dir);
	doc_set(out, "lines", logs_newest((const char *const[]){ xrdp, sesman }, 2, lines));
	host_answer(h, done, arg, 0, NULL, out);
}
