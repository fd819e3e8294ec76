#include "host/recording/display_open.h"

#include <grp.h>
#include <unistd.h>

#include "lucid/str.h"
#include "sys/child/job.h"

#define OPEN_MS 2000
#define COOKIE_TEXT (2 * XPROBE_COOKIE)

static int display_connect(void *arg, int out)
{
	const struct display_opening *o = arg;
	unsigned char cookie[XPROBE_COOKIE];
	char text[COOKIE_TEXT];
	if (geteuid() == 0 && setgroups(0, NULL) < 0)
		return 1;
	int fd = xprobe_connect(&o->x, cookie);
	if (fd < 0 || !job_pass_fd(out, fd))
		return 1;
	str_hex(text, cookie, sizeof cookie);
	return write(out, text, sizeof text) == sizeof text ? 0 : 1;
}

/* The text is a newline, which came with the descriptor, and the cookie. */
static void on_display_connected(void *arg, int code, const char *text, size_t len)
{
	struct display_opening *o = arg;
	char cookie[COOKIE_TEXT + 1] = "";
	_cleanup_(closep) int fd = job_take_fd(o->children);
	bool ok = code == 0 && fd >= 0 && len == 1 + COOKIE_TEXT;
	if (ok)
		memcpy(cookie, text + 1, COOKIE_TEXT);
	if (len)
		mem_wipe((void *)(uintptr_t)text, len); /* the job frees it next */
	o->job = NULL;
	o->done(o->arg, ok ? TAKE_FD(fd) : -1, cookie);
	mem_wipe(cookie, sizeof cookie);
}

void display_open(struct display_opening *o, struct children *cs, const struct xprobe *x, display_opened done, void *arg)
{
	*o = (struct display_opening){ .children = cs, .x = *x, .done = done, .arg = arg };
	o->job = job_start(cs, display_connect, o, OPEN_MS, on_display_connected, o);
}

void display_open_cancel(struct display_opening *o)
{
	job_cancel(TAKE_PTR(o->job));
}
