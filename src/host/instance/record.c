#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/instance/displays.h"
#include "host/instance/instance.h"
#include "host/kernel/fs.h"
#include "host/cgroup/groups.h"
#include "host/instance/launch.h"
#include "host/preload_env.h"
#include "host/instance/prepare.h"
#include "host/reasons.h"
#include "host/instance/run.h"
#include "host/instance/sesman_port.h"
#include "host/instance/strays.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/child.h"
#include "sys/files.h"

/* The record of an instance, DATA_DIR/xrdp/servers/{id}/instance.json, readable by root only. It is for the next supervisor of the same
 * boot, so it is renamed into place but not synced to the disk: after a power failure its processes are gone too. */

#define RECORD_VERSION 1
#define RECORD_MAX (256 * 1024)

static char *path_of(const struct instance *i)
{
	return xasprintf("%s/instance.json", i->dir);
}

/* A copy in RUNTIME_DIR, so that damage to DATA_DIR while the server runs does not end its desktops. */
static char *copy_path(const struct host *h, const char *id)
{
	return xasprintf("%s/xrdp/records/%s.json", h->set.runtime_dir, id);
}

static void write_copy(struct instance *i, const char *text)
{
	_cleanup_(xfreep) char *path = copy_path(i->host, i->id), *records = xasprintf("%s/xrdp/records", i->host->set.runtime_dir);
	int r = fs_write(path, text, 0600, 0);
	if (r == -ENOENT && fs_mkdirs(records, 0700) == 0)
		r = fs_write(path, text, 0600, 0);
	if (r < 0)
		log_debug("host", "server %s: cannot write the copy of its record: %s", i->id, strerror(-r));
}

static json_t *daemon_doc(const struct daemon *d)
{
	json_t *doc = child_record(d->child);
	doc_set_str(doc, "tag", d->tag);
	return doc;
}

void record_write(struct instance *i)
{
	_cleanup_(doc_unrefp) json_t *d = json_object();
	_cleanup_(xfreep) char *path = path_of(i), *text = NULL;
	doc_set_int(d, "record", RECORD_VERSION);
	doc_set_str(d, "boot_id", i->host->boot_id);
	doc_set_int(d, "written", clock_boot_ms());
	doc_set_str(d, "server_id", i->id);
	doc_set(d, "spec", json_incref(i->spec));
	doc_set_str(d, "state", instance_state_to_string(i->state));
	doc_set_str(d, "reason", i->reason);
	doc_set_bool(d, "remove", i->remove);
	doc_set_int(d, "started", i->started_ms);
	doc_set_int(d, "since", i->since_ms);
	doc_set_int(d, "restarts", i->restarts);
	doc_set_bool(d, "shared", i->shared);
	doc_set_bool(d, "desks", i->desks);
	doc_set_int(d, "port", i->port);
	doc_set_int(d, "sesman_port", i->sesman_port);
	doc_set_int(d, "display_first", i->display_first);
	doc_set_int(d, "display_count", i->display_count);
	doc_set_int(d, "namespace", (int64_t)i->ns_inode);
	doc_set(d, "cgroup", cgroup_record(i->cgroup));
	doc_set(d, "xrdp", daemon_doc(&i->xrdp));
	doc_set(d, "sesman", daemon_doc(&i->sesman));
	doc_set_str(d, "fingerprint", i->fingerprint);
	doc_set_int(d, "cert_from", i->cert_from_ms);
	doc_set_int(d, "cert_until", i->cert_until_ms);
	doc_set(d, "last_exit", json_incref(i->last_exit ? i->last_exit : json_null()));
	text = doc_text(d);
	int r = access(i->dir, F_OK) == 0 ? 0 : fs_mkdirs(i->dir, 0755);
	if (r == 0)
		r = fs_write(path, text, 0600, 0);
	if (r < 0 && !i->unrecorded)
		log_error("host", "server %s: cannot write its record: %s; retrying", i->id, strerror(-r));
	i->unrecorded = r < 0;
	write_copy(i, text);
}

void record_remove(struct instance *i)
{
	_cleanup_(xfreep) char *path = path_of(i), *copy = copy_path(i->host, i->id);
	unlink(path);
	unlink(copy);
	rmdir(i->dir); /* succeeds if nothing is kept for the next start */
}

