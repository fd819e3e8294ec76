#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/fs.h"
#include "host/launch.h"
#include "host/prepare.h"
#include "host/run.h"
#include "host/watch.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"

/* The record of an instance: DATA_DIR/xrdp/servers/{id}/instance.json, root's alone. It serves the next supervisor of the
 * same boot, so it is renamed into place but not forced to the disk: after a power cut no process of it is left either. */

#define RECORD_VERSION 1
#define RECORD_MAX (256 * 1024)

static char *path_of(const struct instance *i)
{
	return xasprintf("%s/instance.json", i->dir);
}

static json_t *daemon_doc(const struct daemon *d)
{
	json_t *doc = json_object();
	doc_set_int(doc, "pid", d->pid);
	doc_set_int(doc, "start", (int64_t)d->start);
	doc_set_int(doc, "since", d->since_ms);
	doc_set_int(doc, "failures", d->failures);
	return doc;
}

void record_write(struct instance *i)
{
	_cleanup_(doc_unrefp) json_t *d = json_object();
	_cleanup_(xfreep) char *path = path_of(i), *text = NULL;
	doc_set_int(d, "record", RECORD_VERSION);
	doc_set_str(d, "boot_id", i->host->boot_id);
	doc_set_str(d, "server_id", i->id);
	doc_set(d, "spec", json_incref(i->spec));
	doc_set_str(d, "state", instance_state_to_string(i->state));
	doc_set_str(d, "reason", i->reason);
	doc_set_bool(d, "remove", i->remove);
	doc_set_int(d, "started", i->started_ms);
	doc_set_int(d, "since", i->since_ms);
	doc_set_int(d, "restarts", i->restarts);
	doc_set_bool(d, "shared", i->shared);
	doc_set_int(d, "port", i->port);
	doc_set_int(d, "sesman_port", i->sesman_port);
	doc_set_int(d, "display_first", i->display_first);
	doc_set_int(d, "display_count", i->display_count);
	doc_set_int(d, "namespace", (int64_t)i->ns_inode);
	doc_set(d, "cgroup", cgroup_record(i->cgroup));
	doc_set(d, "xrdp", daemon_doc(&i->xrdp));
	doc_set(d, "sesman", daemon_doc(&i->sesman));
	doc_set_str(d, "fingerprint", i->fingerprint);
	doc_set(d, "last_exit", json_incref(i->last_exit ? i->last_exit : json_null()));
	text = doc_text(d);
	int r = access(i->dir, F_OK) == 0 ? 0 : fs_mkdirs(i->dir, 0755);
	if (r == 0)
		r = fs_write(path, text, 0600, 0);
	if (r < 0)
		log_error("host", "server %s: its record cannot be written: %s", i->id, strerror(-r));
}

void record_remove(struct instance *i)
{
	_cleanup_(xfreep) char *path = path_of(i);
	unlink(path);
	rmdir(i->dir); /* where nothing was kept for a next start */
}

/* --- finding them again */

static void adopt_daemon(struct instance *i, struct daemon *d, const json_t *doc)
{
	d->since_ms = doc_int(doc, "since", 0);
	d->failures = (unsigned)doc_int(doc, "failures", 0);
	d->pid = (pid_t)doc_int(doc, "pid", 0);
	d->start = (uint64_t)doc_int(doc, "start", 0);
	if (d->pid > 1 && d->start && proc_start(d->pid) == d->start)
		d->watch = watch_new(i->host, d->pid, d->start, daemon_died, d);
	if (!d->watch) {
		d->pid = 0;
		d->start = 0;
	}
}

static bool take_namespace(struct instance *i, pid_t pid, ino_t inode)
{
	int fd = ns_open(pid);
	if (fd >= 0 && ns_inode(fd) == inode) {
		i->ns_fd = fd;
		i->ns_inode = inode;
		return true;
	}
	fd_close(&fd);
	return false;
}

/* The process sees this instance's files where xrdp's would be. */
static bool shows(const struct instance *i, pid_t pid)
{
	char path[64];
	struct stat own, seen;
	snprintf(path, sizeof path, "/proc/%d/root/etc/xrdp", pid);
	return stat(i->etc, &own) == 0 && stat(path, &seen) == 0 && own.st_ino == seen.st_ino && own.st_dev == seen.st_dev;
}

/* Any process of it has the namespace: a daemon, or a desktop that outlived both. */
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
	/* no group tells: of a number that is used again the owner is somebody else's, so it must be a bind of ours there */
	DIR *d = inode && !i->cgroup ? opendir("/proc") : NULL;
	struct dirent *e;
	int64_t pid;
	while (d && (e = readdir(d)))
		if (str_int(e->d_name, 2, INT32_MAX, &pid) && ns_inode_of((pid_t)pid) == inode && shows(i, (pid_t)pid) &&
		    take_namespace(i, (pid_t)pid, inode))
			break;
	if (d)
		closedir(d);
}

