/*
 * xprobe: how long a desktop had no input. Floor F3. Asks the X server, Xorg or Xvnc, through the MIT-SCREEN-SAVER extension, with the
 * cookie of its owner. Blocks on processes and files of users, so it runs in a job, never on a loop. Not for: pictures.
 */
#ifndef HOST_DESKTOP_XPROBE_H
#define HOST_DESKTOP_XPROBE_H

#include <sys/types.h>

#include "lucid/base.h"

#define XPROBE_MAX 512
struct xprobe {
	int display;
	pid_t x_pid;
	uint64_t x_start; /* of the X server, so that a reused pid is not taken for it */
	uid_t uid;
	gid_t gid;
};
struct xprobes {
	size_t n;
	struct xprobe probe[];
};
#define XPROBE_DEADLINE_MS 1500

#define XPROBE_COOKIE 16
/* In a child with root's rights, or of the same account: a socket connected to the X server, and the cookie of its owner. -1: it has ended, has no
 * cookie, or belongs to another account. The cookie may be sent, because the kernel was asked who listens. */
int xprobe_connect(const struct xprobe *x, unsigned char ret_cookie[XPROBE_COOKIE]);

/* Job function over a struct xprobes: prints a line "display milliseconds" for each X server that answered. */
int xprobe_question(void *probes, int out);

/* The MIT-MAGIC-COOKIE-1 of a display in an authority file; false if there is none. For tests too. */
bool xprobe_find_cookie(const unsigned char *text, size_t len, int display, unsigned char ret[XPROBE_COOKIE]);
/* The root window in the setup reply of the X server, after its header of 8 bytes; false if that is truncated. */
bool xprobe_root_window(const unsigned char *setup, size_t len, uint32_t *ret);

#endif
