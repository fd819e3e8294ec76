#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/desktop/desk_ns.h"
#include "host/kernel/ns.h"
#include "host/instance/prepare.h"
#include "host/observe/observed.h"
#include "lucid/log.h"
#include "sys/child/job.h"

#define BIND_MS 10000

static pid_t a_pid_of(const struct desktop *d)
{
	return d->x_pid ? d->x_pid : d->leader;
}

static bool same(const char *a, const char *b)
{
	struct stat one, other;
	return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Whether the desktop still has its own directories at the paths that X clients and xrdp's programs use. */
static bool is_whole(const struct desktop *d)
{
	static const char *const parts[][2] = { { "sock", "/run/xrdp/sockdir" }, { "tmp/x11", "/tmp/.X11-unix" }, { "tmp/ice", "/tmp/.ICE-unix" } };
	for (size_t n = 0; n < ARRAY_LEN(parts); n++) {
		_cleanup_(xfreep) char *own = xasprintf("/proc/%d/root%s/desk/%d/%s", a_pid_of(d), d->instance->run, d->display, parts[n][0]);
		_cleanup_(xfreep) char *seen = xasprintf("/proc/%d/root%s", a_pid_of(d), parts[n][1]);
		if (access(own, F_OK) == 0 && !same(own, seen))
			return false;
	}
	return true;
}

/* In a job: checks all desktops of the instance, one after another. */
static int bind_run(void *arg, int out)
{
	const struct instance *i = arg;
	struct ns_plan plan;
	const struct desktop *d;
	int rc = 0;
	prepare_ns_plan(i, &plan);
	LIST_FOREACH (d, &i->observed->desktops, node) {
		const char *what = "/run/xrdp";
		_cleanup_(closep) int fd = a_pid_of(d) ? ns_open(a_pid_of(d)) : -1;
		/* a process in the namespace of the instance or of the host is in none of a desktop */
		if (fd < 0 || ns_inode(fd) == i->ns_inode || ns_inode(fd) == i->host->ns_inode)
			continue;
		int r = ns_enter(fd);
		if (r == 0)
			r = ns_heal(&plan);
		if (r >= 0)
			r = desk_bind(i->run, d->display, &what);
		if (r < 0) {
			dprintf(out, "display %d: %s: %s ", d->display, what, strerror(-r));
			rc = 1;
		}
	}
	return rc;
}

static void on_bound(void *arg, int code, const char *text, UNUSED size_t len)
{
	struct instance *i = arg;
	if (i->observed)
		i->observed->binding = NULL;
	if (code != 0)
		log_warn("host", "server %s: bind mounts of desktops are detached and could not be restored: %s", i->id,
			 code > 0 ? text : err_text(-code));
	else
		log_info("host", "server %s: bind mounts of desktops were detached and have been restored", i->id);
}

void desktop_binds_look(struct instance *i)
{
	struct desktop *d;
	if (!i->desks || i->observed->binding)
		return;
	LIST_FOREACH (d, &i->observed->desktops, node)
		if (a_pid_of(d) && !is_whole(d)) {
			i->observed->binding = job_start(i->host->children, bind_run, i, BIND_MS, on_bound, i);
			return;
		}
}