/* --- finding them again */

static void adopt_daemon(struct daemon *d, const json_t *doc)
{
	child_adopt(d->child, doc);
	d->pid = child_pid(d->child);
	str_copy(d->tag, sizeof d->tag, doc_str(doc, "tag", ""));
}

/* Opens the namespace that a process holds at PRELOAD_NS_FD. Only after its link was read: the descriptor could be a file of a user, whose
 * open could block. */
static int open_held(pid_t pid, ino_t inode)
{
	char path[48], is[64], want[64];
	snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, PRELOAD_NS_FD);
	snprintf(want, sizeof want, "mnt:[%lu]", (unsigned long)inode);
	ssize_t n = readlink(path, is, sizeof is - 1);
	is[MAX(n, 0)] = '\0';
	return str_eq(is, want) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

/* From a daemon, which is in the namespace, or a session leader, which is in that of its desktop and holds this one open. */
static bool take_namespace(struct instance *i, pid_t pid, ino_t inode)
{
	for (int n = 0; n < 2; n++) {
		int fd = n == 0 ? ns_open(pid) : open_held(pid, inode);
		if (fd >= 0 && ns_inode(fd) == inode) {
			i->ns_fd = fd;
			i->ns_inode = inode;
			return true;
		}
		fd_close(&fd);
	}
	return false;
}

/* Whether the process sees the files of this instance at /etc/xrdp. */
static bool shows_instance_files(const struct instance *i, pid_t pid)
{
	char path[64];
	struct stat own, seen;
	snprintf(path, sizeof path, "/proc/%d/root/etc/xrdp", pid);
	return stat(i->etc, &own) == 0 && stat(path, &seen) == 0 && own.st_ino == seen.st_ino && own.st_dev == seen.st_dev;
}

/* Finds the namespace through any process of the instance: a daemon, or a desktop that outlived both. */
static void adopt_namespace(struct instance *i, ino_t inode)
{
	enum { MAX = 1024 };
	_cleanup_(xfreep) pid_t *pids = xcalloc(MAX + 2, sizeof *pids);
	pids[0] = i->xrdp.pid;
	pids[1] = i->sesman.pid;
	size_t n = 2 + MIN(cgroup_pids(i->cgroup, pids + 2, MAX), (size_t)MAX);
	for (size_t k = 0; k < n && inode; k++)
		if (pids[k] > 0 && take_namespace(i, pids[k], inode))
			return;
	/* Without a control group all processes are searched. An inode number may be reused, so the instance's files must be mounted there.
	 * */
	DIR *d = inode && !i->cgroup ? opendir("/proc") : NULL;
	struct dirent *e;
	int64_t pid;
	while (d && (e = readdir(d)))
		if (str_int(e->d_name, 2, INT32_MAX, &pid) && shows_instance_files(i, (pid_t)pid) &&
		    take_namespace(i, (pid_t)pid, inode))
			break;
	if (d)
		closedir(d);
}

static struct instance *from_record(struct host *h, const json_t *d)
{
	struct instance *i = instance_with_daemons(h, json_object_get(d, "spec"));
	i->adopted = true;
	i->shared = doc_bool(d, "shared", false);
	i->desks = doc_bool(d, "desks", false);
	i->started_ms = doc_int(d, "started", 0);
	i->since_ms = doc_int(d, "since", 0);
	i->restarts = (unsigned)doc_int(d, "restarts", 0);
	i->port = (int)doc_int(d, "port", i->port);
	instance_account(i);
	i->sesman_port = (int)doc_int(d, "sesman_port", 0);
	i->display_first = (int)doc_int(d, "display_first", 0);
	i->display_count = (int)doc_int(d, "display_count", 0);
	i->remove = doc_bool(d, "remove", false);
	str_copy(i->fingerprint, sizeof i->fingerprint, doc_str(d, "fingerprint", ""));
	i->cert_from_ms = doc_int(d, "cert_from", 0);
	i->cert_until_ms = doc_int(d, "cert_until", 0);
	json_t *last = json_object_get(d, "last_exit");
	i->last_exit = json_is_object(last) ? json_incref(last) : NULL;
	groups_reopen(i, json_object_get(d, "cgroup"));
	adopt_daemon(&i->xrdp, json_object_get(d, "xrdp"));
	adopt_daemon(&i->sesman, json_object_get(d, "sesman"));
	if (!i->shared) {
		i->reserved[0] = sesman_port_reserve(i->sesman_port);
		i->reserved[1] = displays_reserve(i->display_first);
		adopt_namespace(i, (ino_t)doc_int(d, "namespace", 0));
	}
	return i;
}

