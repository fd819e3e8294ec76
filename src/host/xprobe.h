/*
 * xprobe: how long nobody has touched a desktop. Floor F3. Asks the X server itself (MIT-SCREEN-SAVER, as its own protocol has
 * it) with the owner's cookie; all of it blocks on other people's processes and files, so it runs in a job of watch.h, never
 * on a loop. Xorg and Xvnc alike. Not for: pictures.
 */
#ifndef HOST_XPROBE_H
#define HOST_XPROBE_H

#include <sys/types.h>

#include "lucid/base.h"

#define XPROBE_MAX 512
struct xprobe {
	int display;
	pid_t x_pid;
	uint64_t x_start; /* of the X server, so that a pid used again is not taken for it */
	uid_t uid;
	gid_t gid;
};
struct xprobes {
	size_t n;
	struct xprobe probe[];
};
#define XPROBE_DEADLINE_MS 1500

/* A job over a struct xprobes: lines "display seconds", one for each X server that answered. */
int xprobe_question(void *probes, int out);

/* The MIT-MAGIC-COOKIE-1 of a display in the text of an authority file; false when there is none. For tests too. */
#define XPROBE_COOKIE 16
bool xprobe_find_cookie(const unsigned char *text, size_t len, int display, unsigned char ret[XPROBE_COOKIE]);
/* The root window in the X server's answer to the greeting (what follows its 8 bytes of head); false when cut short. */
bool xprobe_root_window(const unsigned char *setup, size_t len, uint32_t *ret);

#endif