static struct instance *from_record(struct host *h, const json_t *d)
{
	struct instance *i = instance_new(h, json_object_get(d, "spec"));
	i->adopted = true;
	i->shared = doc_bool(d, "shared", false);
	i->started_ms = doc_int(d, "started", 0);
	i->since_ms = doc_int(d, "since", 0);
	i->restarts = (unsigned)doc_int(d, "restarts", 0);
	i->port = (int)doc_int(d, "port", i->port);
	i->sesman_port = (int)doc_int(d, "sesman_port", 0);
	i->display_first = (int)doc_int(d, "display_first", 0);
	i->display_count = (int)doc_int(d, "display_count", 0);
	i->remove = doc_bool(d, "remove", false);
	str_copy(i->fingerprint, sizeof i->fingerprint, doc_str(d, "fingerprint", ""));
	json_t *last = json_object_get(d, "last_exit");
	i->last_exit = json_is_object(last) ? json_incref(last) : NULL;
	i->cgroup = cgroup_reopen(h->cgroups, json_object_get(d, "cgroup"), i->id);
	i->daemons = cgroup_sub(i->cgroup, "daemons");
	adopt_daemon(i, &i->xrdp, json_object_get(d, "xrdp"));
	adopt_daemon(i, &i->sesman, json_object_get(d, "sesman"));
	if (!i->shared)
		adopt_namespace(i, (ino_t)doc_int(d, "namespace", 0));
	return i;
}

/* Daemons that died while nobody was there to see it: as if they died now, of a cause unknown. */
static void mourn(struct instance *i)
{
	if (!i->xrdp.watch)
		daemon_died(&i->xrdp, 0, false, 0);
	if (!i->shared && !i->sesman.watch && i->state == INSTANCE_RUNNING)
		daemon_died(&i->sesman, 0, false, 0);
}

/* Reasons are static text. */
static const char *reason_of(const json_t *d)
{
	static const char *const reasons[] = { "sesman_exited", "xrdp_exited", "port_in_use",
					       "xrdp_mute",     "sesman_mute", "fork" };
	const char *s = doc_str(d, "reason", "");
	for (size_t n = 0; n < ARRAY_LEN(reasons); n++)
		if (str_eq(reasons[n], s))
			return reasons[n];
	return "found_failed";
}

static void adopt(struct host *h, const json_t *d)
{
	const char *state = doc_str(d, "state", "");
	struct instance *i = from_record(h, d);
	bool lives = i->xrdp.watch || i->sesman.watch || i->ns_fd >= 0;
	if (str_eq(state, "stopping") || str_eq(state, "starting") || !lives) {
		/* half a start, half a stop, or all dead: nothing to keep; what is left of it goes */
		stop_begin(i, i->remove);
		return;
	}
	start_apply_limits(i);
	if (str_eq(state, "failed")) {
		i->state = INSTANCE_FAILED;
		i->reason = reason_of(d);
	} else {
		i->state = INSTANCE_FAILED; /* the way in: failed may become running */
		int64_t since = i->since_ms;
		instance_enter(i, INSTANCE_RUNNING, NULL);
		i->since_ms = since ? since : i->since_ms;
	}
	log_info("host", "server %s: found again, xrdp %d, sesman %d", i->id, i->xrdp.pid, i->sesman.pid);
	if (h->hooks.opened)
		h->hooks.opened(i);
	if (i->state == INSTANCE_RUNNING)
		mourn(i);
}

static void adopt_file(struct host *h, const char *id)
{
	_cleanup_(xfreep) char *path = xasprintf("%s/xrdp/servers/%s/instance.json", h->set.data_dir, id);
	_cleanup_(xfreep) char *text = fs_read(path, RECORD_MAX);
	_cleanup_(doc_unrefp) json_t *d = text ? doc_parse(text, strlen(text), NULL, 0) : NULL;
	if (!text)
		return;
	const json_t *spec = json_object_get(d, "spec");
	if (!d || doc_int(d, "record", 0) != RECORD_VERSION || !str_eq(doc_str(spec, "server_id", ""), id)) {
		log_warn("host", "server %s: its record cannot be read; it is left out", id);
		unlink(path);
		return;
	}
	if (!str_eq(doc_str(d, "boot_id", ""), h->boot_id)) {
		unlink(path); /* of an earlier boot: nothing of it runs */
		return;
	}
	adopt(h, d);
}

/* Another supervisor's instance may be about to get its first process: a start has that long for its files. */
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

void record_adopt_all(struct host *h)
{
	_cleanup_(xfreep) char *dir = xasprintf("%s/xrdp/servers", h->set.data_dir);
	DIR *d = opendir(dir);
	struct dirent *e;
	while (d && (e = readdir(d)))
		if (id_is_uuid(e->d_name) && !instance_find(h, e->d_name))
			adopt_file(h, e->d_name);
	if (d)
		closedir(d);
	record_sweep_groups(h);
}
