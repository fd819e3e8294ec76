#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "host/cgroup/groups.h"
#include "host/desktop/session_limits.h"
#include "host/instance/instance.h"
#include "host/kernel/fs.h"
#include "host/kernel/proc.h"
#include "host/message/messages.h"
#include "host/recording/recordings.h"
#include "host/xrdp_config/programs.h"
#include "host/observe/observed.h"
#include "lucid/clock.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"
#include "sys/child/process.h"

/* How long other processes may outlive leader and X server. */
#define OVER_MS 5000
#define NAME_DEADLINE_MS 2000
#define RECORD_MAX 4096
#define SAME_START_MS 2000 /* a start that was derived from that of a process differs a little from the recorded one */

static const char *const state_names[] = { "active", "disconnected", "orphaned" };

struct desktop *desktop_find(struct instance *i, int display)
{
	struct desktop *d;
	if (!i->observed)
		return NULL;
	LIST_FOREACH (d, &i->observed->desktops, node)
		if (d->display == display)
			return d;
	return NULL;
}

bool desktop_started_at(const struct desktop *d, const char *time)
{
	int64_t ms = 0;
	return clock_from_iso(time, &ms) && ms - d->started_ms <= SAME_START_MS && d->started_ms - ms <= SAME_START_MS;
}

/* --- the record: what /proc does not show */

static void record_path(const struct instance *i, int display, char *dst, size_t size)
{
	snprintf(dst, size, "%s/desktop-%d.json", i->dir, display);
}

static void record_write(struct desktop *d)
{
	char path[4096];
	_cleanup_(doc_unrefp) json_t *doc = json_object();
	record_path(d->instance, d->display, path, sizeof path);
	doc_set_str(doc, "boot_id", d->instance->host->boot_id);
	doc_set_str(doc, "user", d->user);
	doc_set_int(doc, "leader", d->leader);
	doc_set_int(doc, "leader_start", (int64_t)d->leader_start);
	doc_set_int(doc, "started_ms", d->started_ms);
	doc_set_bool(doc, "was_active", d->was_active);
	doc_set_int(doc, "gone_ms", d->gone_ms);
	doc_set(doc, "limits", desktop_limits_doc(d));
	doc_set(doc, "notices", limit_notices_doc(d));
	_cleanup_(xfreep) char *text = doc_text(doc);
	int r = fs_write(path, text, 0600, 0);
	if (r < 0 && !d->unrecorded)
		log_warn("host", "%s cannot be written: %s; retrying", path, strerror(-r));
	d->unrecorded = r < 0;
}

void desktop_record(struct desktop *d)
{
	if (d->told)
		record_write(d);
}

/* The record of a display from this boot, or NULL. */
static json_t *record_read(const struct instance *i, int display)
{
	char path[4096], text[RECORD_MAX];
	record_path(i, display, path, sizeof path);
	ssize_t n = proc_read_file(path, text, sizeof text);
	if (n <= 0)
		return NULL;
	json_t *doc = doc_parse(text, (size_t)n, NULL, 0);
	if (doc && !str_eq(doc_str(doc, "boot_id", ""), i->host->boot_id)) {
		json_decref(doc);
		doc = NULL;
	}
	return doc;
}

static void record_remove(const struct instance *i, int display)
{
	char path[4096];
	record_path(i, display, path, sizeof path);
	unlink(path);
}

/* --- the end of a group, reported by the kernel on cgroup v2 (cgroup.events) */

static const char *unified_mount(void)
{
	static char dir[256];
	static bool looked;
	char type[64], where[256];
	FILE *f = looked ? NULL : fopen("/proc/self/mounts", "re");
	looked = true;
	if (!f)
		return dir;
	while (fscanf(f, "%*s %255s %63s %*[^\n]", where, type) == 2)
		if (str_eq(type, "cgroup2") && str_copy(dir, sizeof dir, where))
			break;
	fclose(f);
	return dir;
}

static void watch_group(struct desktop *d)
{
	char path[4096];
	int fd = d->instance->host->observer->inotify_fd;
	const char *mount = unified_mount(), *group = d->cgroup ? cgroup_path(d->cgroup) : NULL;
	if (fd < 0 || d->wd >= 0 || !*mount || !group)
		return;
	snprintf(path, sizeof path, "%s%s/cgroup.events", mount, group);
	d->wd = inotify_add_watch(fd, path, IN_MODIFY);
}

void desktops_inotify(struct host *h)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;
	bool any = false;
	while ((n = read(h->observer->inotify_fd, buf, sizeof buf)) > 0)
		any = true;
	if (any)
		loop_timer_set(h->observer->sweep, 0);
}

/* --- life */

