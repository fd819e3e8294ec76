#include <unistd.h>

#include "host/observe/deleted_logs.h"
#include "host/observe/observe.h"
#include "host/system_xrdp/config_files.h"
#include "host/observe/logs.h"
#include "host/observe/observed.h"

/* The log file of a part of the host's xrdp, from its configuration; a relative path is below XRDP_LOG_PATH. */
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
	const struct logs_file files[] = { { xrdp, "xrdp" }, { sesman, "sesman" } };
	if (!source)
		return logs_newest(files, 2, lines);
	return logs_newest(files + (hostcfg_file_from(source) == HOSTCFG_SESMAN), 1, lines);
}

/* The log directory of a server, running or not, by its checked id. NULL: it never ran on this host. */
static char *dir_of(struct host *h, const char *server_id)
{
	struct instance *i = instance_find(h, server_id);
	_cleanup_(xfreep) char *dir = i && i->log ? xstrdup(i->log) : xasprintf("%s/xrdp/servers/%s", h->set.log_dir, server_id);
	return id_is_uuid(server_id) && (i || access(dir, F_OK) == 0) ? TAKE_PTR(dir) : NULL;
}

/* The same of a deleted server. NULL: none are kept. */
static char *dir_of_deleted(struct host *h, const char *server_id)
{
	_cleanup_(xfreep) char *dir = deleted_logs_dir(h, server_id);
	return id_is_uuid(server_id) && access(dir, F_OK) == 0 ? TAKE_PTR(dir) : NULL;
}

static const char not_kept[] = "no logs of a deleted server with this id are stored; GET /api/v1/xrdp/logs/deleted lists those that are";
static const char never_ran[] = "this server has no logs: it never ran on this host";

int host_log_file(struct host *h, const json_t *in, const char **ret_why)
{
	_cleanup_(xfreep) char *dir = dir_of(h, doc_str(in, "server_id", ""));
	_cleanup_(xfreep) char *path = xasprintf("%s/%s.log", dir ? dir : "", doc_str(in, "source", "xrdp"));
	int fd = dir ? logs_open(path) : -1;
	if (fd >= 0)
		return fd;
	*ret_why = dir ? "this server does not have this log yet" : never_ran;
	return -ERR_INSTANCE_NOT_FOUND;
}

void host_logs(struct host *h, const json_t *in, host_done done, void *arg)
{
	const char *server_id = doc_str(in, "server_id", NULL);
	size_t lines = (size_t)MIN(MAX(doc_int(in, "lines", 200), 1), 5000);
	if (!server_id) {
		host_answer(h, done, arg, 0, NULL, of_host(h, doc_str(in, "source", NULL), lines));
		return;
	}
	bool deleted = doc_bool(in, "deleted", false);
	_cleanup_(xfreep) char *dir = deleted ? dir_of_deleted(h, server_id) : dir_of(h, server_id);
	if (!dir) {
		host_answer(h, done, arg, -ERR_INSTANCE_NOT_FOUND, deleted ? not_kept : never_ran, NULL);
		return;
	}
	_cleanup_(xfreep) char *xrdp = xasprintf("%s/xrdp.log", dir), *sesman = xasprintf("%s/sesman.log", dir);
	_cleanup_(xfreep) char *desktops = xasprintf("%s/desktops.log", dir);
	const struct logs_file files[] = { { xrdp, "xrdp" }, { sesman, "sesman" }, { desktops, "desktops" } };
	host_answer(h, done, arg, 0, NULL, logs_newest(files, ARRAY_LEN(files), lines));
}
