#include "host/instance/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "host/cgroup/groups.h"
#include "host/instance/instance.h"
#include "host/kernel/ns.h"
#include "host/preload_env.h"
#include "host/xrdp_config/programs.h"
#include "host/kernel/port.h"
#include "host/instance/run.h"
#include "sys/child/child.h"
#include "sys/privileges.h"

/* --- environment */

#define PATH_SET "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define DESK_INODES 65536
#define PORT_AGAIN_MS 200 /* until the next check of a port that is in use */

/* Size of a desktop's tmpfs: a tenth of the memory, as logind bounds a runtime directory, between 16 and 512 MiB and at most the server's
 * limit. */
static long long desk_bytes(const struct instance *i)
{
	int64_t limit = doc_int(doc_get(i->spec, "limits"), "memory_mb", 0), mb = MAX(MIN(i->host->memory_mb / 10, 512), 16);
	return (long long)(limit ? MIN(limit, mb) : mb) * 1048576;
}

/* Both daemons load the preload library, which reads these variables. */
static void environment_plan(const struct daemon *d, struct child_plan *p)
{
	const struct instance *i = d->of;
	child_plan_env(p, PATH_SET);
	child_plan_env(p, "HOME=/");
	if (!i->desks)
		return;
	child_plan_env(p, "LD_PRELOAD=" NS_BIN "/" PRELOAD_FILE);
	child_plan_env(p, PRELOAD_ROLE "=%s", d == &i->xrdp ? PRELOAD_XRDP : PRELOAD_SESMAN);
	child_plan_env(p, PRELOAD_ANCHOR "=%s", i->run);
	child_plan_env(p, PRELOAD_FIRST "=%d", i->display_first);
	child_plan_env(p, PRELOAD_COUNT "=%d", i->display_count);
	child_plan_env(p, PRELOAD_UID "=%u", i->uid);
	child_plan_env(p, PRELOAD_GID "=%u", i->gid);
	child_plan_env(p, PRELOAD_BYTES "=%lld", desk_bytes(i));
	child_plan_env(p, PRELOAD_INODES "=%d", DESK_INODES);
}

static const char *program_of(const struct daemon *d)
{
	const struct instance *i = d->of;
	if (i->desks)
		return d == &i->xrdp ? NS_BIN "/" PROGRAM_XRDP : NS_BIN "/" PROGRAM_SESMAN;
	return d == &i->xrdp ? i->host->set.xrdp : i->host->set.sesman;
}

/* Runs in the child and neither allocates nor locks. It opens paths with root's rights, so it does that before it enters the namespace, in
 * which the instance determines what the paths lead to. */
static int launch_set_up(void *arg, const char **ret_what)
{
	const struct daemon *d = arg;
	const struct instance *i = d->of;
	int out = open(d->out, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (out < 0) /* a full disk must not keep a daemon from running */
		out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		return -errno;
	struct cgroup *group = d == &i->xrdp ? i->connections : i->daemons;
	*ret_what = "control group";
	int r = group ? cgroup_attach(group, getpid()) : 0;
	if (r < 0)
		return r;
	int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (score >= 0 && write(score, "0", 1) < 0)
		close(score); /* not permitted: it inherits the supervisor's score */
	if (i->desks) /* the library gives each desktop another one */
		privileges_leave_keyring();
	*ret_what = "mount namespace";
	if (i->ns_fd < 0)
		return 0;
	r = ns_enter(i->ns_fd);
	return r < 0 ? r : ns_enter_ipc();
}

static bool is_port_free(const struct daemon *d)
{
	return d == &d->of->xrdp ? port_is_free(d->of->port) : port_is_free_local(d->of->sesman_port);
}

static int daemon_plan(void *arg, struct child_plan *p)
{
	struct daemon *d = arg;
	struct instance *i = d->of;
	bool is_xrdp = d == &i->xrdp;
	/* Another program may have bound the port since the daemon died, or connections of the old one may still hold it. A start checks
	 * the port itself. */
	if (i->state == INSTANCE_RUNNING && !i->replacing && !is_port_free(d))
		return PORT_AGAIN_MS;
	if (!groups_there(i))
		groups_make(i);
	if (!d->out)
		d->out = xasprintf("%s/%s.out", i->log, d->name);
	child_plan_arg(p, program_of(d));
	child_plan_arg(p, "-n");
	if (i->shared) {
		_cleanup_(xfreep) char *ini = xasprintf("%s/xrdp.ini", i->etc);
		child_plan_arg(p, "-c");
		child_plan_arg(p, ini);
	}
	environment_plan(d, p);
	child_plan_limit(p, RLIMIT_CORE, 0);
	p->set_up = launch_set_up;
	p->set_up_arg = d;
	p->directory = "/";
	p->umask = 022;
	/* until it can be found by its control group and namespace, it dies with the supervisor */
	p->tie = CHILD_TIED_UNTIL_EXEC;
	p->switch_account = is_xrdp && i->host->is_root;
	p->uid = i->uid;
	p->gid = i->gid;
	return 0;
}

/* Whether xrdp listens on the server's port, or sesman on its own. The kernel is asked, because xrdp logs seven errors for each client that
 * connects without logging in. It must be this process: another one on sesman's port would receive passwords. */
bool daemon_listens(void *arg)
{
	const struct daemon *d = arg;
	/* a bind costs some microseconds; the list of listeners 0.5 ms and more, and this is asked many times during a start */
	return !is_port_free(d) && port_is_of(d == &d->of->xrdp ? d->of->port : d->of->sesman_port, d->pid);
}

/* --- as children */

#define HEALTHY_MS 10000 /* after running this long, earlier deaths no longer count */
#define BACK_OFF_MS 2000
#define BACK_OFF_MAX_MS 60000
#define FAILURES_MAX 5

static const struct child_desc xrdp_desc = {
	.name = "xrdp", .plan = daemon_plan, .verdict = daemon_verdict, .on_state = daemon_entered, .readiness = CHILD_READY_PROBE, .probe = daemon_listens,
	.healthy_ms = HEALTHY_MS, .free_failures = 1,
	.back_off_ms = BACK_OFF_MS, .back_off_most_ms = BACK_OFF_MAX_MS, .give_up = FAILURES_MAX,
};
static const struct child_desc sesman_desc = {
	.name = "xrdp-sesman", .plan = daemon_plan, .verdict = daemon_verdict, .on_state = daemon_entered, .readiness = CHILD_READY_PROBE, .probe = daemon_listens,
	.healthy_ms = HEALTHY_MS,
	.back_off_ms = BACK_OFF_MS, .back_off_most_ms = BACK_OFF_MAX_MS, .give_up = FAILURES_MAX,
};

struct instance *instance_with_daemons(struct host *h, const json_t *spec)
{
	struct instance *i = instance_new(h, spec);
	i->xrdp.child = child_new(h->children, &xrdp_desc, &i->xrdp);
	i->sesman.child = child_new(h->children, &sesman_desc, &i->sesman);
	return i;
}

void daemon_call_off(struct daemon *d)
{
	if (!d->pid)
		child_stop(d->child);
}

void daemon_tag(struct daemon *d)
{
	const struct host_settings *s = &d->of->host->set;
	program_tag(d == &d->of->xrdp ? s->xrdp : s->sesman, d->tag);
}