struct desktop *desktop_new(struct instance *i, int display)
{
	struct desktop *d = XNEW(struct desktop);
	d->instance = i;
	d->display = display;
	d->started_ms = clock_wall_ms();
	d->state = DESKTOP_DISCONNECTED;
	d->vnc = str_eq(doc_str(doc_get(i->spec, "desktop"), "session", "xorg"), "xvnc");
	d->idle_seconds = -1;
	d->wd = -1;
	d->uid = (uid_t)-1;
	d->cgroup = groups_desktop(i, display, true);
	list_append(&i->observed->desktops, &d->node);
	watch_group(d);
	return d;
}

void desktop_free(struct desktop *d)
{
	struct host *h = d->instance->host;
	if (d->ending)
		ending_drop(d->ending);
	if (d->wd >= 0)
		inotify_rm_watch(h->observer->inotify_fd, d->wd);
	messages_leave(d);
	list_remove(&d->node);
	cgroup_free(d->cgroup);
	free(d->report);
	free(d);
}

void desktop_enter(struct desktop *d, enum desktop_state s)
{
	if (s == d->state)
		return;
	log_debug("host", "desktop :%d of server %s: %s, now %s", d->display, d->instance->id, state_names[d->state],
		  state_names[s]);
	d->state = s;
}

void desktop_started(struct desktop *d)
{
	record_write(d);
	if (d->told)
		return;
	d->told = true;
	host_tell(d->instance->host, "xrdp.desktop.started", d->instance, desktop_doc(d));
	taken_names_given(d->instance, d->display);
}

void desktop_gone(struct desktop *d, const char *reason, size_t processes, size_t forced)
{
	struct instance *i = d->instance;
	json_t *doc = desktop_doc(d);
	bool told = d->told;
	_cleanup_(xfreep) char *detail = NULL;
	if (!reason)
		reason = desktop_own_end(d, &detail);
	messages_close(d);
	recordings_desktop_gone(d);
	if (d->cgroup)
		cgroup_remove(d->cgroup);
	record_remove(i, d->display);
	display_clean(i, d->display);
	connections_leave(i, d->display);
	desktop_free(d);
	doc_set_str(doc, "reason", reason);
	doc_set_str(doc, "detail", detail);
	doc_set_int(doc, "processes", (int64_t)processes);
	doc_set_int(doc, "forced", (int64_t)forced);
	if (told)
		host_tell(i->host, "xrdp.desktop.ended", i, doc);
	else
		json_decref(doc);
}

/* From what survives a restart of the supervisor: groups, records, processes. */
void desktops_restore(struct instance *i)
{
	for (int n = i->display_first; n < i->display_first + i->display_count; n++) {
		_cleanup_(doc_unrefp) json_t *record = record_read(i, n);
		struct cgroup *group = groups_desktop(i, n, false);
		bool there = group ? cgroup_populated(group) : false;
		pid_t leader = (pid_t)doc_int(record, "leader", 0);
		uint64_t start = (uint64_t)doc_int(record, "leader_start", 0);
		cgroup_free(group);
		if (!there && !(leader && proc_alive(leader, start))) {
			if (record || group)
				display_clean(i, n);
			record_remove(i, n);
			continue;
		}
		struct desktop *d = desktop_new(i, n);
		d->leader = leader;
		d->leader_start = start;
		d->started_ms = doc_int(record, "started_ms", d->started_ms);
		d->was_active = doc_bool(record, "was_active", false);
		d->gone_ms = doc_int(record, "gone_ms", 0);
		desktop_limits_read(d, json_object_get(record, "limits"));
		limit_notices_read(d, json_object_get(record, "notices"));
		d->told = record != NULL; /* the record is written when the start is published */
		if (!str_copy(d->user, sizeof d->user, doc_str(record, "user", "")))
			d->user[0] = 0;
		desktop_find_x(d);
		if (!d->leader)
			desktop_find_leader(d);
		if (!record && d->x_pid)
			d->started_ms = proc_start_wall_ms(d->x_start);
	}
}

/* --- the name of the account, if no hook reported it; looked up in a job, because a name service may block */

struct naming {
	struct host *host;
	char server_id[ID_UUID_SIZE];
	int display;
	uid_t uid;
};

static int name_question(void *arg, int out)
{
	const struct naming *n = arg;
	struct passwd *p = getpwuid(n->uid);
	return p && dprintf(out, "%s", p->pw_name) > 0 ? 0 : 1;
}

static void on_name(void *arg, int code, const char *text, size_t len)
{
	struct naming *n = arg;
	struct instance *i = instance_find(n->host, n->server_id);
	struct desktop *d = i ? desktop_find(i, n->display) : NULL;
	if (d && d->naming && !d->user[0]) {
		d->naming = false;
		if (code != 0 || strlen(text) != len || !account_name_ok(text) || !str_copy(d->user, sizeof d->user, text))
			snprintf(d->user, sizeof d->user, "%u", (unsigned)n->uid);
		desktop_started(d);
	}
	free(n);
}

