#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/desktop/desk_ns.h"
#include "host/kernel/ns.h"
#include "host/instance/instance.h"
#include "lucid/log.h"
#include "lucid/str.h"
#include "sys/child/job.h"
#include "sys/child/process.h"
#include "sys/files.h"

#define UNMAKE_MS 10000

/* --- files of a dead X server */

static bool lock_is_live(const char *path)
{
	char text[32] = "";
	struct stat st;
	/* in /tmp, where any account may create files */
	_cleanup_(closep) int fd = file_open(path, O_NOFOLLOW, &st);
	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
		return false;
	int64_t pid = strtoll(text, NULL, 10);
	return pid <= INT32_MAX && pid > 0 && proc_start((pid_t)pid) != 0;
}

static void clean_shared_names(const struct instance *i, int display)
{
	static const char *const sockets[] = {
		"xrdp_chansrv_socket_%d",
		"xrdp_chansrv_audio_out_socket_%d",
		"xrdp_chansrv_audio_in_socket_%d",
		"xrdpapi_%d",
		"xrdp_display_%d",
		"xrdp_disconnect_display_%d",
	};
	char path[400], name[64];
	snprintf(path, sizeof path, "/tmp/.X%d-lock", display);
	if (lock_is_live(path))
		return;
	unlink(path);
	snprintf(path, sizeof path, "/tmp/.X11-unix/X%d", display);
	unlink(path);
	for (size_t n = 0; n < ARRAY_LEN(sockets); n++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(name, sizeof name, sockets[n], display);
#pragma GCC diagnostic pop
		snprintf(path, sizeof path, "%s/sockdir/%s", i->run, name);
		unlink(path);
	}
}

/* --- a desktop's mount */

struct unmake_in {
	const struct instance *i;
	int display;
};

static int unmake_run(void *arg, int out)
{
	const struct unmake_in *in = arg;
	_cleanup_(closep) int fd = instance_ns_open(in->i);
	/* the mounts ended with the last process in the namespace */
	if (fd < 0)
		return 0;
	int r = ns_enter(fd);
	if (r == 0)
		r = desk_unmake(in->i->run, in->display);
	if (r < 0)
		dprintf(out, "display %d: %s", in->display, strerror(-r));
	return r < 0;
}

static void on_unmade(UNUSED void *arg, int code, const char *text, UNUSED size_t len)
{
	if (code != 0)
		log_warn("host", "the mount of a desktop could not be removed: %s; the next login on its display removes it", code > 0 ? text : err_text(-code));
}

void display_clean(struct instance *i, int display)
{
	if (!i->desks) {
		clean_shared_names(i, display);
		return;
	}
	if (i->ns_fd < 0)
		return;
	struct unmake_in in = { i, display };
	job_start(i->host->children, unmake_run, &in, UNMAKE_MS, on_unmade, NULL);
}