/* Daemons that died while no supervisor ran are treated as if they had died now, for an unknown cause. */
static void mourn_daemons(struct instance *i)
{
	if (!i->xrdp.pid)
		child_mourn(i->xrdp.child);
	if (!i->shared && !i->sesman.pid && i->state == INSTANCE_RUNNING)
		child_mourn(i->sesman.child);
}

/* Reasons are static text. */
static const char *reason_of(const json_t *d)
{
	return reason_word(doc_str(d, "reason", ""), "found_failed");
}

static void adopt_instance(struct host *h, const json_t *d)
{
	const char *state = doc_str(d, "state", "");
	struct instance *i = from_record(h, d);
	bool lives = i->xrdp.pid || i->sesman.pid || i->ns_fd >= 0;
	if (str_eq(state, "stopping") || str_eq(state, "starting") || !lives) {
		/* an interrupted start or stop, or no process is left: the rest is removed */
		stop_begin(i, i->remove);
		return;
	}
	groups_limit(i);
	if (str_eq(state, "failed")) {
		i->state = INSTANCE_FAILED;
		i->reason = reason_of(d);
	} else {
		i->state = INSTANCE_FAILED; /* because a transition from failed to running is legal */
		int64_t since = i->since_ms;
		instance_enter(i, INSTANCE_RUNNING, NULL);
		i->since_ms = since ? since : i->since_ms;
	}
	log_info("host", "server %s: adopted, xrdp %d, sesman %d", i->id, i->xrdp.pid, i->sesman.pid);
	if (h->hooks.opened)
		h->hooks.opened(i);
	if (i->state == INSTANCE_RUNNING)
		mourn_daemons(i);
}

/* --- what runs without a record */

/* With the id only; ports and displays are unknown. */
static struct instance *remains_new(struct host *h, const char *id, pid_t pid)
{
	_cleanup_(doc_unrefp) json_t *spec = json_object();
	doc_set_str(spec, "server_id", id);
	struct instance *i = instance_with_daemons(h, spec);
	i->adopted = true;
	i->shared = false;
	i->cgroup = cgroup_reopen(h->cgroups, NULL, id);
	i->daemons = cgroup_sub_open(i->cgroup, "daemons");
	ino_t inode = ns_inode_of(pid);
	if (inode && inode != ns_inode_of(getpid()))
		take_namespace(i, pid, inode);
	return i;
}

static pid_t group_pid(const struct cgroup *c)
{
	pid_t pid = 0;
	if (cgroup_populated(c))
		cgroup_pids(c, &pid, 1);
	return pid;
}

struct instance *record_remains_group(struct host *h, const char *id)
{
	struct cgroup *c = id_is_uuid(id) ? cgroup_reopen(h->cgroups, NULL, id) : NULL;
	pid_t pid = group_pid(c);
	cgroup_free(c);
	return pid ? remains_new(h, id, pid) : NULL;
}

struct instance *record_remains(struct host *h, const char *id)
{
	struct cgroup *c = id_is_uuid(id) ? cgroup_reopen(h->cgroups, NULL, id) : NULL;
	pid_t pid = group_pid(c);
	struct strays s = { 0 };
	if (!c && id_is_uuid(id) && h->can_isolate && str_copy(s.id, sizeof s.id, id))
		pid = strays_find(&s);
	cgroup_free(c);
	return pid ? remains_new(h, id, pid) : NULL;
}

static void end_remains(struct host *h, const char *id, const char *why)
{
	struct instance *i = record_remains(h, id);
	if (!i)
		return;
	log_error("host", "server %s: %s, but its processes are running; ending them, because their parameters are unknown", id, why);
	stop_begin(i, false);
}

/* --- records */

