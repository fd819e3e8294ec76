#include <unistd.h>

#include "host/logs.h"
#include "host/see_state.h"

void host_logs(struct host *h, const json_t *in, host_done done, void *arg)
{
	static const char *const of_host[] = { "/var/log/xrdp.log", "/var/log/xrdp-sesman.log", "/var/log/xrdp/xrdp.log",
					       "/var/log/xrdp/xrdp-sesman.log" };
	const char *server_id = doc_str(in, "server_id", NULL);
	size_t lines = (size_t)MIN(MAX(doc_int(in, "lines", 200), 1), 5000);
	json_t *out = json_object();
	if (!server_id) {
		doc_set(out, "lines", logs_newest(of_host, ARRAY_LEN(of_host), lines));
		host_answer(h, done, arg, 0, NULL, out);
		return;
	}
	/* also of a server that does not run: its id, checked to be one, names the directory */
	struct instance *i = instance_find(h, server_id);
	_cleanup_(xfreep) char *dir = i && i->log ? xstrdup(i->log) : xasprintf("%s/xrdp/servers/%s", h->set.log_dir, server_id);
	_cleanup_(xfreep) char *xrdp = xasprintf("%s/xrdp.log", dir), *sesman = xasprintf("%s/sesman.log", dir);
	if (!id_is_uuid(server_id) || (!i && access(dir, F_OK) < 0)) {
		json_decref(out);
		host_answer(h, done, arg, -ERR_INSTANCE_NOT_FOUND, "this server has no logs here: it never ran on this host", NULL);
		return;
	}
	doc_set(out, "lines", logs_newest((const char *const[]){ xrdp, sesman }, 2, lines));
	host_answer(h, done, arg, 0, NULL, out);
}
