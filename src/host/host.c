#include "host/host.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/instance/cert_watch.h"
#include "host/desktop/missing.h"
#include "host/instance/instance.h"
#include "host/kernel/fs.h"
#include "host/system_xrdp/hostcfg.h"
#include "host/system_xrdp/service.h"
#include "host/kernel/mounts.h"
#include "host/kernel/port.h"
#include "host/preload_env.h"
#include "host/instance/prepare.h"
#include "host/xrdp_config/profiles.h"
#include "host/instance/recover.h"
#include "host/instance/run.h"
#include "host/desktop/server_limits.h"
#include "host/desktop/session_limits.h"
#include "host/message/messages.h"
#include "host/recording/recordings.h"
#include "host/observe/observe.h"
#include "host/settings.h"
#include "host/kernel/trash.h"
#include "host/observe/deleted_logs.h"
#include "host/system_xrdp/units.h"
#include "lucid/account.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"
#include "sys/child/watch.h"
#include "sys/files.h"

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

static void on_answer_due(struct loop_task *t)
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
	loop_task_init(&a->task, on_answer_due);
	list_append(&h->answers, &a->node);
	loop_defer(h->loop, &a->task);
}

void host_tell(struct host *h, const char *topic, const struct instance *i, json_t *consume_data)
{
	char user[CALLER_NAME_MAX + 1];
	const char *account = doc_str(consume_data, "username", NULL);
	/* events of a desktop and its connections belong to the user who logged in, those of an instance to its owner */
	if (account)
		account_user(h->set.user_map, account, user);
	if (h->on_event)
		h->on_event(h->event_arg, topic, i ? i->id : "", account ? user : i ? i->user_id : "", consume_data);
	else
		json_decref(consume_data);
}

void host_tell_of(struct host *h, const char *topic, const char *server_id, json_t *consume_data)
{
	char user[CALLER_NAME_MAX + 1] = "";
	const char *account = doc_str(consume_data, "username", NULL);
	if (account)
		account_user(h->set.user_map, account, user);
	if (h->on_event)
		h->on_event(h->event_arg, topic, server_id, user, consume_data);
	else
		json_decref(consume_data);
}

/* --- life */

/* Descriptors that the supervisor needs, with the usual number of jobs and logins, and for each instance (namespace, daemons, desktops). */
#define FILES_OF_HOST 200
#define FILES_OF_INSTANCE 6

/* Whether the whole range of uids is mapped, from lines "inside outside count". */
static bool maps_many_uids(void)
{
	_cleanup_(xfreep) char *map = file_read("/proc/self/uid_map", 4096, NULL);
	unsigned long inside, outside, count;
	return map && sscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3 && inside == 0 && count >= 0x7fffffff;
}

/* Tries it in a child, because it moves the process to another namespace. */
static bool may_isolate(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(ns_try() == 0 ? 0 : 1);
	int status = 1;
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* From /etc/passwd if the account is there, because getpwnam may block on a name service. */
static const struct passwd *account_of_xrdp(void)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw = NULL;
	while (f && (pw = fgetpwent(f)) && !str_eq(pw->pw_name, "xrdp"))
		;
	if (f)
		fclose(f);
	return pw ? pw : getpwnam("xrdp");
}

static void host_inspect(struct host *h)
{
	boot_id_read(h->boot_id);
	struct sysinfo si;
	h->cores = get_nprocs();
	h->memory_mb = sysinfo(&si) == 0 ? (int64_t)si.totalram * si.mem_unit / 1048576 : 0;
	h->is_root = geteuid() == 0;
	const struct passwd *pw = account_of_xrdp();
	h->xrdp_uid = pw ? pw->pw_uid : getuid();
	h->xrdp_gid = pw ? pw->pw_gid : getgid();
	h->many_uids = maps_many_uids();
	h->ns_inode = ns_inode_of(getpid());
	h->can_isolate = h->is_root && may_isolate();
	struct rlimit files;
	h->instances_max = HOST_INSTANCES_MAX;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
		h->instances_max = MIN(h->instances_max, (size_t)MAX((int64_t)files.rlim_cur - FILES_OF_HOST, 0) / FILES_OF_INSTANCE);
}

