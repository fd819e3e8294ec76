/*
 * display_open: connects to the X server of a desktop, for a recorder. Floor F3, supervisor only, loop thread. A job does it, because files
 * and sockets of users may block. The recorder gets socket and cookie, and neither the account nor the namespace of the desktop.
 */
#ifndef HOST_RECORDING_DISPLAY_OPEN_H
#define HOST_RECORDING_DISPLAY_OPEN_H

#include "host/desktop/xprobe.h"

struct children;
struct job;

/* fd: the socket, which the callee owns; cookie: 32 hex digits, wiped after the call. fd -1: the X server cannot be reached as its user. */
typedef void (*display_opened)(void *arg, int fd, const char *cookie);

struct display_opening {
	struct children *children;
	struct xprobe x;
	display_opened done;
	void *arg;
	struct job *job; /* NULL: none is in progress */
};

/* Calls `done` once, on a later turn. Nothing may be in progress. */
void display_open(struct display_opening *o, struct children *cs, const struct xprobe *x, display_opened done, void *arg);
void display_open_cancel(struct display_opening *o); /* `done` is not called */

#endif
