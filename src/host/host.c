#include "host/host.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/hostcfg.h"
#include "host/hostcfg_service.h"
#include "host/ports.h"
#include "host/prepare.h"
#include "host/profiles.h"
#include "host/run.h"
#include "host/see.h"
#include "host/settings.h"
#include "host/units.h"
#include "host/watch.h"
#include "lucid/account.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* --- answers, at the end of the turn */

struct answer {
	struct list node;
	struct loop_task task;
	host_done done;
	void *arg;
	int err;
	char *message;
	json_t *out;
};

static void answer_free(struct answer *a)
{
	list_remove(&a->node);
	loop_undefer(&a->task);
	free(a->message);
	json_decref(a->out);
	free(a);
}

static void on_answer(struct loop_task *t)
{
	struct answer *a = CONTAINER_OF(t, struct answer, task);
	json_t *out = TAKE_PTR(a->out);
	host_done done = a->done;
	void *arg = a->arg;
	int err = a->err;
	_cleanup_(xfreep) char *message = TAKE_PTR(a->message);
	answer_free(a);
	done(arg, err, message, out);
}

void host_answer(struct host *h, host_done done, void *arg, int err, const char *message, json_t *consume_out)
{
	struct answer *a = XNEW(struct answer);
	a->done = done;
	a->arg = arg;
	a->err = err;
	a->message = message ? xstrdup(message) : NULL;
	a->out = consume_out;
	loop_task_init(&a->task, on_answer);
	list_append(&h->answers, &a->node);
	loop_defer(h->loop, &a->task);
}

void host_tell(struct host *h, const char *topic, const struct instance *i, json_t *consume_data)
{
	char user[CALLER_NAME_MAX + 1];
	const char *account = doc_str(consume_data, "username", NULL);
	/* a desktop, and a connection to it, belong to whoever logged in; the instance to its owner */
	if (account)
		account_user(h->set.user_map, account, user);
	if (h->on_event)
		h->on_event(h->event_arg, topic, i ? i->id : "", account ? user : i ? i->user_id : "", consume_data);
	else
		json_decref(consume_data);
}

/* --- life */

