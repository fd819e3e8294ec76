/*
 * window: the window of a message: made, kept on top, and closed. Floor F5, in the program of a message window. Override-redirect, so that
 * it needs no window manager and none can move it.
 */
#ifndef NOTICE_WINDOW_H
#define NOTICE_WINDOW_H

#include <stdbool.h>

#include "host/message/notice_wire.h"
#include "notice/stack.h"

struct window {
	struct screen screen;
	struct stack stack;
	const struct notice_input *in;
	const char *text;
	xcb_window_t id;
	uint32_t made;
	int missing; /* characters without a glyph */
	int place;   /* how many message windows there were before */
};

/* Connects, draws and maps it. 0, or an exit code. */
int window_open(struct window *w, int fd, const struct notice_input *in, const char *text);
/* Handles events until it is dismissed, its time is over, or the X server is gone. 0. */
int window_run(struct window *w);

#endif