static void ask_name(struct desktop *d)
{
	struct naming *n = XNEW(struct naming);
	n->host = d->instance->host;
	str_copy(n->server_id, sizeof n->server_id, d->instance->id);
	n->display = d->display;
	n->uid = d->uid;
	d->naming = true;
	if (!job_start(n->host->children, name_question, n, NAME_DEADLINE_MS, on_name, n)) {
		d->naming = false; /* retried at the next sweep */
		free(n);
	}
}

/* --- the sweep */

/* sesman knows a desktop as long as its leader is a child of sesman. */
static bool has_sesman(const struct desktop *d)
{
	struct proc_stat leader, parent;
	return d->leader && proc_stat(d->leader, &leader) && leader.start_ticks == d->leader_start &&
	       proc_stat(leader.ppid, &parent) && program_is_sesman(parent.comm);
}

static void desktop_classify(struct desktop *d)
{
	if (!has_sesman(d))
		desktop_enter(d, DESKTOP_ORPHANED);
	else
		desktop_enter(d, connection_of_display(d->instance, d->display) ? DESKTOP_ACTIVE : DESKTOP_DISCONNECTED);
}

/* An orphan may have a client too: it stays connected until it leaves. */
static void note_client(struct desktop *d)
{
	bool connected = connection_of_display(d->instance, d->display);
	if (connected ? d->was_active && !d->gone_ms : d->gone_ms != 0)
		return;
	d->was_active |= connected;
	d->gone_ms = connected ? 0 : clock_boot_ms();
	desktop_record(d);
}

void desktops_judge(struct instance *i)
{
	struct desktop *d;
	LIST_FOREACH (d, &i->observed->desktops, node) {
		desktop_classify(d);
		note_client(d);
	}
}

/* Leader and X server have ended. The group may hold other processes, which left the session by setsid; after OVER_MS they are killed,
 * because they have no display. True if the desktop was freed. */
static bool desktop_is_over(struct desktop *d)
{
	bool others = d->cgroup && cgroup_populated(d->cgroup);
	int64_t now = clock_mono_ms();
	if (!others) {
		desktop_gone(d, NULL, 0, 0);
		return true;
	}
	if (!d->over_ms)
		d->over_ms = now;
	else if (now - d->over_ms > OVER_MS)
		cgroup_kill(d->cgroup);
	return false;
}

static void sweep_one(struct desktop *d)
{
	if (d->ending) {
		ending_step(d);
		return;
	}
	if (!d->x_pid || !proc_alive(d->x_pid, d->x_start))
		desktop_find_x(d);
	if (!desktop_alive(d) && desktop_is_over(d))
		return;
	if (!d->leader)
		desktop_find_leader(d);
	if (!d->user[0] && d->x_pid && !d->naming)
		ask_name(d);
	if (d->unrecorded)
		record_write(d);
	desktop_classify(d);
}

void desktops_sweep(struct instance *i)
{
	struct desktop *d, *next;
	desktops_catch_up(i);
	desktop_binds_look(i);
	LIST_FOREACH_SAFE (d, next, &i->observed->desktops, node)
		sweep_one(d);
}

/* --- as a document */

json_t *desktop_doc(struct desktop *d)
{
	json_t *doc = json_object();
	static pid_t pids[DESKTOP_PIDS];
	size_t n = desktop_pids(d, pids, DESKTOP_PIDS), stored = MIN(n, (size_t)DESKTOP_PIDS);
	int64_t rss = 0;
	struct proc_stat s;
	for (size_t k = 0; k < stored; k++)
		rss += proc_stat(pids[k], &s) ? s.rss_bytes : 0;
	const struct connection *c = connection_of_display(d->instance, d->display);
	doc_set_int(doc, "display", d->display);
	doc_set_str(doc, "server_id", d->instance->id);
	doc_set_str(doc, "username", d->user);
	doc_set_str(doc, "status", state_names[d->state]);
	doc_set_str(doc, "session", d->vnc ? "xvnc" : "xorg");
	doc_set_time(doc, "started_at", d->started_ms);
	if (d->gone_ms)
		doc_set_time(doc, "disconnected_at", clock_wall_ms() - (clock_boot_ms() - d->gone_ms));
	else
		doc_set(doc, "disconnected_at", NULL);
	doc_set(doc, "idle_seconds", d->idle_seconds >= 0 ? json_integer(d->idle_seconds) : NULL);
	doc_set_int(doc, "processes", (int64_t)n);
	doc_set_int(doc, "memory_bytes", rss);
	doc_set_str(doc, "client_address", c ? c->peer : NULL);
	doc_set_str(doc, "connection_id", c ? c->id : NULL);
	doc_set(doc, "limits", desktop_limits_doc(d));
	return doc;
}