/* NULL with a reason if there is no record that this version can use. */
static json_t *read_record(struct host *h, const char *id, bool copy, const char **ret_why)
{
	_cleanup_(xfreep) char *path = copy ? copy_path(h, id) : xasprintf("%s/xrdp/servers/%s/instance.json", h->set.data_dir, id);
	_cleanup_(xfreep) char *text = file_read(path, RECORD_MAX, NULL);
	*ret_why = errno == ENOENT ? "it has no record" : "its record cannot be read";
	json_t *d = text ? doc_parse(text, strlen(text), NULL, 0) : NULL;
	const json_t *spec = json_object_get(d, "spec");
	if (d && doc_int(d, "record", 0) == RECORD_VERSION && str_eq(doc_str(spec, "server_id", ""), id))
		return d;
	if (text)
		*ret_why = !d || !doc_int(d, "record", 0)		    ? "its record is damaged"
			   : doc_int(d, "record", 0) != RECORD_VERSION ? "its record has another format version"
								       : "its record belongs to another server";
	json_decref(d);
	return NULL;
}

/* The newest record of this boot. The one in DATA_DIR may be damaged, or outdated because the disk was full. */
static json_t *newest_record(struct host *h, const char *id, const char **ret_why)
{
	const char *why_copy;
	json_t *own = read_record(h, id, false, ret_why), *copy = read_record(h, id, true, &why_copy);
	if (own && !str_eq(doc_str(own, "boot_id", ""), h->boot_id)) {
		json_decref(TAKE_PTR(own));
		*ret_why = "its record is from an earlier boot";
	}
	if (!copy || !str_eq(doc_str(copy, "boot_id", ""), h->boot_id) ||
	    (own && doc_int(copy, "written", 0) <= doc_int(own, "written", 0))) {
		json_decref(copy);
		return own;
	}
	log_warn("host", "server %s: %s; using the copy in RUNTIME_DIR", id, own ? "its record is older than its copy" : *ret_why);
	json_decref(own);
	return copy;
}

static bool has_group(struct host *h, const char *id)
{
	struct cgroup *c = cgroup_reopen(h->cgroups, NULL, id);
	cgroup_free(c);
	return c != NULL;
}

static void adopt_one(struct host *h, const char *id)
{
	const char *why;
	_cleanup_(xfreep) char *path = xasprintf("%s/xrdp/servers/%s/instance.json", h->set.data_dir, id);
	bool there = access(path, F_OK) == 0;
	_cleanup_(doc_unrefp) json_t *d = newest_record(h, id, &why);
	if (d) {
		adopt_instance(h, d);
		return;
	}
	if (!there && !has_group(h, id))
		return; /* files that a stopped server keeps for its next start */
	/* finds nothing after a reboot */
	end_remains(h, id, why);
	if (there && !instance_find(h, id))
		unlink(path);
}

/* An empty group younger than this may belong to a start in progress, of another supervisor too. */
#define GROUP_IDLE_MS 60000

static bool is_kept(const char *name, void *arg)
{
	return instance_find(arg, name) != NULL;
}

void record_sweep_groups(struct host *h)
{
	size_t gone = cgroups_sweep(h->cgroups, GROUP_IDLE_MS, is_kept, h);
	if (gone)
		log_info("host", "removed the empty control groups of %zu servers that no longer run", gone);
}

/* Adopts the instances whose ids are the names in the directory, without `suffix`. */
static void adopt_named(struct host *h, const char *dir, const char *suffix)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		char *end = strchr(e->d_name, '.');
		if (!str_eq(end ? end : "", suffix))
			continue;
		if (end)
			*end = '\0';
		if (id_is_uuid(e->d_name) && !instance_find(h, e->d_name))
			adopt_one(h, e->d_name);
	}
	if (d)
		closedir(d);
}

void record_adopt_all(struct host *h)
{
	_cleanup_(xfreep) char *dir = xasprintf("%s/xrdp/servers", h->set.data_dir), *copies = xasprintf("%s/xrdp/records", h->set.runtime_dir);
	adopt_named(h, dir, "");
	adopt_named(h, copies, ".json"); /* whose directory in DATA_DIR was removed */
	record_sweep_groups(h);
}