struct host *host_new_with(struct loop *l, const struct host_settings *s, host_event on_event, void *arg)
{
	struct host *h = XNEW(struct host);
	h->loop = l;
	h->on_event = on_event;
	h->event_arg = arg;
	h->children = children_new(l);
	h->run_inotify = -1;
	list_init(&h->instances);
	list_init(&h->answers);
	settings_copy(&h->set, s);
	h->why_not = settings_fault(&h->set);
	h->hook_socket = xasprintf("%s/xrdp/hook.sock", h->set.runtime_dir);
	host_inspect(h);
	if (!h->why_not && h->can_isolate && !*h->set.preload)
		h->why_not = PRELOAD_FILE " is missing: it belongs beside lucid-rdp or in ../lib/lucid-rdp; build or install both "
			     "together (make, make install)";
	h->cgroups = cgroups_new();
	h->profiles = profiles_new(h->set.desktop_profiles, h->set.desktop_default);
	h->spares = spares_new(h);
	h->trash = trash_new(h);
	h->deleted_logs = deleted_logs_new(h);
	h->cert_watch = cert_watch_new(h);
	h->recover = recover_new(h);
	h->mounts = mounts_new(h);
	h->recordings = recordings_new(h);
	observe_init(h);
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

mode_t host_closed_mode(const struct host *h)
{
	/* without namespaces, xrdp reads its files by their path under its own account */
	return h->can_isolate ? 0700 : h->is_root ? 0711 : 0755;
}

/* Closes the directories of all instances, also of those that an older version started. */
static void close_directories(struct host *h)
{
	_cleanup_(xfreep) char *servers = xasprintf("%s/xrdp/servers", h->set.data_dir), *logs = xasprintf("%s/xrdp/servers", h->set.log_dir);
	const char *const dirs[] = { servers, logs };
	for (size_t n = 0; h->is_root && n < ARRAY_LEN(dirs); n++)
		if (chmod(dirs[n], host_closed_mode(h)) < 0 && errno != ENOENT)
			log_error("host", "%s cannot be protected from other accounts: %s", dirs[n], strerror(errno));
}

void host_adopt(struct host *h)
{
	if (h->why_not) {
		log_error("host", "%s", h->why_not);
		return;
	}
	if (!h->is_root && getegid() != h->xrdp_gid && !group_member(h->xrdp_gid))
		log_warn("host", "the program runs without root and outside the group xrdp, so logins get no desktop; run it as root, or add this "
			 "account to the group xrdp");
	const char *no_desktop = h->can_isolate ? desktop_fault(h->profiles) : NULL;
	if (no_desktop)
		log_warn("host", "%s", no_desktop);
	close_directories(h);
	record_adopt_all(h);
	recordings_adopt(h);
	spares_fill(h->spares);
	trash_empty(h->trash);
	deleted_logs_sweep(h->deleted_logs);
	cert_watch_look(h->cert_watch, false);
	if (access(h->set.xrdp, X_OK) == 0)
		h->version_job = job_start(h->children, ask_version, h, 5000, on_version, h);
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
	trash_free(TAKE_PTR(h->trash));
	deleted_logs_free(TAKE_PTR(h->deleted_logs));
	cert_watch_free(h->cert_watch);
	recover_free(h->recover);
	mounts_free(h->mounts);
	recordings_free(TAKE_PTR(h->recordings));
	observe_free(h);
	struct list *n;
	while (!list_empty(&h->instances)) {
		n = h->instances.next;
		instance_free(CONTAINER_OF(n, struct instance, node));
	}
	jobs_cancel_all(h->children);
	while (!list_empty(&h->answers))
		answer_free(CONTAINER_OF(h->answers.next, struct answer, node));
	children_free(h->children);
	profiles_free(h->profiles);
	cgroups_free(h->cgroups);
	settings_done(&h->set);
	free(h->hook_socket);
	free(h);
}

size_t host_jobs(const struct host *h)
{
	return jobs_running(h->children);
}

void host_child_exited(struct host *h, int pid, int status)
{
	children_told(h->children, pid, status);
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
		/* it never ran: sesman port and displays are chosen at its start and are 0 here */
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
	doc_set_str(d, "desktop_fault", h->can_isolate ? desktop_fault(h->profiles) : NULL);
	doc_set_str(d, "certificate_fault", cert_watch_fault(h->cert_watch));
	doc_set_str(d, "storage_fault", recover_fault(h->recover));
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
	{ "host.instance.stop", host_instance_stop, .ends = true },
	{ "host.instance.get", entry_get },
	{ "host.instance.list", entry_list },
	{ "host.instance.config", entry_config },
	{ "host.instance.limits", host_instance_limits },
	{ "host.connections", host_connections },
	{ "host.connection.cut", host_connection_cut, .ends = true },
	{ "host.desktops", host_desktops },
	{ "host.desktop.end", host_desktop_end, .ends = true },
	{ "host.desktop.limits", host_desktop_limits },
	{ "host.desktop.message", host_desktop_message },
	{ "host.recording.start", host_recording_start },
	{ "host.recording.stop", host_recording_stop, .ends = true },
	{ "host.recording.pause", host_recording_pause },
	{ "host.recording.resume", host_recording_resume },
	{ "host.recording.list", host_recording_list },
	{ "host.recording.files", host_recording_files },
	{ "host.recording.file", .open = host_recording_file, .media = "application/octet-stream" },
	{ "host.recording.write", host_recording_write },
	{ "host.recording.remove", host_recording_remove, .ends = true },
	{ "host.quotas", host_quotas },
	{ "host.stats", host_stats },
	{ "host.instance.stats", host_instance_stats },
	{ "host.logs", host_logs },
	{ "host.log.file", .open = host_log_file },
	{ "host.logs.deleted", host_deleted_logs },
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