/* Namespaces are tried out in a child: it alone is moved. */
static bool may_isolate(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(ns_try() == 0 ? 0 : 1);
	int status = 1;
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void look_at_host(struct host *h)
{
	_cleanup_(xfreep) char *boot = fs_read("/proc/sys/kernel/random/boot_id", 64);
	snprintf(h->boot_id, sizeof h->boot_id, "%.*s", boot ? (int)strcspn(boot, "\n") : 0, boot ? boot : "");
	struct sysinfo si;
	h->cores = get_nprocs();
	h->memory_mb = sysinfo(&si) == 0 ? (int64_t)si.totalram * si.mem_unit / 1048576 : 0;
	h->is_root = geteuid() == 0;
	const struct passwd *pw = getpwnam("xrdp");
	h->xrdp_uid = pw ? pw->pw_uid : getuid();
	h->xrdp_gid = pw ? pw->pw_gid : getgid();
	h->can_isolate = h->is_root && may_isolate();
}

struct host *host_new_with(struct loop *l, const struct host_settings *s, host_event on_event, void *arg)
{
	struct host *h = XNEW(struct host);
	h->loop = l;
	h->on_event = on_event;
	h->event_arg = arg;
	h->passed_fd = h->run_inotify = -1;
	list_init(&h->instances);
	list_init(&h->watches);
	list_init(&h->answers);
	list_init(&h->jobs);
	settings_copy(&h->set, s);
	h->why_not = settings_fault(&h->set);
	h->hook_socket = xasprintf("%s/xrdp/hook.sock", h->set.runtime_dir);
	look_at_host(h);
	h->cgroups = cgroups_new();
	h->profiles = profiles_new(h->set.desktop_profiles, h->set.desktop_default);
	h->spares = spares_new(h);
	see_init(h);
	supervise_start(h);
	return h;
}

static void on_version(void *arg, UNUSED int code, const char *text, UNUSED size_t len)
{
	struct host *h = arg;
	h->version_job = NULL;
	/* "xrdp 0.9.21.1" */
	const char *p = strchr(text, ' ');
	size_t n = p ? strspn(p + 1, "0123456789.") : 0;
	if (n && n < sizeof h->xrdp_version) {
		memcpy(h->xrdp_version, p + 1, n);
		h->xrdp_version[n] = '\0';
	}
}

static int ask_version(void *arg, int out)
{
	const struct host *h = arg;
	dup2(out, 1);
	execl(h->set.xrdp, h->set.xrdp, "--version", (char *)NULL);
	return 127;
}

void host_adopt(struct host *h)
{
	if (h->why_not) {
		log_error("host", "%s", h->why_not);
		return;
	}
	if (!h->is_root && getegid() != h->xrdp_gid && !group_member(h->xrdp_gid))
		log_warn("host", "not root, and not in the group of xrdp: people who log in see no desktop; run it as root, or add this "
			 "account to the group xrdp");
	record_adopt_all(h);
	spares_fill(h->spares);
	if (access(h->set.xrdp, X_OK) == 0)
		h->version_job = job_start(h, ask_version, h, 5000, on_version, h);
}

static void on_nothing_to_stop(void *arg, UNUSED int err, UNUSED const char *message, json_t *consume_out)
{
	struct host *h = arg;
	json_decref(consume_out);
	void (*fn)(void *) = TAKE_PTR(h->stopped);
	if (fn)
		fn(h->stopped_arg);
}

void host_stop_all(struct host *h, void (*done)(void *arg), void *arg)
{
	struct instance *i, *tmp;
	h->stopped = done;
	h->stopped_arg = arg;
	if (list_empty(&h->instances)) {
		host_answer(h, on_nothing_to_stop, h, ERR_OK, NULL, NULL);
		return;
	}
	LIST_FOREACH_SAFE (i, tmp, &h->instances, node)
		stop_begin(i, false);
}

void host_free(struct host *h)
{
	if (!h)
		return;
	supervise_stop(h);
	service_free(h);
	units_free(h->units);
	job_cancel(h->version_job);
	spares_free(h->spares);
	see_free(h);
	struct list *n;
	while (!list_empty(&h->instances)) {
		n = h->instances.next;
		instance_free(CONTAINER_OF(n, struct instance, node));
	}
	jobs_cancel_all(h);
	while (!list_empty(&h->answers))
		answer_free(CONTAINER_OF(h->answers.next, struct answer, node));
	while (!list_empty(&h->watches))
		watch_free(watch_of_node(h->watches.next));
	profiles_free(h->profiles);
	cgroups_free(h->cgroups);
	settings_done(&h->set);
	free(h->hook_socket);
	free(h);
}

void host_child_exited(struct host *h, int pid, int status)
{
	watch_told(h, pid, status);
}

/* --- small entries */

static void entry_get(struct host *h, const json_t *in, host_done done, void *arg)
{
	struct instance *i = instance_find(h, doc_str(in, "server_id", ""));
	if (i)
		host_answer(h, done, arg, ERR_OK, NULL, instance_doc(i));
	else
		host_answer(h, done, arg, ERR_INSTANCE_NOT_FOUND, NULL, NULL);
}

static void entry_list(struct host *h, UNUSED const json_t *in, host_done done, void *arg)
{
	json_t *doc = json_object(), *list = json_array();
	struct instance *i;
	INSTANCE_FOREACH(i, h)
	json_array_append_new(list, instance_doc(i));
	doc_set(doc, "instances", list);
	host_answer(h, done, arg, ERR_OK, NULL, doc);
}

static void entry_config(struct host *h, const json_t *in, host_done done, void *arg)
{
	const json_t *spec = json_object_get(in, "spec");
	struct instance *i = instance_find(h, doc_str(spec, "server_id", "")), *made = NULL;
	struct ini_in ini;
	if (!i) {
		/* never ran: sesman's port and displays are chosen at start, and 0 here */
		i = made = instance_new(h, spec);
		list_remove(&made->node);
	}
	prepare_ini_in(h, i, spec, &ini);
	_cleanup_(xfreep) char *xrdp = ini_xrdp(&ini), *sesman = ini_sesman(&ini);
	json_t *doc = json_object();
	doc_set_str(doc, "xrdp_ini", xrdp);
	doc_set_str(doc, "sesman_ini", sesman);
	if (made)
		instance_free(made);
	host_answer(h, done, arg, ERR_OK, NULL, doc);
}

static void entry_info(struct host *h, UNUSED const json_t *in, host_done done, void *arg)
{
	struct utsname u = { 0 };
	json_t *d = json_object();
	uname(&u);
	doc_set_str(d, "boot_id", h->boot_id);
	doc_set_str(d, "node", h->set.node);
	doc_set_str(d, "kernel", u.release);
	doc_set_str(d, "machine", u.machine);
	doc_set_int(d, "cores", h->cores);
	doc_set_int(d, "memory_mb", h->memory_mb);
	doc_set_bool(d, "xrdp_installed", access(h->set.xrdp, X_OK) == 0 && access(h->set.sesman, X_OK) == 0);
	doc_set_str(d, "xrdp_version", h->xrdp_version[0] ? h->xrdp_version : NULL);
	doc_set_str(d, "isolation", h->can_isolate ? "private" : "shared");
	doc_set_str(d, "backend", "process");
	doc_set_str(d, "cgroups", cgroups_mode(h->cgroups));
	doc_set_str(d, "fault", h->why_not);
	host_answer(h, done, arg, ERR_OK, NULL, d);
}

static void entry_ports(struct host *h, const json_t *in, host_done done, void *arg)
{
	json_t *blocked = json_array(), *doc = json_object();
	const json_t *v;
	size_t n;
	json_array_foreach (json_object_get(in, "ports"), n, v)
		if (!port_is_free((int)json_integer_value(v)))
			json_array_append(blocked, (json_t *)v);
	doc_set(doc, "blocked", blocked);
	host_answer(h, done, arg, ERR_OK, NULL, doc);
}

const struct host_entry host_entries[] = {
	{ "host.instance.start", host_instance_start },
	{ "host.instance.stop", host_instance_stop },
	{ "host.instance.get", entry_get },
	{ "host.instance.list", entry_list },
	{ "host.instance.config", entry_config },
	{ "host.connections", host_connections },
	{ "host.connection.cut", host_connection_cut },
	{ "host.desktops", host_desktops },
	{ "host.desktop.end", host_desktop_end },
	{ "host.stats", host_stats },
	{ "host.instance.stats", host_instance_stats },
	{ "host.logs", host_logs },
	{ "host.log.file", .open = host_log_file },
	{ "host.profiles", host_profiles },
	{ "host.service", host_service },
	{ "host.service.start", host_service_start },
	{ "host.service.stop", host_service_stop },
	{ "host.service.restart", host_service_restart },
	{ "host.service.reload", host_service_reload },
	{ "host.config.get", host_config_get },
	{ "host.config.put", host_config_put },
	{ "host.config.validate", host_config_validate },
	{ "host.config.backups", host_config_backups },
	{ "host.config.rollback", host_config_rollback },
	{ "host.certificates", host_certificates },
	{ "host.certificates.make", host_certificates_make },
	{ "host.info", entry_info },
	{ "host.ports.check", entry_ports },
};
const size_t host_entries_n = ARRAY_LEN(host_entries);
